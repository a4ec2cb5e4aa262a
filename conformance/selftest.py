"""The suite judged: every mutant must be killed, no variant may be flagged. Over HTTP only."""

from __future__ import annotations

import asyncio
import multiprocessing
import re
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from conformance.dialects.model import load_dialect
from conformance.evidence import Evidence
from conformance.gather import gather, plan
from conformance.judge import judge
from conformance.registry import CHECKS, load_all, selected_checks
from conformance.target import OAuth, Target
from conformance.verdict import Result, Verdict
from spec.catalogue import requirements

AT_ONCE = 10
"""Subjects examined side by side. Nearly all of their time is waiting; more would falsify the timed checks."""

ABREAST = 8
"""Probes side by side on a mutant, which may be caught by the first few."""

JUDGES = 1
"""Processes that judge; two cores are busy then, with the subjects' own server as the third."""

_FLAGS = (Result.FAIL, Result.WARN, Result.ERROR)


@dataclass(frozen=True)
class Subject:
    """One server of the index: a ``mutant`` with one deliberate defect, or a conformant ``variant``.

    ``says``: a regular expression for the detail of the verdict that catches the mutant.
    """

    name: str
    kind: Literal["mutant", "variant"]
    base_url: str
    dialect: str
    violates: tuple[str, ...]
    story: str
    keys: Mapping[str, str] = field(repr=False, default_factory=dict)
    says: str = ""
    oauth: Mapping[str, str] | None = field(repr=False, default=None)


@dataclass(frozen=True)
class Outcome:
    """What the suite said of one subject. ``hits`` are the flagged requirements that a mutant names. It is killed by
    one of them, if its detail points at the defect."""

    subject: Subject
    flagged: tuple[Verdict, ...]
    hits: tuple[Verdict, ...]
    calls: int
    seconds: float

    @property
    def killed(self) -> bool:
        return self.subject.kind == "mutant" and any(
            re.search(self.subject.says, v.detail) for v in self.hits
        )

    @property
    def false_alarm(self) -> bool:
        return self.subject.kind == "variant" and bool(self.flagged)


async def subjects(index_url: str) -> list[Subject]:
    """Read the index that the server of mutants publishes."""
    async with httpx.AsyncClient(trust_env=False) as client:
        listed: list[dict[str, Any]] = (await client.get(index_url)).raise_for_status().json()["subjects"]
    return [Subject(**{**s, "violates": tuple(s["violates"])}) for s in listed]


async def examine(subject: Subject, judges: Executor) -> Outcome:
    """Run the suite on one subject: all of it on a variant, the checks that must notice on a mutant.

    ``judges`` does the judging, so that it delays no probe that measures times.
    """
    began = time.perf_counter()
    ids = _ids(subject)
    dialect = load_dialect(subject.dialect)
    target = _target(subject)
    planned = plan(selected_checks(ids).values(), dialect, target)
    loop = asyncio.get_running_loop()
    flagged: tuple[Verdict, ...] = ()

    async def all_caught(evidence: Evidence) -> bool:
        nonlocal flagged
        flagged = await loop.run_in_executor(judges, _flagged, evidence, subject.dialect, ids)
        return {v.id for v in _hits(subject, flagged)} >= set(subject.violates)

    if subject.kind == "mutant":
        # What is flagged stays flagged, whatever else would be recorded: a mutant is done with when all is.
        evidence = await gather(target, dialect, planned.cheapest_first(ABREAST), enough=all_caught)
    else:
        evidence = await gather(target, dialect, planned)
        await all_caught(evidence)
    return Outcome(
        subject, flagged, _hits(subject, flagged), len(evidence.exchanges), time.perf_counter() - began
    )


def _target(subject: Subject) -> Target:
    oauth = OAuth(**subject.oauth) if subject.oauth else None
    return Target(subject.base_url, subject.dialect, keys=subject.keys, oauth=oauth)


async def verdicts_of(subject: Subject) -> list[Verdict]:
    """Run the whole suite on one subject, as on any target."""
    load_all()
    dialect, target, wanted = load_dialect(subject.dialect), _target(subject), requirements()
    evidence = await gather(target, dialect, plan(selected_checks(wanted).values(), dialect, target))
    return judge(evidence, dialect, wanted.values(), CHECKS)


def _leave_interrupts() -> None:
    # Ctrl-C reaches all processes of the terminal; the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _ids(subject: Subject) -> tuple[str, ...]:
    load_all()
    return subject.violates if subject.kind == "mutant" else tuple(requirements())


def _flagged(evidence: Evidence, dialect: str, ids: Sequence[str]) -> tuple[Verdict, ...]:
    load_all()
    wanted = [requirements()[i] for i in ids]
    verdicts = judge(evidence, load_dialect(dialect), wanted, selected_checks(ids))
    return tuple(v for v in verdicts if v.result in _FLAGS)


def _hits(subject: Subject, flagged: Iterable[Verdict]) -> tuple[Verdict, ...]:
    return tuple(v for v in flagged if v.id in subject.violates and v.result is not Result.ERROR)


async def examine_all(found: Iterable[Subject], done: Callable[[Outcome], None]) -> list[Outcome]:
    """Examine subjects side by side, variants first; ``done`` is told of each as it finishes."""
    slots = asyncio.Semaphore(AT_ONCE)
    # Whole runs take longest, so they start first.
    queue = sorted(found, key=lambda s: s.kind == "mutant")

    async def one(subject: Subject, judges: Executor) -> Outcome:
        async with slots:
            outcome = await examine(subject, judges)
        done(outcome)
        return outcome

    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(JUDGES, mp_context=spawn, initializer=_leave_interrupts) as judges:
        return list(await asyncio.gather(*(one(s, judges) for s in queue)))


def summary(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """The published numbers, and every name behind them."""
    listed = list(outcomes)
    mutants = [o for o in listed if o.subject.kind == "mutant"]
    variants = [o for o in listed if o.subject.kind == "variant"]
    killers = {v.id for o in mutants for v in o.hits}
    return {
        "mutants": len(mutants),
        "killed": sum(o.killed for o in mutants),
        "variants": len(variants),
        "false_alarms": sum(o.false_alarm for o in variants),
        "survivors": [o.subject.name for o in mutants if not o.killed],
        "flagged_variants": {
            o.subject.name: [f"{v.id} {v.detail}" for v in o.flagged] for o in variants if o.flagged
        },
        "checks": len(CHECKS),
        "checks_that_killed": len(killers),
        "seconds": {o.subject.name: round(o.seconds, 1) for o in listed},
        "matrix": {o.subject.name: {v.id: str(v.result) for v in o.hits} for o in mutants},
    }
