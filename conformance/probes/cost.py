"""Cost and usage: estimates against real calls, usage by trace, a budget that ends, slots that are taken.

What reads levels or exhausts limits is phase 2, alone on its key.
"""

from __future__ import annotations

import asyncio
from typing import Any

import http_sf

from conformance.probes.context import begun_session
from conformance.probes.shared import non_ascii, unicode_stream
from conformance.probes.streaming import after_events
from conformance.reading import Reading
from conformance.registry import probe
from conformance.session import ProbeSkipped, Session

SYSTEM = "You answer questions about a small harbour. Be exact, be brief, and say so when you do not know."
USAGE_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between looks at the usage, until both answers are found: the contract allows a minute."""

BUDGET_CALLS = 8
LARGEST_CONCURRENCY = 4
SOME = 4
"""Events after which a stream is hung up on: by then all have begun, and none has ended."""

LEAST_BUDGET = 100
"""Millionths that a budget must have left before the concurrency of its key is tried."""
LONGEST_WAIT = 20.0


@probe(
    calls=3,
    operations=("chat", "estimate", "session_create"),
    phase=2,
    tokens=200,
    shares=("session_create", "chat:session"),
)
async def estimation(session: Session) -> None:
    """A request with system text, in a session with a history: estimated twice, then sent."""
    session_id, _ = await begun_session(session)
    same: dict[str, Any] = {
        "session_id": session_id,
        "system": SYSTEM,
        "prompt": "And the day after?",
        "max_output_tokens": 10,
    }
    await session.call("estimate", "estimate", **same)
    await session.call("estimate", "estimate_again", **same)
    await session.call("chat", "real", **same)


@probe(
    calls=2 + len(USAGE_WAITS),
    operations=("chat", "chat_stream", "usage"),
    tokens=100,
    shares=("chat:non_ascii", "chat_stream:unicode"),
)
async def usage_of_trace(session: Session) -> None:
    """One plain and one streamed answer under a trace of our own, then its usage as two principals see it."""
    trace_id = session.mark
    await non_ascii(session, "plain")
    await unicode_stream(session, "streamed")
    for wait in (*USAGE_WAITS, None):
        seen = await session.call("usage", "usage", trace_id=trace_id)
        listed = seen.body.get("data") if isinstance(seen.body, dict) else None
        if not seen.ok or wait is None or (isinstance(listed, list) and len(listed) >= 2):
            break
        await asyncio.sleep(wait)
    if session.has_key("other"):
        await session.call("usage", "usage_of_other", principal="other", trace_id=trace_id)


@probe(calls=LARGEST_CONCURRENCY + 5, operations=("chat", "chat_stream", "models", "errors"), phase=2)
async def concurrent_streams(session: Session) -> None:
    """One stream more than the budget key may have at once, all hung up on after some events; then one call."""
    session.need_key("budget")
    slow = session.need_provocation("slow_tokens")
    level = await session.call("models", "level", principal="budget")
    left, reset = _level(level, "cost", "r"), _level(level, "cost", "t")
    if left is not None and left < LEAST_BUDGET and reset is not None and reset <= LONGEST_WAIT:
        await asyncio.sleep(reset)
    limit = _level(level, "concurrent", "q", "RateLimit-Policy")
    if limit is None:
        raise ProbeSkipped("the answers to the budget key advertise no policy 'concurrent'")
    if limit > LARGEST_CONCURRENCY:
        raise ProbeSkipped(f"{limit} concurrent requests are too many to try")
    stream: dict[str, Any] = {"principal": "budget", "prompt": "Hi", "max_output_tokens": 8, **slow}
    await asyncio.gather(
        *(
            session.call("chat_stream", "beside", hang_up=after_events(SOME), **stream)
            for _ in range(limit + 1)
        )
    )
    for wait in (0.5, 1.0, 0.0):
        freed = await session.call("chat", "freed", principal="budget", prompt="Hi", max_output_tokens=1)
        if freed.status != 429 or freed.error.code == "BUDGET_EXCEEDED":
            return
        await asyncio.sleep(wait)


@probe(calls=BUDGET_CALLS + 1, operations=("chat", "models", "errors"), phase=2, tokens=400)
async def cost_burst(session: Session) -> None:
    """Calls of the budget key until one is refused, and one more."""
    session.need_key("budget")
    spend: dict[str, Any] = {"principal": "budget", "prompt": "word " * 20, "max_output_tokens": 12}
    for _ in range(BUDGET_CALLS):
        spent = await session.call("chat", "spend", **spend)
        if spent.status != 200:
            await session.call("chat", "still", **spend)
            return


def _level(reading: Reading, policy: str, parameter: str, field: str = "RateLimit") -> int | None:
    """One parameter of one policy in a limit field, for a probe that has to plan by it."""
    try:
        parsed: Any = http_sf.parse((reading.header(field) or "").encode("latin-1", "replace"), tltype="list")
    except http_sf.StructuredFieldError:
        return None
    for name, parameters in parsed:
        value = parameters.get(parameter) if name == policy else None
        if isinstance(value, int):
            return value
    return None
