"""Run the planned probes against a target and keep what they recorded. Nothing here judges."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from conformance import __version__
from conformance.dialects.model import Dialect
from conformance.evidence import Evidence, Exchange, ProbeRecord
from conformance.registry import PROBES, Check, Probe
from conformance.session import ProbeSkipped, Run, RunStopped, Session
from conformance.target import Target
from conformance.wire.http import Wire
from conformance.wire.redact import redact_evidence
from spec.document import contract_version

BASELINE = 0
"""The phase of the probe that runs first: if it fails, the target may be unusable."""

EXHAUSTING = 2
"""The phase of the probes that run alone and last, because they use limits up."""

SECRETS = "secrets"
"""The record that names exchanges whose response held one of the run's own credentials (judged by AUTH-16)."""


@dataclass(frozen=True)
class Plan:
    """Which probes will run, and the most they may cost."""

    probes: tuple[Probe, ...]
    skipped: tuple[ProbeRecord, ...]

    @property
    def calls(self) -> int:
        return sum(p.calls for p in self.probes)

    @property
    def tokens(self) -> int:
        return sum(p.tokens for p in self.probes)


@dataclass
class Progress:
    """What a display needs while a run is under way."""

    plan: Plan
    calls: int = 0
    running: list[str] = field(default_factory=list)
    done: int = 0


class Interrupted(Exception):  # noqa: N818 - a signal
    """The run was cancelled from outside; ``evidence`` holds what was recorded until then."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__("interrupted")
        self.evidence = evidence


Watcher = Callable[[Progress], None]


def plan(checks: Iterable[Check], dialect: Dialect) -> Plan:
    """The probes that the selected checks need; the baseline always runs. A probe whose operations the dialect
    does not have is left out with the reason."""
    wanted = {name for c in checks for name in c.probes if name != SECRETS} | {"baseline"}
    if any("exchanges" in c.needs or "streams" in c.needs for c in checks):
        wanted |= set(PROBES)
    chosen: list[Probe] = []
    skipped: list[ProbeRecord] = []
    for name in sorted(wanted, key=lambda n: (PROBES[n].phase, n)):
        probe = PROBES[name]
        missing = [op for op in probe.operations if op not in dialect.operations]
        if missing:
            reason = f"the dialect {dialect.name} has no operation {', '.join(missing)}"
            skipped.append(ProbeRecord(name, "skipped", reason))
        else:
            chosen.append(probe)
    return Plan(tuple(chosen), tuple(skipped))


async def gather(
    target: Target,
    dialect: Dialect,
    planned: Plan,
    *,
    watch: Watcher = lambda _: None,
    after_baseline: Callable[[Sequence[Exchange]], None] = lambda _: None,
) -> Evidence:
    """Run the probes by phase: the baseline, then all that can run side by side, then those that exhaust limits.

    ``after_baseline`` may raise to end the run early (an unusable target).

    Raises:
        Interrupted: the run was cancelled; carries the evidence recorded so far.
    """
    started, clock = time.time(), time.perf_counter()
    records = {r.name: r for r in planned.skipped}
    progress = Progress(planned)
    interrupted = False
    async with Wire(verify=target.ca_bundle or target.verify) as wire:
        run = Run(target, dialect, wire, on_call=lambda n: _advance(progress, watch, n))
        try:
            for phase in sorted({p.phase for p in planned.probes}):
                await _phase(phase, planned, run, records, progress, watch)
                if phase == BASELINE:
                    after_baseline(run.exchanges)
        except asyncio.CancelledError:
            interrupted = True
    for probe in planned.probes:
        records.setdefault(probe.name, ProbeRecord(probe.name, "stopped", "the run was interrupted"))
    records[SECRETS] = ProbeRecord(
        SECRETS, "done", notes={"leaks": _leaks(run.exchanges, target.keys.values())}
    )
    evidence = Evidence(
        target={**run.target.public(), "calls_planned": planned.calls},
        dialect=dialect.name,
        started_at=started,
        duration=time.perf_counter() - clock,
        probes=records,
        exchanges=tuple(sorted(run.exchanges, key=lambda e: e.id)),
        suite_version=__version__,
        contract_version=contract_version(),
    )
    clean = redact_evidence(evidence, (*target.keys.values(), *run.secrets))
    if interrupted:
        raise Interrupted(clean)
    return clean


async def _phase(
    phase: int, planned: Plan, run: Run, records: dict[str, ProbeRecord], progress: Progress, watch: Watcher
) -> None:
    probes = [p for p in planned.probes if p.phase == phase]
    side_by_side = asyncio.Semaphore(1 if phase == EXHAUSTING else len(probes))

    async def one(probe: Probe) -> None:
        async with side_by_side:
            records[probe.name] = await _probe(probe, run, progress, watch)

    await asyncio.gather(*(one(p) for p in probes))


def _advance(progress: Progress, watch: Watcher, calls: int) -> None:
    progress.calls = calls
    watch(progress)


async def _probe(probe: Probe, run: Run, progress: Progress, watch: Watcher) -> ProbeRecord:
    session = Session(run, probe.name, exhausts=probe.phase == EXHAUSTING)
    progress.running.append(probe.name)
    watch(progress)
    try:
        await probe.function(session)
    except ProbeSkipped as skipped:
        return ProbeRecord(probe.name, "skipped", str(skipped), session.notes)
    except RunStopped as stopped:
        return ProbeRecord(probe.name, "stopped", str(stopped), session.notes)
    except Exception as error:  # noqa: BLE001 - the suite's own fault must not end the run; it becomes ERROR
        return ProbeRecord(probe.name, "failed", f"{type(error).__name__}: {error}", session.notes)
    finally:
        with suppress(ValueError):
            progress.running.remove(probe.name)
        progress.done += 1
        watch(progress)
    return ProbeRecord(probe.name, "done", "", session.notes)


def _leaks(exchanges: Iterable[Exchange], secrets: Collection[str]) -> list[str]:
    needles = [s.encode() for s in secrets if len(s) >= 6]
    return [
        e.id
        for e in exchanges
        if any(n in e.content or any(n.decode() in v for _, v in e.headers) for n in needles)
    ]
