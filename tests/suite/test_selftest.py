"""The suite judged by its own mutants and variants, on a few of each; `make selftest` runs all of them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest

from conformance.selftest import examine_all, subjects, summary

FEW = {
    "sse-no-done",
    "sse-bom",
    "error-without-code",
    "no-request-id-on-errors",
    "idempotency-across-tenants",
    "idempotency-race",
    "traceparent-ignored",
    "token-alg-none",
    "code-reusable",
    "scopes-unenforced",
    "title-case-headers",
    "one-byte-chunks",
}


@pytest.fixture(scope="module")
def index() -> Iterator[str]:
    command = [sys.executable, "-m", "reference_impl.mutants", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip().removeprefix("ready ")
        process.terminate()


def test_broken_servers_are_noticed_and_unusual_ones_are_not(index: str) -> None:
    found = [s for s in asyncio.run(subjects(index)) if s.name in FEW]
    assert {s.name for s in found} == FEW
    numbers = summary(asyncio.run(examine_all(found, lambda _: None)))
    assert numbers["survivors"] == []
    assert numbers["flagged_variants"] == {}
    assert numbers["mutants"] == numbers["killed"] == 10
    assert numbers["variants"] == 2
