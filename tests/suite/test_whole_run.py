"""One complete run on the reference, as `make check` does it: every pattern of the contract is kept, nothing leaks."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

MOST_CALLS = 348
"""Of a run with every capability and credential. Each costs a vendor's customer time and money: before you raise this, see
whether an exchange that is sent anyway can serve (`Session.shared`)."""

SECRET = re.compile(
    rb"sk-demo|demo-service-secret|ZGVtby1zZXJ2aWNl|eyJ[\w-]+\.[\w-]+\.|whsec_(?!C2FVsBQIhrsc)[\w+/]{16}"
)
"""Of keys, the client (as it is, and as Basic has it), JWTs, and what webhooks are signed with (not the document's example)."""


@dataclass(frozen=True)
class WholeRun:
    """``folder`` has the evidence and the reports; ``verdicts`` are by id."""

    folder: Path
    verdicts: Mapping[str, str]

    def kept(self, *patterns: str, least: int) -> None:
        """All requirements of these ids that a run can judge are kept, and they are at least so many."""
        chosen = {i: v for i, v in self.verdicts.items() if any(fnmatch(i, p) for p in patterns)}
        assert sum(v == "PASS" for v in chosen.values()) >= least
        assert {i: v for i, v in chosen.items() if v not in ("PASS", "NOT_TESTED", "NOT_OFFERED")} == {}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> WholeRun:
    """The run is made once, whichever of the workers first needs it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "whole-run"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            command = [sys.executable, "-m", "conformance.cli.demo", "--out", str(folder / "out")]
            done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            (folder / "done").write_text(done.stdout + done.stderr)
    report = json.loads((folder / "out" / "report.json").read_text("utf-8"))
    return WholeRun(folder, {v["id"]: v["verdict"] for v in report["verdicts"]})


def test_sync(run: WholeRun) -> None:
    run.kept("SYNC-*", "CON-*", least=45)


def test_async_jobs(run: WholeRun) -> None:
    run.kept("JOB-*", least=25)


def test_webhooks(run: WholeRun) -> None:
    run.kept("HOOK-*", least=12)


def test_streaming(run: WholeRun) -> None:
    run.kept("SSE-*", "WS-*", least=50)


def test_confidence(run: WholeRun) -> None:
    run.kept("CONF-*", least=14)


def test_lineage(run: WholeRun) -> None:
    run.kept("TRC-*", least=21)


def test_idempotency_and_caching(run: WholeRun) -> None:
    run.kept("IDEM-*", "CACHE-*", least=23)


def test_auth(run: WholeRun) -> None:
    run.kept("AUTH-*", least=33)  # what needs a certificate is in test_mutual_tls.py


def test_limits(run: WholeRun) -> None:
    run.kept("RATE-*", least=27)


def test_errors(run: WholeRun) -> None:
    run.kept("ERR-*", "GEN-*", least=25)


def test_versioning(run: WholeRun) -> None:
    run.kept("VER-*", least=17)


def test_context(run: WholeRun) -> None:
    run.kept("CTX-*", least=11)


def test_cost_and_documentation(run: WholeRun) -> None:
    run.kept("DOC-*", least=7)


def test_agents_and_tools(run: WholeRun) -> None:
    run.kept("AGT-*", least=17)


def test_sandbox(run: WholeRun) -> None:
    run.kept("BOX-*", least=3)


def test_every_verdict_is_that_of_a_kept_contract(run: WholeRun) -> None:
    assert set(run.verdicts.values()) <= {"PASS", "NOT_TESTED", "NOT_OFFERED"}
    assert sum(v == "PASS" for v in run.verdicts.values()) >= 330


def test_a_run_takes_few_calls_and_no_more_than_planned(run: WholeRun) -> None:
    target = json.loads((run.folder / "out" / "evidence" / "run.json").read_text("utf-8"))["target"]
    assert target["budget"]["spent"]["calls"] <= MOST_CALLS
    assert target["budget"]["spent"]["calls"] <= target["calls_planned"]


def test_saved_evidence_gives_the_same_verdicts_offline(run: WholeRun, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "from conformance.cli import main; main()",
        "judge",
        str(run.folder / "out"),
    ]
    again = subprocess.run(
        [*command, "--json", str(tmp_path / "again.json")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert again.returncode == 0, again.stdout + again.stderr
    files = (run.folder / "out" / "report.json", tmp_path / "again.json")
    first, second = (json.loads(file.read_text("utf-8"))["verdicts"] for file in files)
    assert first == second


def test_no_credential_reaches_evidence_report_or_terminal(run: WholeRun) -> None:
    written = [p for p in run.folder.rglob("*") if p.is_file()]
    assert len(written) > 10
    assert [(p.name, found[0]) for p in written if (found := SECRET.search(p.read_bytes()))] == []
    codes = [p for p in written if b"code=" in p.read_bytes().replace(b"code=[redacted]", b"")]
    assert [p.name for p in codes if p.parent.name == "exchanges"] == []
