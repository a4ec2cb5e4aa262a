"""The metadata block of every AI answer: identity, lineage, usage, cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from reference_impl.engine.base import TokenCounts
from reference_impl.engine.models import CURRENCY, NO_PRICE, Model
from reference_impl.exchange import Exchange


@dataclass(frozen=True)
class Usage:
    """Tokens of one answer. `input` includes the cached ones, `output` the reasoning ones.

    `estimated`: the model's server told none, so that they are this server's own guess.
    """

    input: int = 0
    output: int = 0
    cached_input: int = 0
    reasoning_output: int = 0
    estimated: bool = False

    @classmethod
    def of(cls, counts: TokenCounts | None, input_tokens: int, pieces: int, *, exact: bool = True) -> Usage:
        """The engine's own counts, or the input as counted before and one token for each piece; the latter are
        `exact` if the engine's tokens are those that it counts.
        """
        if counts is None:
            return cls(input_tokens, pieces, estimated=not exact)
        cached, reasoning = counts.cached_input, counts.reasoning_output
        return cls(counts.input, counts.output, cached, reasoning, counts.estimated)

    def since(self, before: Usage) -> Usage:
        """What was used after `before`."""
        return Usage(
            self.input - before.input,
            self.output - before.output,
            self.cached_input - before.cached_input,
            self.reasoning_output - before.reasoning_output,
            self.estimated,
        )

    @property
    def total(self) -> int:
        """What is charged."""
        return self.input + self.output


def unknown_price(price_version: str) -> dict[str, bool]:
    """What stands beside amounts of money that mean nothing, because the server was told no price."""
    return {"known": False} if price_version == NO_PRICE else {}


@dataclass(frozen=True)
class AnswerFacts:
    """What the handler knows about an answer; `extra` holds parts that only some operations have."""

    model: Model
    usage: Usage
    extra: Mapping[str, Any] = field(default_factory=dict)


class Metadata(Protocol):
    """Builds the block."""

    def block(self, exchange: Exchange, facts: AnswerFacts) -> dict[str, Any]:
        """The `metadata` object."""
        ...


class FullMetadata:
    """Every field of the contract."""

    def block(self, exchange: Exchange, facts: AnswerFacts) -> dict[str, Any]:
        """Integers for tokens and milliseconds, a decimal string for money."""
        usage = facts.usage
        return {
            "trace_id": exchange.trace.trace_id,
            "request_id": exchange.request_id,
            "model_version": facts.model.id,
            "latency_ms": exchange.elapsed_ms,
            "tokens_used": {
                "input": usage.input,
                "output": usage.output,
                "total": usage.total,
                "cached_input": usage.cached_input,
                "reasoning_output": usage.reasoning_output,
                **({"estimated": True} if usage.estimated else {}),
            },
            "sources_used": [],
            "cost": {
                "amount": format(facts.model.cost(usage.input, usage.output), "f"),
                "currency": CURRENCY,
                "price_version": facts.model.price_version,
                **unknown_price(facts.model.price_version),
            },
            **facts.extra,
        }
