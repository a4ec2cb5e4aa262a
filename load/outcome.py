"""A finished run: its numbers, whether they can be trusted, and whether they are good enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from load.errors import FAILED, INVALID, OK, UNREACHABLE, WEBHOOK_REFUSED
from load.options import Config
from load.slo import Judged, Objective, contract_objectives, judge, read_objectives
from load.tally import Tally

RATE_KEPT = 0.95
"""Share of the requested rate that the client must have offered."""

UNREACHABLE_CODES = frozenset({"connect", "tls"})


def objectives_of(config: Config) -> tuple[Objective, ...]:
    """The file's objectives, or those of the contract if the contract is spoken and no file is given."""
    if config.slo:
        return read_objectives(config.slo)
    return contract_objectives() if config.dialect.name == "contract" else ()


@dataclass(frozen=True)
class Outcome:
    """A run that has ended. ``lost``: workers whose last report never came."""

    config: Config
    objectives: Sequence[Objective]
    tally: Tally
    started_at: float
    seconds: float
    users: int
    shards: int = 1
    lost: tuple[str, ...] = ()
    stopped: str = ""

    @cached_property
    def judged(self) -> list[Judged]:
        return judge(self.objectives, self.tally, self.seconds)

    @property
    def loop(self) -> str:
        if self.config.plan is None:
            return f"closed loop, {self.users} users: the rate follows the server"
        kind = "Poisson" if self.config.plan.poisson else "even"
        return f"open loop, {self.config.plan.label}, {kind} arrivals: latency counts from the intended start"

    @property
    def span(self) -> float:
        """Seconds in which arrivals could begin, by the clocks of the processes (which start one after another)."""
        return self.tally.own["span_ms"] / 1000 / self.shards or self.seconds

    @property
    def offered(self) -> float:
        """Arrivals per second that the plan held, by the clocks of the processes; 0 in a closed loop."""
        return self.tally.own["planned"] / self.span

    @property
    def started_rate(self) -> float:
        """Arrivals per second that were begun."""
        own = self.tally.own
        return (own["scheduled"] - own["dropped"]) / self.span

    @property
    def cpu(self) -> float:
        """Mean share of a core that a load process used."""
        return self.tally.own["cpu_us"] / max(1, self.tally.own["watched_us"])

    @cached_property
    def doubts(self) -> list[str]:
        """Why the times cannot be trusted; empty for a valid run."""
        config, tally, found = self.config, self.tally, []
        budget = config.budget * 1000
        if (late := tally.loop_lag.quantile(0.99) * 1000) > budget:
            found.append(f"our own loop was {late:.1f} ms late (p99); the error budget is {budget:g} ms")
        if config.plan is not None:
            if (late := tally.lag.quantile(0.99) * 1000) > budget:
                found.append(f"requests began {late:.1f} ms late (p99); the error budget is {budget:g} ms")
            if tally.own["dropped"]:
                found.append(f"{tally.own['dropped']:,} arrivals were not sent: --max-in-flight was reached")
            if self.started_rate < RATE_KEPT * self.offered:
                found.append(
                    f"{self.started_rate:.1f} of the {self.offered:.1f} arrivals/s asked for were begun"
                )
        if self.cpu > config.max_cpu:
            found.append(
                f"the client used {self.cpu:.0%} of its core; more processes are needed (--processes)"
            )
        if self.lost:
            found.append(
                f"worker lost: {', '.join(self.lost)}; what it did since its last report is not counted"
            )
        return found

    @property
    def valid(self) -> bool:
        return not self.doubts

    @cached_property
    def violated(self) -> list[str]:
        """MUST requirements that were broken."""
        from load.verdicts import verdicts_of

        return [v["id"] for v in verdicts_of(self) if v["verdict"] == "FAIL"]

    @property
    def unreachable(self) -> bool:
        """Whether no request at all was answered."""
        codes = {c for o in self.tally.operations.values() for c in o.codes}
        return not self.tally.total("ok") and bool(codes) and codes <= UNREACHABLE_CODES

    @property
    def reasons(self) -> list[str]:
        """Why the gate does not pass, validity aside."""
        found = []
        if self.unreachable:
            return [f"the target cannot be reached: {self.config.target.base_url}"]
        if self.stopped.startswith(WEBHOOK_REFUSED):
            found.append(self.stopped)
        if violated := self.violated:
            found.append(f"{len(violated)} MUST requirements not kept under load: {', '.join(violated)}")
        for judged in self.judged:
            if not judged.met:
                o = judged.objective
                seen = "nothing measured" if judged.seen is None else f"{judged.seen:.4g}{o.unit}"
                found.append(f"objective missed: {o.name} {o.relation} {o.bound:g}{o.unit}, seen {seen}")
        if not self.tally.total("requests"):
            found.append("nothing was measured")
        return found

    @property
    def exit_code(self) -> int:
        """3 unreachable; 1 a MUST is broken (bytes do not depend on our clock); 4 INVALID; 1 an objective missed."""
        if self.unreachable or not self.tally.total("requests"):
            return UNREACHABLE
        if self.violated:
            return FAILED
        if not self.valid:
            return INVALID
        return FAILED if self.reasons else OK
