"""Rare behaviours on request, so that a caller can rehearse them: a wrapper around any engine."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Sequence

from reference_impl.engine.base import (
    Call,
    Engine,
    Finish,
    Gauge,
    Generation,
    InputFilteredError,
    Message,
    ModelTimeoutError,
    OverloadedError,
    Planner,
    Scenario,
    ToolFailedError,
    UpstreamBrokenError,
)
from reference_impl.engine.models import Catalogue
from reference_impl.outages import OutageError

_SLOW_FIRST_TOKEN_MS = 1500
_TIMEOUT_MS = 300
_SLOW_TOKENS_MS = 50
_TOKENS_BEFORE_FAULT = 3

SCENARIOS = (
    "slow_first_token",
    "slow_tokens",
    "model_timeout",
    "content_filter_input",
    "content_filter_output",
    "fault_midstream",
    "overloaded",
    "unavailable",
    "tool_failure",
    "tool_error",
    "tool_loop",
    "tool_bad_arguments",
)

AGENT_SCENARIOS = frozenset(("tool_error", "tool_loop", "tool_bad_arguments"))
"""Those that only an agent can play."""

_REFUSALS: dict[str, Callable[[], Exception]] = {
    "overloaded": lambda: OverloadedError(retry_after_s=1),
    "unavailable": lambda: OutageError("the sandbox plays an outage"),
    "content_filter_input": lambda: InputFilteredError(categories=("sandbox",)),
    "tool_failure": lambda: ToolFailedError("sandbox_tool", f"call_{secrets.token_hex(8)}"),
}


def refuse(scenario: Scenario | None) -> None:
    """Raise what this scenario makes known before the work starts."""
    if scenario is not None and (failure := _REFUSALS.get(scenario.name)) is not None:
        raise failure()


async def stall(scenario: Scenario | None) -> None:
    """Wait as long as the scenario delays the first output; raise `ModelTimeoutError` if there is none."""
    if scenario is None:
        return
    if scenario.name == "slow_first_token":
        await asyncio.sleep(_delay_ms(scenario, _SLOW_FIRST_TOKEN_MS) / 1000)
    elif scenario.name == "model_timeout":
        timeout_ms = _delay_ms(scenario, _TIMEOUT_MS)
        started = time.perf_counter()
        await asyncio.sleep(timeout_ms / 1000)
        raise ModelTimeoutError(timeout_ms, round((time.perf_counter() - started) * 1000))


class SandboxEngine:
    """Plays the scenario of a call over the wrapped engine; a call without one passes through."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def gauge(self) -> Gauge:
        """The wrapped engine's counters."""
        return self._engine.gauge

    def count(self, messages: Sequence[Message]) -> int:
        """Input tokens of a conversation."""
        return self._engine.count(messages)

    @property
    def catalogue(self) -> Catalogue:
        """The wrapped engine's models."""
        return self._engine.catalogue

    @property
    def exact(self) -> bool:
        """As the wrapped engine counts."""
        return self._engine.exact

    @property
    def planner(self) -> Planner | None:
        """The wrapped engine's."""
        return self._engine.planner

    async def close(self) -> None:
        """Close the wrapped engine."""
        await self._engine.close()

    async def start(self, call: Call) -> Generation:
        """The wrapped engine's generation, disturbed as the scenario says; or at once what the scenario refuses."""
        if call.scenario is None:
            return await self._engine.start(call)
        refuse(call.scenario)
        return self._disturbed(call, call.scenario)

    async def _disturbed(self, call: Call, scenario: Scenario) -> AsyncGenerator[str | Finish, None]:
        await stall(scenario)
        generation = await self._engine.start(call)
        produced = 0
        try:
            async for item in generation:
                if produced == _TOKENS_BEFORE_FAULT and scenario.name == "fault_midstream":
                    raise UpstreamBrokenError
                if produced == _TOKENS_BEFORE_FAULT and scenario.name == "content_filter_output":
                    yield Finish("content_filter")
                    return
                if produced and scenario.name == "slow_tokens":
                    await asyncio.sleep(_delay_ms(scenario, _SLOW_TOKENS_MS) / 1000)
                produced += 1
                yield item
        finally:
            await generation.aclose()


def _delay_ms(scenario: Scenario, default: int) -> int:
    return default if scenario.delay_ms is None else scenario.delay_ms
