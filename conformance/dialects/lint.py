"""What a valid dialect forgot to say: found without a server, from the dialect alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from conformance.dialects.model import Dialect
from conformance.dialects.rules import NO_RULE, Rule

#: The operation without which a capability cannot be offered.
NEEDS: Mapping[str, str] = {
    "streaming": "chat_stream",
    "streaming.turns": "turn_stream",
    "classify": "classify",
    "models": "models",
    "description": "description",
    "errors": "errors",
    "jobs": "submit_job",
    "webhooks": "register_webhook",
    "agents": "agent_run",
    "tools": "tools",
    "websocket": "chat_socket",
    "context": "session_create",
    "estimation": "estimate",
    "usage.query": "usage",
}


def lint(dialect: Dialect) -> list[str]:
    """One line for each gap; empty for a complete dialect.

    A gap is a fact that is neither found nor declared unsupported, a mapping that drops what it does not know
    and a capability that is offered without its operation.
    """
    return [*_silent_facts(dialect), *_lossy_maps(dialect), *_unreachable_capabilities(dialect)]


def _tables(dialect: Dialect) -> Mapping[str, Mapping[str, Rule]]:
    return {
        "answer": dialect.answer,
        "headers": dialect.headers,
        "error": dialect.error.facts,
        "stream/facts": dialect.stream.facts,
    }


def _silent_facts(dialect: Dialect) -> Iterator[str]:
    for table, rules in _tables(dialect).items():
        for name, rule in rules.items():
            if rule is NO_RULE:
                yield f"/{table}/{name}: has no rule; write one, or 'unsupported: reason'"


def _lossy_maps(dialect: Dialect) -> Iterator[str]:
    for table, rules in _tables(dialect).items():
        for name, rule in rules.items():
            if any(source.mapping is not None and source.default is None for source in rule.sources):
                yield f"/{table}/{name}: drops a value that its map does not name; add 'default: other'"


def _unreachable_capabilities(dialect: Dialect) -> Iterator[str]:
    for capability, operation in NEEDS.items():
        if dialect.offer(capability).state == "offered" and operation not in dialect.operations:
            yield f"/capabilities/{capability}: is offered, but there is no operation '{operation}'"
