"""The context window: what of a conversation the model gets to see, and saying so."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from reference_impl.engine.base import Message
from reference_impl.policies.errors import ContractError

Strategy = Literal["error", "truncate_oldest", "summarize"]
STRATEGIES: tuple[Strategy, ...] = ("error", "truncate_oldest", "summarize")
Count = Callable[[Sequence[Message]], int]

_BY_FAR = 2
"""So many times a window, estimated, is more than any encoding would make fit."""
_SUMMARY_SHARE = 4
"""A summary takes at most a fourth of the limit, or the least."""
_LEAST_SUMMARY = 20
"""Tokens that are kept free for a summary."""
_SUMMARY_WORDS = 12
"""Words of each message that its summary begins with."""


@dataclass(frozen=True)
class Wish:
    """How the caller wants an overfull window treated (`context_policy` of the request)."""

    strategy: Strategy = "error"
    keep_system: bool = True
    max_input_tokens: int | None = None

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> Wish:
        """The validated `context_policy`, or the default."""
        given = payload.get("context_policy", {})
        limit = given.get("max_input_tokens")
        return cls(
            given.get("strategy", "error"),
            given.get("keep_system", True),
            None if limit is None else int(limit),
        )


@dataclass(frozen=True)
class Fitted:
    """What the model sees. `dropped` messages are not in it verbatim; of these, `summarized` are in a summary."""

    messages: tuple[Message, ...]
    input_tokens: int
    window: int
    limit: int
    strategy: Strategy
    kept: int
    dropped: int
    summarized: int

    @property
    def metadata(self) -> dict[str, Any]:
        """The `context` part of the metadata block. `limit`: the window, or the caller's smaller limit."""
        return {
            "input_tokens": self.input_tokens,
            "window": self.window,
            "limit": self.limit,
            "strategy": self.strategy,
            "truncated": self.dropped > 0,
            "kept_messages": self.kept,
            "dropped_messages": self.dropped,
            "summarized_messages": self.summarized,
        }


class ContextPolicy(Protocol):
    """Makes a conversation fit."""

    @property
    def strategies(self) -> tuple[Strategy, ...]:
        """Those that it offers."""
        ...

    def fit(self, count: Count, messages: Sequence[Message], window: int, wish: Wish) -> Fitted:
        """What the model gets of `messages`; `window` and what `count` returns are tokens.

        Raises:
            ContractError: CONTEXT_LENGTH_EXCEEDED where the strategy does not allow, or does not suffice, to fit.
        """
        ...


class HonestContext:
    """Drops the oldest messages first, and only when the caller asked for it. The last message always stays."""

    strategies = STRATEGIES

    def fit(self, count: Count, messages: Sequence[Message], window: int, wish: Wish) -> Fitted:
        """Everything, if it fits; else as much of the end as fits."""
        limit = window if wish.max_input_tokens is None else min(window, wish.max_input_tokens)
        everything = tuple(messages)
        tokens = count(everything)
        if tokens <= limit:
            return Fitted(everything, tokens, window, limit, wish.strategy, len(everything), 0, 0)
        if wish.strategy == "error":
            raise _too_long(tokens, limit)
        return _cut(count, everything, window, limit, wish)


class UncutContext:
    """For an engine whose count is an estimate: nobody can cut a conversation to a size that nobody knows."""

    strategies: tuple[Strategy, ...] = ("error",)

    def fit(self, count: Count, messages: Sequence[Message], window: int, wish: Wish) -> Fitted:
        """Everything. The estimate decides over a limit of the caller's own, and over what cannot fit by far; else the
        model's server knows better whether an input is too long, and by how much.

        Raises also INVALID_REQUEST for a strategy that is not offered.
        """
        if wish.strategy not in self.strategies:
            pointer, offered = "/context_policy/strategy", ", ".join(self.strategies)
            message = f"is not offered for this model; offered: {offered}"
            raise ContractError(
                "INVALID_REQUEST",
                f"{pointer}: {message}.",
                param=pointer,
                details={"errors": [{"pointer": pointer, "message": message}]},
            )
        tokens = count(messages)
        limit = window if wish.max_input_tokens is None else min(window, wish.max_input_tokens)
        if tokens > (limit if limit < window else _BY_FAR * window):
            raise _too_long(tokens, limit)
        everything = tuple(messages)
        return Fitted(everything, tokens, window, limit, wish.strategy, len(everything), 0, 0)


def _cut(count: Count, messages: tuple[Message, ...], window: int, limit: int, wish: Wish) -> Fitted:
    oldest_first = [
        index
        for index, message in enumerate(messages[:-1])
        if not (wish.keep_system and message.role == "system")
    ]
    reserve = _LEAST_SUMMARY if wish.strategy == "summarize" else 0

    def without(dropped: int) -> tuple[Message, ...]:
        gone = set(oldest_first[:dropped])
        return tuple(message for index, message in enumerate(messages) if index not in gone)

    # The more is dropped, the less remains, so the least that suffices can be found by halving.
    numbers = range(len(oldest_first) + 1)
    least = bisect_left(numbers, True, key=lambda dropped: count(without(dropped)) + reserve <= limit)
    if least == len(numbers):
        raise _too_long(count(without(len(oldest_first))) + reserve, limit)
    while least < len(oldest_first) and messages[oldest_first[least]].role == "assistant":
        least += 1  # an answer makes no sense without its question
    rest, summarized = without(least), 0
    seen = rest
    if wish.strategy == "summarize":
        room = min(limit - count(rest), max(_LEAST_SUMMARY, limit // _SUMMARY_SHARE))
        summary, summarized = _summary(count, [messages[index] for index in oldest_first[:least]], room)
        leading = len(_leading_system(rest[:-1]))  # the last message stays the last
        seen = (*rest[:leading], *summary, *rest[leading:])
    return Fitted(seen, count(seen), window, limit, wish.strategy, len(rest), least, summarized)


def _leading_system(messages: Sequence[Message]) -> Sequence[Message]:
    end = next((index for index, message in enumerate(messages) if message.role != "system"), len(messages))
    return messages[:end]


def _summary(count: Count, dropped: Sequence[Message], room: int) -> tuple[tuple[Message, ...], int]:
    """A message that begins each dropped one, and of how many: extractive, so nothing is invented.

    Where the room does not suffice, beginnings get shorter; then the oldest are left out.
    """
    lengths = range(_SUMMARY_WORDS, 0, -3)

    def written(first: int, words: int) -> Message:
        lines = (
            f"{message.role}: {' '.join(message.content.split()[:words])}" for message in dropped[first:]
        )
        return Message("system", "\n".join(["Earlier in this conversation:", *lines]))

    def fits(first: int, words: int) -> bool:
        return count((written(first, words),)) <= room

    first = bisect_left(range(len(dropped)), True, key=lambda number: fits(number, lengths[-1]))
    if first == len(dropped):
        return (), 0
    words = next(number for number in lengths if fits(first, number))
    return (written(first, words),), len(dropped) - first


def _too_long(tokens: int, limit: int) -> ContractError:
    return ContractError(
        "CONTEXT_LENGTH_EXCEEDED",
        f"The input has {tokens} tokens; {limit} are possible.",
        details={
            "input_tokens": tokens,
            "max_tokens": limit,
            "suggestion": "Shorten or split the input, choose a model with a larger context_window, or let "
            "context_policy.strategy drop the oldest messages.",
        },
    )
