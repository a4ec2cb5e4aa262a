"""One rule of a dialect, compiled: where a fact is, and which of the closed conversions apply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from conformance.dialects.facts import Fact
from conformance.dialects.paths import Path, compile_path
from conformance.dialects.transforms import (
    CONVERSIONS,
    SECONDS,
    Convert,
    Refused,
    http_date,
    rate_limit_parameter,
)
from conformance.evidence import Exchange

Take = Literal["last", "max", "sum"]
CLOCK_SKEW = 2.0
"""Seconds by which the server's Date may differ from our clock before its clock is the one to count from."""


@dataclass(frozen=True, slots=True)
class Source:
    """One alternative of a rule. Exactly one of ``select``, ``header`` and ``is_const`` is set."""

    select: Path | None = None
    header: str | None = None
    is_const: bool = False
    const: Any = None
    join: str | None = None
    sum: bool = False
    policy: tuple[str, str] | None = None
    convert: Convert | None = None
    mapping: Mapping[str, Any] | None = None
    default: Any = None
    events: frozenset[str] | None = None

    @property
    def where(self) -> str:
        if self.select is not None:
            return self.select.where
        return f"header {self.header}" if self.header is not None else "dialect"


@dataclass(frozen=True, slots=True)
class Rule:
    """All alternatives of one fact in order, or the reason why the vendor's format has no place for it."""

    sources: tuple[Source, ...] = ()
    unsupported: str | None = None
    take: Take = "last"

    def read(self, document: Any, exchange: Exchange, event: str | None = None) -> Fact:
        """The first alternative that gives a value other than null.

        ``event`` is the name of the event if the document is the data of one.
        """
        if self.unsupported is not None:
            return Fact(None, self.unsupported, "unsupported")
        for source in self.sources:
            if event is not None and source.events is not None and event not in source.events:
                continue
            try:
                found = _read(source, document, exchange)
            except Refused:
                continue
            if found is not None and found[1] is not None:
                return Fact(found[1], found[0])
        return Fact(None, self.sources[0].where if self.sources else "", "absent")


NO_RULE = Rule(unsupported="the dialect says nothing about it")


def compile_rule(spec: Any) -> Rule:
    """A rule as written in YAML (already valid against the schema). Raises ``ValueError`` for a bad path."""
    if isinstance(spec, Mapping) and "unsupported" in spec:
        return Rule(unsupported=str(spec["unsupported"]))
    alternatives: Sequence[Any] = spec if isinstance(spec, list) else [spec]
    take: Take = next((a["take"] for a in alternatives if isinstance(a, Mapping) and "take" in a), "last")
    return Rule(tuple(_compile_source(a) for a in alternatives), take=take)


def _compile_source(spec: str | Mapping[str, Any]) -> Source:
    if isinstance(spec, str):
        return Source(select=compile_path(spec))
    rate_limit = spec.get("sf_ratelimit")
    convert = SECONDS[spec["seconds"]] if "seconds" in spec else CONVERSIONS.get(spec.get("as", ""))
    return Source(
        select=compile_path(spec["select"]) if "select" in spec else None,
        header=spec.get("header"),
        is_const="const" in spec,
        const=spec.get("const"),
        join=spec.get("join"),
        sum=spec.get("sum", False),
        policy=(rate_limit["policy"], rate_limit["parameter"]) if rate_limit else None,
        convert=convert,
        mapping=spec.get("map"),
        default=spec.get("default"),
        events=frozenset(spec["events"]) if "events" in spec else None,
    )


def _read(source: Source, document: Any, exchange: Exchange) -> tuple[str, Any] | None:
    """``(where, value)``; None if nothing is there."""
    found = _select(source, document, exchange)
    if found is None or found[1] is None:
        return None
    where, value = found
    if source.convert is not None:
        value = source.convert(value, answered_at(exchange))
    if source.mapping is not None:
        key = value if isinstance(value, str) else str(value)
        value = source.mapping.get(key, source.default)
    return where, value


def _select(source: Source, document: Any, exchange: Exchange) -> tuple[str, Any] | None:
    if source.select is not None:
        return _combine(source, source.select.find(document))
    if source.header is not None:
        value = exchange.header(source.header)
        if value is None:
            return None
        if source.policy is not None:
            return source.where, rate_limit_parameter(value, *source.policy)
        return source.where, value.strip(" \t")
    return "dialect", source.const


def _combine(source: Source, nodes: list[tuple[str, Any]]) -> tuple[str, Any] | None:
    if source.join is not None:
        texts = [(where, value) for where, value in nodes if isinstance(value, str)]
        return (texts[0][0], source.join.join(t for _, t in texts)) if texts else None
    if source.sum:
        numbers = [(w, v) for w, v in nodes if isinstance(v, int | float) and not isinstance(v, bool)]
        return (numbers[0][0], sum(n for _, n in numbers)) if numbers else None
    return nodes[0] if nodes else None


def answered_at(exchange: Exchange) -> float:
    """Unix time from which the answer's instants count.

    That is when its head arrived by our clock; if the server's ``Date`` shows that the clocks disagree, it
    is the server's time, since its instants come from the same clock. Never raises.
    """
    arrived = exchange.started_at + (exchange.t_headers or 0.0)
    date = exchange.header("date")
    if date is not None:
        try:
            server = http_date(date)
        except Refused:
            return arrived
        if abs(server - arrived) > CLOCK_SKEW:
            return server
    return arrived
