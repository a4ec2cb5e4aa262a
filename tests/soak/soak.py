"""Whole runs, again and again, on the reference and on ten mutants: no verdict may change from run to run.

``python tests/soak/soak.py [--rounds 20] [--minutes 20] [--json FILE]``; exit code 1 if one did. After the minutes
no further round begins, and the numbers say how many there were. A change between PASS and FAIL (or
WARN) is a *flip*: one of the two was wrong. Any other change, to or from INCONCLUSIVE, NOT_TESTED and the like, is a
*waver*: nothing false was said, but a gate may see it. Both are counted, and neither is accepted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.cli.local_server import local_server
from conformance.registry import load_all
from conformance.selftest import Subject, subjects, verdicts_of
from conformance.verdict import Result

SOAKED = (
    "plain-reference",
    "sse-buffered",
    "sse-stall",
    "sse-generation-runs-on",
    "sse-shared-cancel",
    "sse-no-keep-alive",
    "idempotency-race",
    "retry-after-too-short",
    "retry-after-doubled",
    "429-queued",
    "latency-in-microseconds",
)
"""The reference, and the mutants whose checks look at times or at races: those whose verdicts could waver."""

ABREAST = 8
"""Runs side by side. Nearly all of their time is waiting."""

CROWD = 2
"""Runs whose probes run side by side, at a time. More would be a load test of this machine."""

LEAST = 2

Seen = Mapping[str, Sequence[str]]


def changes(seen: Seen) -> dict[str, dict[str, list[str]]]:
    """The requirements whose verdict was not the same in every round, as ``flips`` and ``wavers``."""
    told: dict[str, dict[str, list[str]]] = {"flips": {}, "wavers": {}}
    for requirement, results in seen.items():
        if len(set(results)) > 1:
            judged = {r for r in results if Result(r).judged}
            told["flips" if len(judged) > 1 else "wavers"][requirement] = list(results)
    return told


async def soak(chosen: Sequence[Subject], rounds: int, minutes: float) -> dict[str, Seen]:
    """The verdicts by subject and requirement, one for each round."""
    slots, crowd = asyncio.Semaphore(ABREAST), asyncio.Semaphore(CROWD)
    seen: dict[str, dict[str, list[str]]] = {s.name: defaultdict(list) for s in chosen}
    ends = time.monotonic() + 60 * minutes

    async def one(subject: Subject, number: int) -> None:
        async with slots:
            began = time.monotonic()
            if began > ends:
                return
            for verdict in await verdicts_of(subject, crowd):
                seen[subject.name][verdict.id].append(str(verdict.result))
        took = time.monotonic() - began
        print(f"{subject.name} round {number + 1} of {rounds}: {took:.0f} s", file=sys.stderr, flush=True)

    # Round by round, so that every subject has had as many when the time is up.
    for number in range(rounds):
        await asyncio.gather(*(one(s, number) for s in chosen))
    return {name: dict(results) for name, results in seen.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak and print what changed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="these subjects instead")
    options = parser.parse_args(arguments)
    load_all()
    with local_server("reference_impl.mutants") as url:
        wanted = options.only or SOAKED
        chosen = [s for s in asyncio.run(subjects(url)) if s.name in wanted]
        seen = asyncio.run(soak(chosen, options.rounds, options.minutes))
    told = {name: changes(results) for name, results in seen.items()}
    numbers: dict[str, Any] = {
        "rounds": {name: max(map(len, results.values()), default=0) for name, results in seen.items()},
        "subjects": len(seen),
        "verdicts": sum(len(r) for results in seen.values() for r in results.values()),
        "flips": sum(len(c["flips"]) for c in told.values()),
        "wavers": sum(len(c["wavers"]) for c in told.values()),
        "changed": {name: c for name, c in told.items() if c["flips"] or c["wavers"]},
    }
    text = json.dumps(numbers, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", "utf-8")
    if min(numbers["rounds"].values()) < LEAST:
        print(f"fewer than {LEAST} rounds compare nothing: give more --minutes", file=sys.stderr)
        return 1
    return 1 if numbers["flips"] or numbers["wavers"] else 0


if __name__ == "__main__":
    sys.exit(main())
