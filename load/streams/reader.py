"""The facts of one stream, read once when it has ended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.dialects.paths import Path
from conformance.wire.strict_json import NOT_JSON, parse_json
from load.streams.events import Events, Piece, read_events
from load.streams.plan import Shape, StreamPlan, error_facts


def _refuse(constant: str) -> None:
    raise ValueError(constant)


_scan = json.JSONDecoder(parse_constant=_refuse).scan_once  # type: ignore[attr-defined]


NOTHING = Shape(None, None, (), maybe_error=False)


@dataclass(slots=True)
class StreamRecord:
    """One stream in the contract's words. Times are of the monotonic clock; indices count events.

    ``delta_times`` has an entry per event with text. ``usage`` is final by the dialect's ``take`` rule.
    ``index_break`` is the first token event whose ``index`` is not its place (contract only), ``final_text``
    the text that the contract's ``done`` event repeats.
    """

    events: Events
    deltas: list[str] = field(default_factory=list)
    delta_times: list[float] = field(default_factory=list)
    last_delta: int = -1
    finishes: list[tuple[int, Any]] = field(default_factory=list)
    usages: list[dict[str, int]] = field(default_factory=list)
    usage: dict[str, int] = field(default_factory=dict)
    response_ids: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    terminals: list[int] = field(default_factory=list)
    errors: list[tuple[int, Any, Any]] = field(default_factory=list)  # event, code, message
    invalid: list[int] = field(default_factory=list)
    index_break: int | None = None
    final_text: str | None = None

    @property
    def whole(self) -> bool:
        """Whether it reached its terminal, reports no error and parses."""
        return bool(self.terminals) and not self.errors and not self.invalid

    @property
    def tokens(self) -> int:
        """Output tokens as the server counts them, else pieces of text."""
        return self.usage.get("output", len(self.deltas))


def read_record(plan: StreamPlan, pieces: Sequence[Piece]) -> StreamRecord:
    """Everything that is judged and measured about one stream."""
    events = read_events(pieces)
    record = StreamRecord(events)
    rules = plan.rules
    terminal_data, terminal_events = rules.terminal.data, rules.terminal.events
    eof_after = rules.terminal.eof_after
    sentinels, ignore, known = rules.sentinels, rules.ignore, rules.known
    shape_of, contract = plan.shape, plan.is_contract
    deltas, delta_times = record.deltas, record.delta_times
    named = rules.name
    shape, shape_name, members = NOTHING, "", None
    skips = bool(sentinels or ignore)
    index = -1
    for name, data, t in zip(events.names, events.data, events.times, strict=True):
        index += 1
        if named is not None:
            name = _name(named, name, data)
        if terminal_data is not None:
            if data == terminal_data:
                record.terminals.append(index)
                continue
        elif name in terminal_events:
            record.terminals.append(index)
        if skips and (data in sentinels or name in ignore):
            continue
        try:  # as parse_json, without building a decoder per event
            document, end = _scan(data, 0)
        except (StopIteration, ValueError, RecursionError):
            document, end = NOT_JSON, -1
        if end != len(data) and (document := parse_json(data)) is NOT_JSON:  # space around it is JSON as well
            if not known or name in known:
                record.invalid.append(index)
            continue
        own = tuple(document) if type(document) is dict else None
        if own is None or own != members or name != shape_name:  # most events look as the one before
            shape, shape_name, members = shape_of(name, document), name, own
        if shape.delta is not None:
            value = document.get(shape.member) if shape.member is not None and own else shape.delta(document)
            if type(value) is str and value:
                if contract and record.index_break is None and document.get("index") != len(deltas):
                    record.index_break = index
                deltas.append(value)
                delta_times.append(t)
                record.last_delta = index
        if shape.facts or shape.maybe_error:
            _rest(plan, record, index, name, document, shape)
        if eof_after is not None and eof_after.has_value(document):
            record.terminals.append(index)
    if record.usages:
        _final_usage(plan, record)
    return record


def _name(place: Path, name: str, data: str) -> str:
    """The name in the data, where the format has it there, else that of the ``event`` field."""
    document = parse_json(data)
    found = place.find(document) if document is not NOT_JSON else []
    return found[0][1] if found and isinstance(found[0][1], str) else name


def _rest(plan: StreamPlan, record: StreamRecord, index: int, name: str, document: Any, shape: Shape) -> None:
    usage: dict[str, int] = {}
    for fact, reader in shape.facts:
        value = reader(document)
        if value is None:
            continue
        if value == "":
            continue  # nothing is said there
        if fact == "finish_reason":
            record.finishes.append((index, value))
        elif fact == "response_id":
            record.response_ids.add(str(value))
        elif fact == "model_version":
            record.models.add(str(value))
        elif fact.startswith("usage.") and type(value) is int:
            usage[fact[6:]] = value
    if usage:
        record.usages.append(usage)
    if plan.is_contract and name == "done" and type(document) is dict and type(document.get("text")) is str:
        record.final_text = document["text"]
    if shape.maybe_error:
        error = error_facts(plan.dialect, name, document)
        if error is not None:
            record.errors.append((index, *error))


def _final_usage(plan: StreamPlan, record: StreamRecord) -> None:
    for name in ("input", "output", "total"):
        values = [u[name] for u in record.usages if name in u]
        if values:
            take = plan.rules.facts[f"usage.{name}"].take
            record.usage[name] = (
                sum(values) if take == "sum" else max(values) if take == "max" else values[-1]
            )
