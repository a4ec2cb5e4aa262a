"""The report: what was judged, how, and whether the gate passes. Every format is written from this."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from conformance.claims import Claim
from conformance.dialects.model import Dialect
from conformance.evidence import Evidence, Exchange
from conformance.gate.decide import Gate, decide
from conformance.gate.policy import Policy
from conformance.reading import Reading
from conformance.replicas import Naming, Replicas
from conformance.report.curl import curl_line
from conformance.verdict import Result, Verdict
from spec.catalogue import Requirement, areas

SCHEMA_ID = "urn:aiconform:report:1"


@dataclass(frozen=True)
class Report:
    """A finished judgement. ``verdicts`` keep catalogue order; ``evidence`` holds no credentials any more."""

    evidence: Evidence
    dialect: Dialect
    verdicts: tuple[Verdict, ...]
    requirements: Mapping[str, Requirement]
    claims: tuple[Claim, ...] = ()
    policy: Policy = field(default_factory=Policy)

    @cached_property
    def counts(self) -> Mapping[Result, int]:
        found = Counter(v.result for v in self.verdicts)
        return {r: found.get(r, 0) for r in Result}

    @property
    def judged(self) -> int:
        return sum(n for r, n in self.counts.items() if r.judged)

    @property
    def applicable(self) -> int:
        """Requirements that apply to this target: all but NOT_OFFERED."""
        return len(self.verdicts) - self.counts[Result.NOT_OFFERED]

    @cached_property
    def gate(self) -> Gate:
        """Whether the run passes, and why not."""
        return decide(self.verdicts, self.claims, self.policy)

    @cached_property
    def exchanges(self) -> Mapping[str, Exchange]:
        return {e.id: e for e in self.evidence.exchanges}

    @cached_property
    def naming(self) -> Naming:
        """What the exchanges are called in prose."""
        return Naming(self.evidence)

    @property
    def replica_lines(self) -> list[str]:
        """``replica 1: http://10.0.0.1/v1``, …; none where there is only one."""
        replicas = Replicas.of(self.evidence.target)
        return [replicas.name(base) for base in replicas.bases] if replicas.several else []

    def place(self, verdict: Verdict, most: int | None = None) -> str:
        """Where a verdict points: its first ``most`` exchanges (default: all), then the place in them."""
        shown = ", ".join(map(self.naming.exchange, verdict.evidence[:most]))
        return " ".join(part for part in (shown, verdict.where) if part)

    @cached_property
    def tokens(self) -> Mapping[str, int]:
        """Tokens that the answers of this run say they used; replays count once."""
        return _tokens(self)

    def worst_first(self) -> Sequence[Verdict]:
        order = [Result.FAIL, Result.ERROR, Result.WARN, Result.INCONCLUSIVE, Result.NOT_TESTED, Result.PASS]
        rank = {r: i for i, r in enumerate([*order, Result.NOT_OFFERED])}
        return sorted(self.verdicts, key=lambda v: rank[v.result])

    def reproduction(self, verdict: Verdict) -> str:
        """The curl line that sends the verdict's first exchange again, or an empty string."""
        exchange = next((self.exchanges[i] for i in verdict.evidence if i in self.exchanges), None)
        return curl_line(exchange) if exchange else ""

    def as_json(self) -> dict[str, Any]:
        """The machine-readable report; its JSON Schema is ``report.schema.json`` beside this module."""
        pairs = Counter((v.level, v.result) for v in self.verdicts)
        levels = {level: {str(r): pairs[level, r] for r in Result} for level in ("MUST", "SHOULD", "MAY")}
        return {
            "$schema": SCHEMA_ID,
            "suite_version": self.evidence.suite_version,
            "contract_version": self.evidence.contract_version,
            "target": dict(self.evidence.target),
            "dialect": {"name": self.dialect.name, "version": self.dialect.version},
            "started_at": datetime.fromtimestamp(self.evidence.started_at, UTC).isoformat(),
            "duration_seconds": round(self.evidence.duration, 3),
            "calls": len(self.evidence.exchanges),
            "tokens": dict(self.tokens),
            "summary": {
                "verdicts": {str(r): n for r, n in self.counts.items()},
                "levels": levels,
                "judged": self.judged,
                "applicable": self.applicable,
                "total": len(self.verdicts),
            },
            "gate": self.gate.as_json(),
            "claims": [claim.as_json() for claim in self.claims],
            "verdicts": [self._verdict_json(v) for v in self.verdicts],
        }

    def _verdict_json(self, verdict: Verdict) -> dict[str, Any]:
        requirement = self.requirements[verdict.id]
        bad = verdict.result in (Result.FAIL, Result.WARN)
        replicas = [self.naming.replica(identity) for identity in verdict.evidence]
        return {
            **verdict.as_json(),
            **({"replicas": replicas} if any(replicas) else {}),
            "text": requirement.text,
            "why": requirement.why if bad else "",
            "fix": requirement.fix if bad else "",
            "reproduce": self.reproduction(verdict) if bad else "",
        }


def counted(number: int, noun: str) -> str:
    """``1 check``, ``2 checks``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def area_title(name: str) -> str:
    """The catalogue's title of an area (``SSE``), or the name itself."""
    return next((area.title for area in areas() if area.name == name), name)


def _tokens(report: Report) -> dict[str, int]:
    total = {"input": 0, "output": 0}
    seen: set[str] = set()
    for exchange in report.evidence.exchanges:
        reading = Reading(exchange, report.dialect)
        if not reading.ok:
            continue
        if exchange.is_sse:
            usage, identity = (
                reading.stream.usage,
                next((str(p.value) for p in reading.stream.response_ids), ""),
            )
        else:
            facts = reading.facts
            usage = {k: facts[f"usage.{k}"].value for k in total if facts[f"usage.{k}"]}
            identity = str(facts["response_id"].value or "")
        if identity and identity in seen:
            continue
        seen.add(identity)
        for kind in total:
            count = usage.get(kind, 0)
            total[kind] += count if isinstance(count, int) else 0
    return total
