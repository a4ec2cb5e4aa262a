"""Read an exchange through a dialect: facts of an answer, of an error, of a stream.

Nothing here raises for what a server sent: a document of any JSON type simply has no such facts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from conformance.dialects.facts import ErrorFacts, Fact, Facts, ListedModel, Placed, StreamFacts
from conformance.dialects.model import Classification, Dialect, ErrorRules, StreamRules, Terminal
from conformance.dialects.rules import Rule
from conformance.evidence import NOT_JSON, Exchange
from conformance.wire.strict_json import json_fault
from conformance.wire.transcript import SseEvent

MESSAGE_CAP = 4000
"""Characters of a message that classification looks at, so that no message makes a pattern slow."""


def read_answer(dialect: Dialect, exchange: Exchange) -> Facts:
    """The facts of a complete answer and of the response headers; every known name has an entry."""
    document = None if exchange.json is NOT_JSON else exchange.json
    facts = {name: rule.read(document, exchange) for name, rule in dialect.answer.items()}
    facts.update((name, rule.read(document, exchange)) for name, rule in dialect.headers.items())
    return facts


def read_error(dialect: Dialect, exchange: Exchange) -> ErrorFacts:
    """The facts of an error answer, classified by the dialect's rules in order."""
    document = None if exchange.json is NOT_JSON else exchange.json
    return _error(dialect.error, document, exchange, exchange.status)


def read_event_error(dialect: Dialect, exchange: Exchange, name: str, document: Any) -> ErrorFacts | None:
    """The facts of an event of a stream, given by its name and its data, if it is an error; else None."""
    error = dialect.stream.error
    if error is None or not error.applies(name, document):
        return None
    status = error.status.read(document, exchange, name).value if error.status else None
    return _error(error.rules, document, exchange, status if isinstance(status, int) else None)


def read_stream(dialect: Dialect, exchange: Exchange) -> StreamFacts:
    """The facts of a ``text/event-stream`` answer, event by event."""
    reader = _StreamReader(dialect, exchange)
    for index, event in enumerate(exchange.sse.events):
        reader.take(index, event)
    return reader.result()


def read_models(dialect: Dialect, exchange: Exchange) -> tuple[ListedModel, ...]:
    """The models that an answer lists, in its order; an entry without an id is none."""
    document = None if exchange.json is NOT_JSON else exchange.json
    found: list[ListedModel] = []
    for _, entry in dialect.models.each.find(document):
        facts = {name: rule.read(entry, exchange).value for name, rule in dialect.models.facts.items()}
        name, window = facts["id"], facts["context_window"]
        if isinstance(name, str) and name:
            whole = isinstance(window, int) and not isinstance(window, bool) and window > 0
            found.append(ListedModel(name, window if whole else None))
    return tuple(found)


# ---- errors


def _error(rules: ErrorRules, document: Any, exchange: Exchange, status: int | None) -> ErrorFacts:
    facts = {name: rule.read(document, exchange) for name, rule in rules.facts.items()}
    own = facts["details"].value
    details: dict[str, Any] = dict(own) if isinstance(own, dict) else {}
    code = None
    for candidate in rules.classify:
        captured = _match(candidate, facts, document, status)
        if captured is not None:
            code = str(facts["code"].value) if candidate.code == "same" else candidate.code
            details = {**captured, **details}
            break
    return ErrorFacts(
        code=code,
        raw_code=facts["code"],
        message=facts["message"],
        type=facts["type"],
        param=facts["param"],
        request_id=facts["request_id"],
        retryable=facts["retryable"],
        docs_url=facts["docs_url"],
        details=details,
    )


def _match(
    rule: Classification, facts: Mapping[str, Fact], document: Any, status: int | None
) -> dict[str, Any] | None:
    """What the rule captured (often nothing) if all its conditions hold, else None."""
    if rule.statuses and status is not None and status not in rule.statuses:
        return None
    if rule.statuses and status is None and not rule.looks_at_body:
        return None
    if rule.raw_codes and not _is_one_of(facts["code"], rule.raw_codes):
        return None
    if rule.types and not _is_one_of(facts["type"], rule.types):
        return None
    if rule.code == "same" and not isinstance(facts["code"].value, str):
        return None
    if rule.when is not None and not rule.when.has_value(document):
        return None
    captured: dict[str, Any] = {}
    if rule.match is not None:
        message = facts["message"].value
        found = rule.match.search(message[:MESSAGE_CAP]) if isinstance(message, str) else None
        if found is None:
            return None
        captured = {k: _number(v) for k, v in found.groupdict().items() if v is not None}
    for name, where in rule.details:
        node = next(iter(where.find(document)), None)
        if node is not None and node[1] is not None:
            captured[name] = node[1]
    return captured


