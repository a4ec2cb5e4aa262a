"""What a run may use up: calls, tokens, money, time. A run never exceeds it, and says what it left untested.

Tokens and money are reserved before a call at the most it can take, and settled at what the answer reports: so
calls side by side cannot spend the same tokens twice. Only a target that ignores the output limits of calls can
make a run pass its budget, by the calls under way at the time; then nothing more is sent.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OVERHEAD = 32
"""Tokens that a server adds to one call: separators, a default system prompt."""

UNLIMITED_OUTPUT = 1024
"""Tokens reserved for the answer to a call that limits it by nothing."""

GENERATING = frozenset(
    {
        *("chat", "chat_stream", "chat_deferred", "turn_stream", "chat_socket", "classify"),
        *("submit_job", "agent_run", "agent_decide"),
    }
)
"""Operations that make a model work; the others cost no tokens."""


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens."""

    input: float
    output: float

    def of(self, tokens_in: float, tokens_out: float) -> float:
        """The cost of that many tokens in US dollars."""
        return (self.input * tokens_in + self.output * tokens_out) / 1_000_000


@dataclass(frozen=True)
class Budget:
    """The most that a run may use; None is no limit. ``cost`` in US dollars, ``seconds`` from the first call on."""

    calls: int | None = None
    tokens: int | None = None
    cost: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Share:
    """Tokens that one call may take, or took."""

    input: int = 0
    output: int = 0


class OverBudget(Exception):  # noqa: N818 - a signal
    """The next call could pass the budget; the message says which part of it is used up."""


class Ledger:
    """What one run has spent and reserved."""

    def __init__(self, budget: Budget, price: Price | None) -> None:
        self.budget, self.price = budget, price
        self.calls = 0
        self._input = self._output = 0
        self._started = time.monotonic()
        self.stopped = ""

    def reserve(self, most: Share) -> None:
        """Book one call at the most it can take.

        Raises:
            OverBudget: that would pass the budget.
        """
        over = self._over(most)
        if over:
            self.stopped = self.stopped or over
            raise OverBudget(over)
        self.calls += 1
        self._input += most.input
        self._output += most.output

    def settle(self, most: Share, took: Share) -> None:
        """Replace what was reserved by what the call took."""
        self._input += took.input - most.input
        self._output += took.output - most.output

    def seconds_left(self) -> float | None:
        """Until the run's time is over; None if it has no end."""
        if self.budget.seconds is None:
            return None
        return max(0.0, self.budget.seconds - (time.monotonic() - self._started))

    def out_of_time(self) -> str:
        """Why nothing more is sent once :meth:`seconds_left` is 0."""
        self.stopped = self.stopped or f"the budget of {self.budget.seconds:g} s is used up"
        return self.stopped

    def spent(self) -> dict[str, Any]:
        """Calls, tokens, and, where a price is known, US dollars."""
        tokens = {"calls": self.calls, "input_tokens": self._input, "output_tokens": self._output}
        cost = {"usd": round(self.price.of(self._input, self._output), 6)} if self.price else {}
        return {**tokens, **cost}

    def _over(self, most: Share) -> str:
        budget = self.budget
        if budget.calls is not None and self.calls >= budget.calls:
            return f"the budget of {budget.calls} calls is used up"
        if self.seconds_left() == 0:
            return self.out_of_time()
        if most == Share():
            return ""
        tokens_in, tokens_out = self._input + most.input, self._output + most.output
        if budget.tokens is not None and tokens_in + tokens_out > budget.tokens:
            used = self._input + self._output
            rest = f"{used} are spent or under way, the next call may take {most.input + most.output}"
            return f"the budget of {budget.tokens} tokens has no room left: {rest}"
        if budget.cost is not None and self.price and self.price.of(tokens_in, tokens_out) > budget.cost:
            used_usd = self.price.of(self._input, self._output)
            rest = f"{used_usd:.4f} are spent or under way"
            return f"the budget of {budget.cost:g} US dollars has no room for the next call: {rest}"
        return ""


def most_of(operation: str, params: Mapping[str, Any], body: bytes) -> Share:
    """The most tokens that a call can take: a token is at least one byte of its body."""
    if operation not in GENERATING:
        return Share()
    asked = params.get("max_output_tokens")
    most = asked if isinstance(asked, int) and asked > 0 else UNLIMITED_OUTPUT
    return Share(len(body) + OVERHEAD, most)
