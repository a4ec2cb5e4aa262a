"""A dialect's stream rules compiled for speed: which rules can apply to an event of a given shape.

The rules themselves stay the dialect's. An event is looked up by its name and the names of its top members; only
the rules that select one of those members are read. A test holds the result equal to ``read_stream``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from conformance.dialects.interpret import read_event_error
from conformance.dialects.model import Dialect
from conformance.dialects.rules import Rule, Source
from conformance.dialects.transforms import Refused
from conformance.evidence import Exchange, Sent

Reader = Callable[[Any], Any]
"""From an event's document to the value of one fact, None if it is absent."""

UNUSED = ("sequence_number", "trace_id")
"""Facts that no check under load needs."""

MAX_SHAPES = 512


@dataclass(frozen=True, slots=True)
class Shape:
    """What to read in events of one shape: ``(fact, reader)`` in the dialect's order.

    ``member`` is set where the text is simply a top member of that name, as ``delta`` reads it too."""

    delta: Reader | None
    member: str | None
    facts: tuple[tuple[str, Reader], ...]
    maybe_error: bool


@dataclass(frozen=True, slots=True)
class Member:
    """Reads one top member of an event's document."""

    member: str

    def __call__(self, document: Any) -> Any:
        return document.get(self.member) if type(document) is dict else None


class StreamPlan:
    """The compiled grammar of one dialect's streams. ``shape`` answers from a cache."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.rules = dialect.stream
        self.is_contract = dialect.name == "contract"
        self._shapes: dict[tuple[str, tuple[str, ...]], Shape] = {}

    def shape(self, name: str, document: Any) -> Shape:
        """What may be read in an event of this name with this document."""
        key = (name, tuple(document) if type(document) is dict else ())
        found = self._shapes.get(key)
        if found is None:
            if len(self._shapes) >= MAX_SHAPES:
                self._shapes.clear()  # a hostile server: memory stays bounded
            found = self._shapes[key] = self._compile(name, document)
        return found

    def _compile(self, name: str, document: Any) -> Shape:
        members = frozenset(document) if type(document) is dict else None
        delta: Reader | None = None
        facts: list[tuple[str, Reader]] = []
        for fact, rule in self.rules.facts.items():
            reader = None if fact in UNUSED else _rule_reader(rule, name, members)
            if reader is None:
                continue
            if fact == "text_delta":
                delta = reader
            else:
                facts.append((fact, reader))
        return Shape(delta, getattr(delta, "member", None), tuple(facts), self._maybe_error(name, members))

    def _maybe_error(self, name: str, members: frozenset[str] | None) -> bool:
        error = self.rules.error
        if error is None:
            return False
        if name in error.events:
            return True
        steps = error.when.steps if error.when is not None else None
        if steps and members is not None:
            return steps[0] in members
        return error.when is not None


def _rule_reader(rule: Rule, name: str, members: frozenset[str] | None) -> Reader | None:
    """A reader of the alternatives that can apply, None if none can."""
    if rule.unsupported is not None:
        return None
    possible = [s for s in rule.sources if _can_apply(s, name, members)]
    if not possible:
        return None
    readers = [_source_reader(s) for s in possible]
    if None in readers:
        return lambda document: rule.read(document, NO_EXCHANGE, name).value
    simple = [r for r in readers if r is not None]
    if len(simple) == 1:
        return simple[0]

    def first(document: Any) -> Any:
        return next((v for r in simple if (v := r(document)) is not None), None)

    return first


def _can_apply(source: Source, name: str, members: frozenset[str] | None) -> bool:
    if source.events is not None and name not in source.events:
        return False
    steps = source.select.steps if source.select is not None else None
    if not steps or members is None:
        return True
    return steps[0] in members


def _source_reader(source: Source) -> Reader | None:
    """A direct reader of a source that selects one place; None for any other kind of source."""
    if source.select is None or source.select.steps is None or source.join is not None or source.sum:
        return None
    steps = source.select.steps
    convert, mapping, default = source.convert, source.mapping, source.default
    if len(steps) == 1 and isinstance(steps[0], str) and convert is None and mapping is None:
        return Member(steps[0])

    def walk(document: Any) -> Any:
        value = document
        for step in steps:
            if isinstance(step, str):
                if type(value) is not dict or step not in value:
                    return None
            elif type(value) is not list or not -len(value) <= step < len(value):
                return None
            value = value[step]
        if value is None:
            return None
        if convert is not None:
            try:
                value = convert(value, 0.0)
            except Refused:
                return None
            if value is None:
                return None
        if mapping is not None:
            value = mapping.get(value if isinstance(value, str) else str(value), default)
        return value

    return walk


NO_EXCHANGE = Exchange("", "", "", "", "main", {}, Sent("GET", ""), 0.0)
"""Stands for the exchange where a stream's rule asks for one: no header is read inside a stream."""


def error_facts(dialect: Dialect, name: str, document: Any) -> tuple[Any, Any] | None:
    """Code and message of an event if it is an error, as the dialect reads them, None where absent."""
    facts = read_event_error(dialect, NO_EXCHANGE, name, document)
    if facts is None:
        return None
    return facts.code or facts.raw_code.value or facts.type.value, facts.message.value