def _is_one_of(fact: Fact, allowed: frozenset[str]) -> bool:
    return bool(fact) and isinstance(fact.value, str | int) and str(fact.value) in allowed


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else text


# ---- streams


class _StreamReader:
    """Gathers the facts of one stream; one :meth:`take` per event."""

    def __init__(self, dialect: Dialect, exchange: Exchange) -> None:
        self.dialect = dialect
        self.rules: StreamRules = dialect.stream
        self.exchange = exchange
        self.found: dict[str, list[Placed]] = defaultdict(list)
        self.usages: list[Placed] = []
        self.errors: list[tuple[int, ErrorFacts]] = []
        self.terminals: list[int] = []
        self.invalid: list[tuple[int, str]] = []
        self.ignored: list[int] = []

    def take(self, index: int, event: SseEvent) -> None:
        rules, terminal = self.rules, self.rules.terminal
        name, data, t = self._name(event), event.data, event.t
        is_terminal = data == terminal.data if terminal.data is not None else name in terminal.events
        if is_terminal:
            self.terminals.append(index)
        if data in rules.sentinels or (is_terminal and terminal.data is not None):
            return
        if name in rules.ignore:
            self.ignored.append(index)
            return
        known = not rules.known or name in rules.known
        document = event.json
        if document is NOT_JSON:
            if known:
                self.invalid.append((index, json_fault(data)))
            else:
                self.ignored.append(index)
            return
        says = is_terminal | self._read(index, name, document, t) | self._finishes(index, document)
        if not (known and says):
            self.ignored.append(index)

    def _name(self, event: SseEvent) -> str:
        """The name in the data, where the format has it there, else that of the ``event`` field."""
        if self.rules.name is None or event.json is NOT_JSON:
            return event.event
        found = self.rules.name.find(event.json)
        return found[0][1] if found and isinstance(found[0][1], str) else event.event

    def _finishes(self, index: int, document: Any) -> bool:
        """Whether the event is the finish event of a grammar without a terminal of its own."""
        after = self.rules.terminal.eof_after
        if after is None or not after.has_value(document):
            return False
        self.terminals.append(index)
        return True

    def _read(self, index: int, name: str, document: Any, t: float) -> bool:
        """Read every fact of one event; whether there was any."""
        says = False
        usage: dict[str, int] = {}
        for fact_name, rule in self.rules.facts.items():
            value = rule.read(document, self.exchange, name).value
            if value is None:
                continue
            if fact_name.startswith("usage."):
                if isinstance(value, int) and not isinstance(value, bool):
                    usage[fact_name.removeprefix("usage.")] = value
            elif value != "" and (fact_name != "text_delta" or isinstance(value, str)):
                # Azure's first event has an empty id and model: nothing is said there.
                self.found[fact_name].append(Placed(index, value, t))
            says = True
        if usage:
            self.usages.append(Placed(index, usage, t))
        facts = read_event_error(self.dialect, self.exchange, name, document)
        if facts is not None:
            self.errors.append((index, facts))
            says = True
        return says

    def result(self) -> StreamFacts:
        found = {name: tuple(placed) for name, placed in self.found.items()}
        deltas = found.get("text_delta", ())
        return StreamFacts(
            text="".join(d.value for d in deltas),
            deltas=deltas,
            finishes=found.get("finish_reason", ()),
            usages=tuple(self.usages),
            usage=_final_usage(self.rules.facts, self.usages),
            response_ids=found.get("response_id", ()),
            model_versions=found.get("model_version", ()),
            trace_ids=found.get("trace_id", ()),
            sequence_numbers=found.get("sequence_number", ()),
            errors=tuple(self.errors),
            terminals=tuple(self.terminals),
            invalid=tuple(self.invalid),
            ignored=tuple(self.ignored),
            terminal_name=terminal_name(self.rules.terminal),
            unsupported=self.rules.unsupported,
        )


def terminal_name(terminal: Terminal) -> str:
    """The stream's end in words, for messages."""
    if terminal.data is not None:
        return terminal.data
    if terminal.events:
        return f"event {' or '.join(terminal.events)}"
    return "the end of the response after the finish event"


def _final_usage(rules: Mapping[str, Rule], usages: list[Placed]) -> dict[str, int]:
    final: dict[str, int] = {}
    for name in ("input", "output", "total"):
        values = [u.value[name] for u in usages if name in u.value]
        if values:
            take = rules[f"usage.{name}"].take
            final[name] = sum(values) if take == "sum" else max(values) if take == "max" else values[-1]
    return final
