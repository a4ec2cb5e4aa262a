"""Run the planned probes against a target and keep what they recorded. Nothing here judges."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import Any

from conformance import __version__
from conformance.dialects.model import Dialect
from conformance.evidence import AUTHORIZATION_SERVER, Evidence, Exchange, ProbeRecord
from conformance.offers import not_offered
from conformance.registry import CHECKS, PROBES, Check, Probe
from conformance.run import Run, RunStopped
from conformance.session import NO_CLIENT, ProbeSkipped, Session
from conformance.target import Target
from conformance.wire.http import Wire
from conformance.wire.redact import CREDENTIAL_HEADERS, Redactor
from spec.catalogue import requirements
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
    shared: frozenset[str] = frozenset()
    """What several probes need, and is called once."""
    abreast: int | None = None
    """The most probes that run side by side; None: as many as can."""

    @property
    def calls(self) -> int:
        return sum(p.calls for p in self.probes) + len(self.shared)

    @property
    def tokens(self) -> int:
        return sum(p.tokens for p in self.probes)

    def cheapest_first(self, abreast: int) -> Plan:
        """The same probes in steps of ``abreast``, in each phase those of few calls first."""
        ordered = sorted(self.probes, key=lambda p: (p.phase, p.computes, p.calls, p.name))
        return replace(self, probes=tuple(ordered), abreast=abreast)

    def steps(self) -> Iterator[tuple[Probe, ...]]:
        """What runs side by side, in the order of the steps: a phase, those that compute apart."""
        for (phase, _), group in groupby(self.probes, key=lambda p: (p.phase, p.computes)):
            probes = tuple(group)
            size = 1 if phase == EXHAUSTING else self.abreast or len(probes)
            for start in range(0, len(probes), size):
                yield probes[start : start + size]


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
Enough = Callable[[Sequence[Exchange], Callable[[], Evidence]], Awaitable[bool]]
"""Is asked with the exchanges so far, as they were sent, and with a function that gives the evidence so far."""


def plan(checks: Iterable[Check], dialect: Dialect, target: Target) -> Plan:
    """The probes that the selected checks need; the baseline always runs. A probe is left out, with the reason, whose
    operations the dialect does not have, or whose checks are all about what the dialect does not offer."""
    selected = list(checks)
    wanted = {name for c in selected for name in c.probes if name != SECRETS} | {"baseline"}
    if any("exchanges" in c.needs or "streams" in c.needs for c in selected):
        wanted |= set(PROBES)
    idle = _idle(dialect)
    chosen: list[Probe] = []
    skipped: list[ProbeRecord] = []
    for name in sorted(wanted, key=lambda n: (PROBES[n].phase, PROBES[n].computes, n)):
        probe = PROBES[name]
        reason = _left_out(probe, dialect, target) or idle.get(name, "")
        if dialect.name != "contract":
            probe = replace(probe, calls=probe.vendor_calls)
        if probe.phase == BASELINE:
            probe = replace(
                probe, calls=probe.calls + len(target.replicas), tokens=probe.tokens * len(target.bases)
            )
        if reason:
            skipped.append(ProbeRecord(name, "skipped", reason))
        else:
            chosen.append(probe)
    return Plan(tuple(chosen), tuple(skipped), frozenset().union(*(p.shared_calls(dialect) for p in chosen)))


def _idle(dialect: Dialect) -> dict[str, str]:
    """The probes that only feed checks of what the dialect does not offer, each with why."""
    known = requirements()
    reasons: dict[str, list[str]] = {}
    for check in CHECKS.values():
        for name in check.probes:
            reasons.setdefault(name, []).append(not_offered(known[check.requirement], dialect))
    return {name: why[0] for name, why in reasons.items() if all(why) and name != "baseline"}


def _left_out(probe: Probe, dialect: Dialect, target: Target) -> str:
    """Why a probe cannot be sent to this target in this dialect; empty if it can."""
    if probe.client and target.oauth is None:
        return NO_CLIENT
    missing = [op for op in probe.operations if op not in dialect.operations]
    if missing:
        return f"the dialect {dialect.name} has no operation {', '.join(missing)}"
    if probe.document and target.document is None:
        return "needs the API's own OpenAPI document: --openapi FILE"
    if dialect.name != "contract" and probe.contract_only:
        return "only the contract's own format has this"
    if probe.provocations and not any(p in dialect.provocations for p in probe.provocations):
        return f"needs a provocation for '{probe.provocations[0]}', which neither dialect nor target declares"
    return ""


async def gather(
    target: Target,
    dialect: Dialect,
    planned: Plan,
    *,
    watch: Watcher = lambda _: None,
    after_baseline: Callable[[Sequence[Exchange]], None] = lambda _: None,
    enough: Enough | None = None,
    crowd: AbstractAsyncContextManager[object] | None = None,
) -> Evidence:
    """Run the probes by phase: the baseline, then all that can run side by side, then those that exhaust limits.

    ``after_baseline`` may raise to end the run early (an unusable target). ``enough`` is asked after each step;
    True ends the run. ``crowd`` is held while more than one probe is under way, by
    whom runs on many targets would get in each other's way.

    Raises:
        Interrupted: the run was cancelled; carries the evidence recorded so far.
    """
    started, clock = time.time(), time.perf_counter()
    records = {r.name: r for r in planned.skipped}
    progress = Progress(planned)
    interrupted = False
    trusted = target.ca_bundle or target.verify
    kept = sum(p.calls for p in planned.probes if p.phase == EXHAUSTING)
    shown, bare = (
        Wire(verify=trusted, proxy=target.proxy, certificate=c) for c in (target.certificate, None)
    )
    async with shown as wire, bare:
        run = Run(target, dialect, wire, lambda n: _advance(progress, watch, n), bare, kept)
        redactor = Redactor()

        def recorded(missing: str) -> Evidence:
            duration = time.perf_counter() - clock
            return _evidence(planned, run, records, missing, started, duration, redactor)

        try:
            for step in planned.steps():
                async with crowd if crowd and len(step) > 1 else nullcontext():
                    await _step(step, run, records, progress, watch)
                if step[0].phase == BASELINE:
                    after_baseline(run.exchanges)
                if enough and await enough(run.exchanges, partial(recorded, "not needed any more")):
                    break
        except asyncio.CancelledError:
            interrupted = True
    evidence = recorded("the run was interrupted" if interrupted else "not needed any more")
    if interrupted:
        raise Interrupted(evidence)
    return evidence


async def _step(
    probes: Sequence[Probe],
    run: Run,
    records: dict[str, ProbeRecord],
    progress: Progress,
    watch: Watcher,
) -> None:
    async def one(probe: Probe) -> None:
        records[probe.name] = await _probe(probe, run, progress, watch)

    await asyncio.gather(*(one(p) for p in probes))


def _evidence(
    planned: Plan,
    run: Run,
    records: Mapping[str, ProbeRecord],
    missing: str,
    started: float,
    duration: float,
    redactor: Redactor,
) -> Evidence:
    """All that was recorded until now, redacted. ``missing`` says why a planned probe has no record."""
    target = run.target
    secrets = (*target.secrets, *run.issued)
    not_run = {p.name: ProbeRecord(p.name, "stopped", missing) for p in planned.probes}
    leaks = ProbeRecord(SECRETS, "done", notes={"leaks": leaking(run.exchanges, target.secrets, run.issued)})
    kept = {**not_run, **records, SECRETS: leaks}
    evidence = Evidence(
        target={**target.public(), "calls_planned": planned.calls, "budget": _account(run, kept)},
        dialect=run.dialect.name,
        started_at=started,
        duration=duration,
        probes=kept,
        exchanges=tuple(sorted(run.exchanges, key=lambda e: e.id)),
        suite_version=__version__,
        contract_version=contract_version(),
    )
    return redactor.evidence(evidence, (*secrets, *run.secrets))


def _account(run: Run, records: Mapping[str, ProbeRecord]) -> dict[str, Any]:
    """What was granted and spent, and which probes the end of the budget left unfinished."""
    granted = {k: v for k, v in asdict(run.ledger.budget).items() if v is not None}
    ended = run.ledger.stopped
    unfinished = sorted(r.name for r in records.values() if r.outcome == "stopped") if ended else []
    return {"granted": granted, "spent": run.ledger.spent(), "ended": ended, "unfinished": unfinished}


def _advance(progress: Progress, watch: Watcher, calls: int) -> None:
    progress.calls = calls
    watch(progress)


async def _probe(probe: Probe, run: Run, progress: Progress, watch: Watcher) -> ProbeRecord:
    session = Session(run, probe.name, exhausts=probe.phase == EXHAUSTING)
    progress.running.append(probe.name)
    watch(progress)
    try:
        async with asyncio.timeout(run.ledger.seconds_left()):
            await probe.function(session)
    except TimeoutError:
        return session.record("stopped", run.ledger.out_of_time())
    except ProbeSkipped as skipped:
        return session.record("skipped", str(skipped))
    except RunStopped as stopped:
        return session.record("stopped", str(stopped))
    except Exception as error:  # noqa: BLE001 - the suite's own fault must not end the run; it becomes ERROR
        return session.record("failed", f"{type(error).__name__}: {error}")
    finally:
        with suppress(ValueError):
            progress.running.remove(probe.name)
        progress.done += 1
        watch(progress)
    return session.record("done")


def leaking(exchanges: Iterable[Exchange], given: Collection[str], issued: Collection[str]) -> list[str]:
    """Exchanges that repeat a credential. What the authorization server issues, it has to say once."""
    own, others = (
        [(s, s.encode()) for s in secrets if len(s) >= 6] for secrets in (given, (*given, *issued))
    )
    return [
        e.id
        for e in exchanges
        if any(
            not _said_elsewhere(e, secret)
            for secret in _repeated(e, own if e.operation == AUTHORIZATION_SERVER else others)
        )
    ]


def _repeated(exchange: Exchange, secrets: Iterable[tuple[str, bytes]]) -> list[str]:
    content, head = exchange.content, "\n".join(value for _, value in exchange.headers)
    return [text for text, spelled in secrets if spelled in content or text in head]


def _said_elsewhere(exchange: Exchange, secret: str) -> bool:
    """Whether the request had the same text where no credential belongs: to repeat that gives nothing away.
    Generated values come from a dictionary, too, and hit on a short key now and then."""
    sent = exchange.sent
    return secret.encode() in sent.body or any(
        secret in value for name, value in sent.headers if name.lower() not in CREDENTIAL_HEADERS
    )
