"""The suite judged: every mutant must be killed, no variant may be flagged. Over HTTP only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from conformance.dialects.model import load_dialect
from conformance.gather import gather, plan
from conformance.judge import judge
from conformance.registry import CHECKS, load_all, selected_checks
from conformance.target import OAuth, Target
from conformance.verdict import Result, Verdict
from spec.catalogue import requirements

AT_ONCE = 5
_FLAGS = (Result.FAIL, Result.WARN, Result.ERROR)


@dataclass(frozen=True)
class Subject:
    """One server of the index: a ``mutant`` with one deliberate defect, or a conformant ``variant``."""

    name: str
    kind: Literal["mutant", "variant"]
    base_url: str
    dialect: str
    violates: tuple[str, ...]
    story: str
    keys: Mapping[str, str] = field(repr=False, default_factory=dict)
    oauth: Mapping[str, str] | None = field(repr=False, default=None)


@dataclass(frozen=True)
class Outcome:
    """What the suite said of one subject. ``hits`` are the flagged requirements that a mutant names."""

    subject: Subject
    flagged: tuple[Verdict, ...]
    hits: tuple[Verdict, ...]
    calls: int

    @property
    def killed(self) -> bool:
        return self.subject.kind == "mutant" and bool(self.hits)

    @property
    def false_alarm(self) -> bool:
        return self.subject.kind == "variant" and bool(self.flagged)


async def subjects(index_url: str) -> list[Subject]:
    """Read the index that the server of mutants publishes."""
    async with httpx.AsyncClient(trust_env=False) as client:
        listed: list[dict[str, Any]] = (await client.get(index_url)).raise_for_status().json()["subjects"]
    return [Subject(**{**s, "violates": tuple(s["violates"])}) for s in listed]


async def examine(subject: Subject) -> Outcome:
    """Run the suite on one subject: all of it on a variant, the checks that must notice on a mutant."""
    load_all()
    known = requirements()
    wanted = [known[i] for i in subject.violates] if subject.kind == "mutant" else list(known.values())
    checks = selected_checks(r.id for r in wanted)
    dialect = load_dialect(subject.dialect)
    oauth = OAuth(**subject.oauth) if subject.oauth else None
    target = Target(subject.base_url, dialect.name, keys=subject.keys, oauth=oauth)
    evidence = await gather(target, dialect, plan(checks.values(), dialect))
    verdicts = judge(evidence, dialect, wanted, checks)
    flagged = tuple(v for v in verdicts if v.result in _FLAGS)
    hits = tuple(v for v in flagged if v.id in subject.violates and v.result is not Result.ERROR)
    return Outcome(subject, flagged, hits, len(evidence.exchanges))


async def examine_all(found: Iterable[Subject], done: Callable[[Outcome], None]) -> list[Outcome]:
    """Examine subjects side by side; ``done`` is told of each as it finishes."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(subject: Subject) -> Outcome:
        async with slots:
            outcome = await examine(subject)
        done(outcome)
        return outcome

    return list(await asyncio.gather(*(one(s) for s in found)))


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
        "matrix": {o.subject.name: {v.id: str(v.result) for v in o.hits} for o in mutants},
    }
