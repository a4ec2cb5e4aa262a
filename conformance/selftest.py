"""The suite judged: every mutant must be killed, no variant may be flagged. Over HTTP only."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import re
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import httpx

from conformance.dialects.model import load_dialect
from conformance.evidence import Evidence, Exchange
from conformance.gather import gather, plan
from conformance.judge import judge
from conformance.registry import CHECKS, Check, load_all, selected_checks
from conformance.target import OAuth, Target
from conformance.verdict import Result, Verdict
from spec.catalogue import requirements

MUTANTS, VARIANTS = 12, 12
"""Subjects examined side by side. Nearly all of their time is waiting."""

CROWD = 3
"""Variants whose probes run side by side, at a time. The others are at the probes that run alone, which wait for
windows of limits. More would falsify the timed checks."""

ABREAST = 8
"""Probes side by side on a mutant, which may be caught by the first few."""

JUDGES = 1
"""Processes that judge; two cores are busy then, with the subjects' own server as the third."""

_FLAGS = (Result.FAIL, Result.WARN, Result.ERROR)


@dataclass(frozen=True)
class Subject:
    """One server of the index: a ``mutant`` with one deliberate defect, or a conformant ``variant``. ``stop_url``:
    where to say that it is done with, so that it takes no more time and memory. ``slow``: it takes about a minute.

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
    stop_url: str = ""
    slow: bool = False


@dataclass(frozen=True)
class Outcome:
    """What the suite said of one subject. ``hits`` are the flagged requirements that a mutant names. It is killed by
    one of them, if its detail points at the defect. ``undecided`` are those of them that came out INCONCLUSIVE.
    ``alone``: it was examined with no other beside it."""

    subject: Subject
    flagged: tuple[Verdict, ...]
    hits: tuple[Verdict, ...]
    calls: int
    seconds: float
    undecided: tuple[Verdict, ...] = ()
    alone: bool = False

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


async def examine(subject: Subject, judges: Executor, crowd: asyncio.Semaphore) -> Outcome:
    """Run the suite on one subject: all of it on a variant, the checks that must notice on a mutant.

    ``judges`` does the judging, so that it delays no probe that measures times.
    """
    began = time.perf_counter()
    ids = subject.violates if subject.kind == "mutant" else tuple(requirements())
    dialect = load_dialect(subject.dialect)
    target = _target(subject)
    checks = selected_checks(ids)
    planned = plan(checks.values(), dialect, target)
    loop = asyncio.get_running_loop()
    told: tuple[Verdict, ...] = ()
    seen = 0

    async def judged(evidence: Evidence) -> tuple[Verdict, ...]:
        return await loop.run_in_executor(judges, _judged, evidence, subject.dialect, ids)

    async def all_caught(exchanges: Sequence[Exchange], evidence: Callable[[], Evidence]) -> bool:
        nonlocal told, seen
        if any(concerns(check, exchanges[seen:]) for check in checks.values()):
            told, seen = await judged(evidence()), len(exchanges)
        return {v.id for v in _hits(subject, told)} >= set(ids)

    if subject.kind == "mutant":
        # What is flagged stays flagged, whatever else would be recorded: a mutant is done with when all is.
        evidence = await gather(target, dialect, planned.cheapest_first(ABREAST), enough=all_caught)
    else:
        evidence = await gather(target, dialect, planned, crowd=crowd)
    if subject.kind == "variant" or not {v.id for v in _hits(subject, told)} >= set(ids):
        told = await judged(evidence)
    return Outcome(
        subject,
        tuple(v for v in told if v.result in _FLAGS),
        _hits(subject, told),
        len(evidence.exchanges),
        time.perf_counter() - began,
        tuple(v for v in told if v.result is Result.INCONCLUSIVE and v.id in subject.violates),
    )


def concerns(check: Check, exchanges: Iterable[Exchange]) -> bool:
    """Whether these exchanges may change what a check says."""
    return any(e.probe in check.needs for e in exchanges) or not {"exchanges", "streams"}.isdisjoint(
        check.needs
    )


def _target(subject: Subject) -> Target:
    oauth = OAuth(**subject.oauth) if subject.oauth else None
    return Target(subject.base_url, subject.dialect, keys=subject.keys, oauth=oauth)


async def verdicts_of(subject: Subject, crowd: asyncio.Semaphore | None = None) -> list[Verdict]:
    """Run the whole suite on one subject, as on any target; ``crowd`` as for :func:`~conformance.gather.gather`."""
    load_all()
    dialect, target, wanted = load_dialect(subject.dialect), _target(subject), requirements()
    planned = plan(selected_checks(wanted).values(), dialect, target)
    evidence = await gather(target, dialect, planned, crowd=crowd)
    return judge(evidence, dialect, wanted.values(), CHECKS)


def _prepare_judge() -> None:
    # Ctrl-C reaches all processes of the terminal; the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    load_all()
    _collect_less()


def _judged(evidence: Evidence, dialect: str, ids: Sequence[str]) -> tuple[Verdict, ...]:
    wanted = [requirements()[i] for i in ids]
    return tuple(judge(evidence, load_dialect(dialect), wanted, selected_checks(ids)))


def _hits(subject: Subject, told: Iterable[Verdict]) -> tuple[Verdict, ...]:
    return tuple(v for v in told if v.id in subject.violates and v.result in (Result.FAIL, Result.WARN))


async def examine_all(found: Iterable[Subject], done: Callable[[Outcome], None]) -> list[Outcome]:
    """Examine subjects side by side; ``done`` is told of each as it finishes.

    A mutant that survived because a verdict was INCONCLUSIVE, which our own load may cause, is examined again at the
    end, alone. A flagged variant never is.
    """
    load_all()
    slots = {"mutant": asyncio.Semaphore(MUTANTS), "variant": asyncio.Semaphore(VARIANTS)}
    crowd = asyncio.Semaphore(CROWD)

    async def one(subject: Subject, judges: Executor, client: httpx.AsyncClient) -> Outcome:
        async with slots[subject.kind]:
            outcome = await examine(subject, judges, crowd)
            if subject.stop_url:
                await client.delete(subject.stop_url)
        if not doubtful(outcome):
            done(outcome)
        return outcome

    async def again(outcome: Outcome, judges: Executor) -> Outcome:
        if doubtful(outcome):
            outcome = replace(await examine(outcome.subject, judges, crowd), alone=True)
            done(outcome)
        return outcome

    _collect_less()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(JUDGES, mp_context=spawn, initializer=_prepare_judge) as judges:
        async with httpx.AsyncClient(trust_env=False) as client:
            slow_first = sorted(found, key=lambda s: not s.slow)
            together = await asyncio.gather(*(one(s, judges, client) for s in slow_first))
        return [await again(o, judges) for o in together]


def doubtful(outcome: Outcome) -> bool:
    """Whether a mutant may have survived because of our own load only."""
    return outcome.subject.kind == "mutant" and not outcome.killed and bool(outcome.undecided)


def _collect_less() -> None:
    # A pause of the collector falsifies every time that is measured meanwhile.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


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
