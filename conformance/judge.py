"""From evidence to verdicts. Pure: no network, no clock; the same evidence gives the same verdicts."""

from __future__ import annotations

import inspect
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from conformance.dialects.model import Dialect
from conformance.evidence import AUTHORIZATION_SERVER, Evidence
from conformance.offers import as_seen, not_offered
from conformance.reading import Probed, Reading, probed, readings_of
from conformance.recorded import doubtful, unseen
from conformance.registry import Check
from conformance.replicas import Naming
from conformance.verdict import Inconclusive, NotOffered, NotTested, Result, Verdict, Violation
from spec.catalogue import Requirement


@dataclass(frozen=True)
class Bench:
    """The evidence laid out for checks: each parameter name of a check resolves to its value."""

    evidence: Evidence
    dialect: Dialect

    @cached_property
    def readings(self) -> tuple[Reading, ...]:
        return readings_of(self.evidence, self.dialect)

    @cached_property
    def naming(self) -> Naming:
        """What the exchanges are called in details."""
        return Naming(self.evidence)

    @cached_property
    def exchanges(self) -> tuple[Reading, ...]:
        """Those with the API itself."""
        return tuple(r for r in self.readings if r.exchange.operation != AUTHORIZATION_SERVER)

    @cached_property
    def streams(self) -> tuple[Reading, ...]:
        """Streamed answers; the events of a job have a grammar of their own."""
        return tuple(
            r
            for r in self.exchanges
            if r.ok
            and r.exchange.is_sse
            and r.exchange.left_at is None
            and r.exchange.operation != "job_events"
        )

    def resolve(self, name: str) -> Any:
        """The value of a check's parameter."""
        broad: Mapping[str, Callable[[], Any]] = {
            "exchanges": lambda: self.exchanges,
            "streams": lambda: self.streams,
            "dialect": lambda: self.dialect,
            "target": lambda: self.evidence.target,
        }
        return broad[name]() if name in broad else self.probed(name)

    def probed(self, name: str) -> Probed:
        return probed(self.evidence, self.readings, name)


def judge(
    evidence: Evidence, dialect: Dialect, requirements: Iterable[Requirement], checks: Mapping[str, Check]
) -> list[Verdict]:
    """One verdict per requirement, in the order given."""
    dialect = as_seen(evidence, dialect)
    bench = Bench(evidence, dialect)
    return [
        verdict_without_check(r, dialect)
        if r.id not in checks
        else evaluate(checks[r.id], r, bench, {n: bench.resolve(n) for n in checks[r.id].needs})
        for r in requirements
    ]


def verdict_without_check(requirement: Requirement, dialect: Dialect) -> Verdict:
    """NOT_OFFERED where the capability is not offered anyway, else NOT_TESTED with the written reason."""
    why = not_offered(requirement, dialect)
    if why:
        return _verdict(requirement, Result.NOT_OFFERED, why)
    reason = requirement.unchecked or "no check exists for this requirement yet"
    return _verdict(requirement, Result.NOT_TESTED, f"not observable by this suite: {reason}")


def evaluate(check: Check, requirement: Requirement, bench: Bench, arguments: Mapping[str, Any]) -> Verdict:
    """Run one check on evidence. Never raises: an unexpected exception is the verdict ERROR."""
    clock = time.perf_counter()
    why = not_offered(requirement, bench.dialect)
    if why:
        return _verdict(requirement, Result.NOT_OFFERED, why, check)
    if blind := unseen(requirement, bench.evidence):
        return _verdict(requirement, Result.NOT_TESTED, blind, check)
    failed = [p for p in arguments.values() if isinstance(p, Probed) and p.record.outcome == "failed"]
    if failed:
        reason = "; ".join(f"probe {p.record.name} failed: {p.record.reason}" for p in failed)
        return _verdict(requirement, Result.ERROR, reason, check)
    told = bench.naming.prose
    try:
        detail = check.function(**arguments) or ""
    except Violation as violation:
        if doubt := doubtful(requirement, bench.evidence):
            return _verdict(requirement, Result.INCONCLUSIVE, told(f"{violation}; {doubt}"), check)
        result = Result.FAIL if requirement.level == "MUST" else Result.WARN
        evidence = (violation.at,) if violation.at else ()
        return Verdict(
            requirement.id, requirement.level, requirement.capability, result, told(str(violation)),
            violation.expected, told(violation.seen), violation.where, evidence, check.name,
            time.perf_counter() - clock,
        )  # fmt: skip
    except NotTested as signal:
        return _verdict(requirement, Result.NOT_TESTED, told(str(signal)), check)
    except Inconclusive as signal:
        return _verdict(requirement, Result.INCONCLUSIVE, told(str(signal)), check)
    except NotOffered as signal:
        return _verdict(requirement, Result.NOT_OFFERED, str(signal), check)
    except Exception as error:  # noqa: BLE001 - the suite's own bug is never the vendor's failure
        place = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__}: {error} (in {place.name}, line {place.lineno})"
        return _verdict(requirement, Result.ERROR, reason, check)
    return _verdict(requirement, Result.PASS, told(detail), check, time.perf_counter() - clock)


def _verdict(
    requirement: Requirement, result: Result, detail: str, check: Check | None = None, duration: float = 0.0
) -> Verdict:
    return Verdict(
        requirement.id,
        requirement.level,
        requirement.capability,
        result,
        detail,
        check=check.name if check else "",
        duration=duration,
    )


def source_line(check: Check) -> str:
    """Where the check is written, as ``file:line`` below the package."""
    code = inspect.unwrap(check.function).__code__
    return f"{check.function.__module__.replace('.', '/')}.py:{code.co_firstlineno}"
