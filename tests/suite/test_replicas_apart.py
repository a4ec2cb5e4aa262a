"""Two servers that share nothing, given as replicas of one API: the suite says so, and says where."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from conformance.cli import app
from conformance.cli.demo import credentials
from conformance.cli.local_server import local_server
from conformance.wire.store import load

MUST_FAIL = {"IDEM-01", "IDEM-06", "IDEM-10", "JOB-02", "JOB-05", "CTX-02", "CTX-10", "RATE-08"}
"""A retry, retries side by side, a job's Location, its polls, a session's history, its second turn, a limit."""


@dataclass(frozen=True)
class Apart:
    """A finished run. ``urls`` are the replicas; ``at``: where the reports lie."""

    urls: tuple[str, str]
    at: Path
    said: str

    @property
    def report(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads((self.at / "report.json").read_text("utf-8"))
        return read

    @property
    def failed(self) -> dict[str, dict[str, Any]]:
        return {v["id"]: v for v in self.report["verdicts"] if v["verdict"] == "FAIL"}

    def named(self, identity: str) -> str:
        """What an exchange has to be called: with the replica that its request went to."""
        url = next(e.sent.url for e in load(self.at / "evidence").exchanges if e.id == identity)
        number = next(n for n, base in enumerate(self.urls, 1) if url.startswith(f"{base}/"))
        return f"{identity} (replica {number}: {self.urls[number - 1]})"


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    folder = tmp_path_factory.mktemp("apart")
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(local_server("reference_impl", "--db", str(folder / f"{n}.sqlite")))
            for n in (1, 2)
        )
        options = [*credentials(first), "--only", ",".join(sorted(MUST_FAIL)), "--out", str(folder)]
        for name in ("junit.xml", "sarif.json", "md", "har"):
            kind = {"junit.xml": "junit", "sarif.json": "sarif", "md": "markdown", "har": "har"}[name]
            options += [f"--{kind}", str(folder / f"report.{name}")]
        done = CliRunner().invoke(
            app, ["check", first, "--replica", second, *options], env={"COLUMNS": "400", "NO_COLOR": "1"}
        )
        assert done.exit_code == 1, done.output
        yield Apart((first, second), folder, done.output)


def test_state_that_is_not_shared_fails(apart: Apart) -> None:
    assert set(apart.failed) == MUST_FAIL


def test_every_report_names_exchange_and_replica(apart: Apart) -> None:
    texts = {
        "terminal": apart.said,
        **{p.name: p.read_text("utf-8") for p in apart.at.glob("report.*") if p.suffix != ".har"},
    }
    assert len(texts) == 6
    texts["report.junit.xml"] = "".join(
        f"{e.get('message', '')}{e.text or ''}"
        for e in ElementTree.fromstring(texts["report.junit.xml"]).iter()
    )
    texts["report.html"] = re.sub(r"<[^>]+>", "", texts["report.html"]).replace("exchange ", "")
    for identity, verdict in apart.failed.items():
        exchange = verdict["evidence"][0]
        named = apart.named(exchange)
        assert named in verdict["detail"], identity
        assert verdict["replicas"] == [named.partition("(")[2].removesuffix(")")]
        for name, text in texts.items():
            expected = named if name != "report.html" else named.partition("(")[2].removesuffix(")")
            assert expected in text, (name, identity)
    assert f"replica 2: {apart.urls[1]}" in texts["terminal"]


def test_the_json_report_lists_the_replicas(apart: Apart) -> None:
    assert apart.report["target"]["replicas"] == list(apart.urls)


def test_the_har_says_which_replica_each_call_went_to(apart: Apart) -> None:
    entries = json.loads((apart.at / "report.har").read_text("utf-8"))["log"]["entries"]
    assert {e["_aiconform"]["replica"] for e in entries} == {
        f"replica {n}: {url}" for n, url in enumerate(apart.urls, 1)
    }


def test_saved_evidence_is_judged_as_the_live_run_was(apart: Apart, tmp_path: Path) -> None:
    again = tmp_path / "again.json"
    only = ",".join(sorted(MUST_FAIL))
    done = CliRunner().invoke(app, ["judge", str(apart.at), "--only", only, "--json", str(again), "--quiet"])
    assert done.exit_code == 1, done.output
    assert json.loads(again.read_text("utf-8"))["verdicts"] == apart.report["verdicts"]


def test_few_calls_are_spent_on_a_further_replica(apart: Apart) -> None:
    """Shared calls are sent once, all of them to the first; a further replica costs one call."""
    evidence = load(apart.at / "evidence")
    further = [e for e in evidence.exchanges if e.role.startswith("replica ")]
    assert [e.sent.url for e in further] == [f"{apart.urls[1]}/chat"]
    shared = {identity for record in evidence.probes.values() for identity in record.shared.values()}
    assert shared
    assert all(e.sent.url.startswith(apart.urls[0]) for e in evidence.exchanges if e.id in shared)
