"""The embedded engine: no network, no weights, deterministic when asked to be."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence

from reference_impl.engine.base import Call, Finish, Gauge, Generation, Message, Planner
from reference_impl.engine.models import BUILTIN
from reference_impl.engine.planner import ObedientPlanner
from reference_impl.engine.prose import seed_of, write
from reference_impl.engine.tokens import count_messages, pieces

_REPEAT = "Repeat exactly: "


class BuiltinEngine:
    """Writes prose, or repeats what it is told to repeat, with optional delays in milliseconds."""

    catalogue = BUILTIN
    exact = True

    def __init__(self, first_token_ms: int = 0, token_ms: int = 0) -> None:
        self.gauge = Gauge()
        self.planner: Planner | None = ObedientPlanner()
        self._first_s = first_token_ms / 1000
        self._next_s = token_ms / 1000

    def count(self, messages: Sequence[Message]) -> int:
        """Input tokens of a conversation."""
        return count_messages(messages)

    async def close(self) -> None:
        """There is nothing to let go of."""

    async def start(self, call: Call) -> Generation:
        """The builtin engine has room for every call."""
        return self._generate(call)

    async def _generate(self, call: Call) -> AsyncGenerator[str | Finish, None]:
        """One string per token, then the finish reason."""
        tokens = pieces(_answer(call))
        self.gauge.active += 1
        try:
            for index, token in enumerate(tokens[: call.max_output_tokens]):
                if delay := self._next_s if index else self._first_s:
                    await asyncio.sleep(delay)
                self.gauge.generated += 1
                yield token
        finally:
            self.gauge.active -= 1
        yield Finish("length" if len(tokens) > call.max_output_tokens else "stop")


def _answer(call: Call) -> str:
    last = call.messages[-1]
    if last.role == "user" and last.content.startswith(_REPEAT):
        return last.content[len(_REPEAT) :]
    if call.temperature == 0 or call.seed is not None:
        return write(seed_of(call.messages, call.model.id, call.seed))
    return write(secrets.randbits(64))
