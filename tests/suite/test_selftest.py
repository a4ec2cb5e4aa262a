"""The suite judged by a few of its own mutants and a variant; `make selftest` runs all of them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from conformance.registry import CHECKS
from conformance.selftest import Outcome, Subject, examine_all, subjects, summary
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
