"""The suite judged by a few of its own mutants and a variant; `make selftest` runs all of them."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from conformance.registry import CHECKS
from conformance.selftest import Outcome, Subject, doubtful, examine_all, subjects, summary
from conformance.verdict import Result, Verdict

FEW = {
    "sse-no-done",
    "error-without-code",
    "no-request-id-on-errors",
    "idempotency-race",
    "title-case-headers",
}
"""Caught at the baseline, by one probe, by probes under way side by side; and a whole run."""


@pytest.fixture(scope="module")
def index() -> Iterator[str]:
    command = [sys.executable, "-m", "reference_impl.mutants", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip().removeprefix("ready ")
        process.terminate()


def examined(found: list[Subject]) -> dict[str, Any]:
    return summary(asyncio.run(examine_all(found, lambda _: None)))


def test_broken_servers_are_noticed_and_unusual_ones_are_not(index: str) -> None:
    found = [s for s in asyncio.run(subjects(index)) if s.name in FEW]
    assert {s.name for s in found} == FEW
    numbers = examined(found)
    assert (numbers["survivors"], numbers["flagged_variants"]) == ([], {})
    assert (numbers["mutants"], numbers["killed"], numbers["variants"]) == (4, 4, 1)
    assert numbers["matrix"]["idempotency-race"].keys() <= set(CHECKS)
    assert numbers["seconds"].keys() == FEW


def test_a_mutant_without_a_defect_survives(index: str) -> None:
    known = {s.name: s for s in asyncio.run(subjects(index))}
    sound = known["plain-reference"]
    claims = replace(sound, name="claims-a-defect", kind="mutant", violates=("SYNC-06", "IDEM-01"))
    numbers = examined([claims])
    assert numbers["survivors"] == ["claims-a-defect"]
    assert (numbers["killed"], numbers["checks_that_killed"]) == (0, 0)


def test_a_flagged_variant_is_a_false_alarm() -> None:
    variant = Subject("odd", "variant", "http://127.0.0.1:1", "contract", (), "an odd server")
    flagged = (Verdict("ERR-01", "MUST", "core", Result.FAIL, "why"),)
    outcome = Outcome(variant, flagged, hits=(), calls=1, seconds=1.0)
    assert (outcome.false_alarm, outcome.killed) == (True, False)
    assert summary([outcome])["flagged_variants"] == {"odd": ["ERR-01 why"]}


def answered(url: str, path: str) -> bytes:
    """The bytes of an answer, up to the end of the connection."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(4096), b""))


@pytest.mark.parametrize(
    ("name", "first_line", "final"),
    [
        ("http-1-0", b"HTTP/1.0 200 OK", b"HTTP/1.0 200 OK"),
        ("early-hints", b"HTTP/1.1 103 Early Hints", b"HTTP/1.1 200 OK"),
        ("continue-first", b"HTTP/1.1 100 Continue", b"HTTP/1.1 200 OK"),
    ],
)
def test_variants_of_framing_are_on_the_wire(index: str, name: str, first_line: bytes, final: bytes) -> None:
    found = answered(index, f"/{name}/api/v1/health")
    assert found.startswith(first_line + b"\r\n")
    head, _, body = found[found.index(final) :].partition(b"\r\n\r\n")
    assert json.loads(body)["status"] == "ok"
    assert (b"content-length" in head.lower()) is (name != "http-1-0")


def test_a_subject_that_is_stopped_has_forgotten_its_state(index: str) -> None:
    subject = next(s for s in asyncio.run(subjects(index)) if s.name == "comments")
    headers = {"Authorization": f"Bearer {subject.keys['main']}", "Idempotency-Key": "k-123456789"}
    body = {"messages": [{"role": "user", "content": "hello"}]}

    def replayed() -> bool:
        answer = httpx.post(
            f"{subject.base_url}/chat", json=body, headers=headers, trust_env=False, timeout=60
        )
        assert answer.status_code == 200, answer.text
        return "idempotent-replayed" in answer.headers or "idempotency-replayed" in answer.headers

    assert [replayed(), replayed()] == [False, True]
    assert httpx.delete(subject.stop_url, trust_env=False, timeout=60).status_code == 204
    assert replayed() is False


def outcome_of(kind: Any, *undecided: Verdict, hits: tuple[Verdict, ...] = ()) -> Outcome:
    subject = Subject("s", kind, "http://127.0.0.1:1", "contract", ("SSE-05",), "a story")
    return Outcome(subject, hits, hits, 1, 1.0, undecided)


def test_only_an_undecided_mutant_is_examined_again() -> None:
    unsure = Verdict("SSE-05", "MUST", "streaming", Result.INCONCLUSIVE, "late")
    failed = Verdict("SSE-05", "MUST", "streaming", Result.FAIL, "later")
    assert doubtful(outcome_of("mutant", unsure))
    assert not doubtful(outcome_of("mutant"))
    assert not doubtful(outcome_of("mutant", unsure, hits=(failed,)))
    assert not doubtful(outcome_of("variant", unsure, hits=(failed,)))
    assert not doubtful(outcome_of("variant", unsure))
