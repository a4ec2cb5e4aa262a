"""Rare behaviours of jobs on request, as `sandbox.py` has them for calls."""

from __future__ import annotations

import asyncio

from reference_impl.engine.base import Scenario, UpstreamBrokenError
from reference_impl.engine.sandbox import stall

_SLOW_SECTION_MS = 300
_EXPIRES_MS = 300
_RETENTION_MS = 300

JOB_SCENARIOS = (
    "slow_document",
    "failing_document",
    "needs_approval",
    "expiring_document",
    "brief_retention",
    "model_timeout",
    "content_filter_input",
    "overloaded",
)


async def stall_section(scenario: Scenario | None, index: int) -> None:
    """Wait before a section as long as the scenario says, or break where it breaks."""
    if scenario is None:
        return
    if scenario.name == "slow_document":
        await asyncio.sleep(_ms(scenario, _SLOW_SECTION_MS) / 1000)
    elif scenario.name == "expiring_document":
        await asyncio.sleep(deadline_s(scenario, 0.0) + 1)
    elif scenario.name == "model_timeout":
        await stall(scenario)
    elif scenario.name == "failing_document" and index == 1:
        raise UpstreamBrokenError


def fail_at_end(scenario: Scenario | None) -> None:
    """A failing document of one section fails after it."""
    if scenario is not None and scenario.name == "failing_document":
        raise UpstreamBrokenError


def needs_approval(scenario: Scenario | None, index: int) -> bool:
    """Whether the work may not go on with this section unless its owner agrees."""
    return scenario is not None and scenario.name == "needs_approval" and index == 0


def deadline_s(scenario: Scenario | None, default: float) -> float:
    """Seconds until the job expires."""
    if scenario is not None and scenario.name == "expiring_document":
        return _ms(scenario, _EXPIRES_MS) / 1000
    return default


def retention_s(scenario: Scenario | None, default: float) -> float:
    """Seconds that the ended job is kept."""
    if scenario is not None and scenario.name == "brief_retention":
        return _ms(scenario, _RETENTION_MS) / 1000
    return default


def _ms(scenario: Scenario, default: int) -> int:
    return default if scenario.delay_ms is None else scenario.delay_ms
