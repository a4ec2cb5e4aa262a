"""Rate limits: run into them on purpose, then do what the server asks for and see whether it was honest.

All of this is phase 2, alone and last. With a ``limited`` key the limits are small by agreement. Without
one, the main key is used only if the server itself says that few requests are left.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from conformance.dialects.facts import Fact
from conformance.evidence import Principal
from conformance.probes.sockets import exhaust_by_socket
from conformance.reading import Reading
from conformance.registry import probe
from conformance.session import ProbeSkipped, Session

BURST = 14
SECOND_BURST = 6
GROUP = 5
"""So many at a time, where the answers do not say how many are left."""

SMALL_REMAINING = BURST - 2
"""Requests left, up to which the main key's limit may be run into."""
LONGEST_WAIT = 20.0
TIME_BUDGET = 30.0
"""Seconds from the first call on in which the waits of a probe have to end."""
SHORTEST_HALVED = 3
"""Seconds. Half of a shorter Retry-After is too close to the server's own rounding up to prove anything."""
LARGEST_TOKEN_LIMIT = 5_000
CONTRACT_ONLY = ("chat", "models", "errors")
"""What together only the contract's dialect has: no other format promises to count call by call."""

SMALL: dict[str, Any] = {"prompt": "Hi", "max_output_tokens": 1}


@probe(calls=BURST + SECOND_BURST + 7, phase=2, tokens=500, vendor_calls=BURST + SECOND_BURST + 6)
async def limit_burst(session: Session) -> None:
    """Two rounds to the first 429: after the first wait all of Retry-After, after the second only half of it.

    Where there are WebSockets, the second round goes over one.

    Roles: ``burst``; ``bystander`` (another principal meanwhile), ``stream_limited``, ``still`` (the limit
    still holds); ``after_wait``, and ``after_second_wait`` if that was refused; ``socket``; ``half_wait``.
    """
    principal: Principal = "limited" if session.has_key("limited") else "main"
    ends = time.monotonic() + TIME_BUDGET
    session.notes["principal"] = principal
    calls = BURST if principal == "limited" else await _calls_on_main(session)

    refused = await _burst(session, principal, calls)
    if refused is None:
        return
    if principal == "limited" and session.has_key("main"):
        await session.call("chat", "bystander", **SMALL)
    if "chat_stream" in session.dialect.operations:
        await session.call("chat_stream", "stream_limited", principal=principal, **SMALL)
    still = await session.call("chat", "still", principal=principal, **SMALL)

    answer = still if still.status == 429 else refused
    for role in ("after_wait", "after_second_wait"):
        if not await _wait(session, answer, 1.0, ends):
            return
        answer = await session.call("chat", role, principal=principal, **SMALL)
        if answer.status != 429:
            break
    if answer.status == 429:
        return

    if principal == "limited" and "chat_socket" in session.dialect.operations:
        await exhaust_by_socket(session, "socket")
        again = await _burst(session, principal, SECOND_BURST)
    else:
        again = await _burst(session, principal, SECOND_BURST, answer)
    if again is None:
        return
    wait = wait_of(again)
    if wait is not None and wait < SHORTEST_HALVED:
        session.notes["half_wait"] = f"Retry-After is {wait:g} s, too short to halve"
    elif await _wait(session, again, 0.5, ends):
        await session.call("chat", "half_wait", principal=principal, **SMALL)


@probe(calls=4, operations=CONTRACT_ONLY, phase=2, tokens=900)
async def token_burst(session: Session) -> None:
    """Few but large requests: the token limit is reached while requests are left."""
    session.need_key("limited")
    level = await session.call("models", "level", principal="limited")
    if level.status == 429:
        await _wait(session, level, 1.0, time.monotonic() + LONGEST_WAIT)
    limit = number(level.facts["ratelimit.tokens.limit"])
    if limit is None:
        raise ProbeSkipped("the answers to the limited key advertise no token limit")
    if limit > LARGEST_TOKEN_LIMIT:
        raise ProbeSkipped(f"the token limit of the limited key, {limit:g}, is too large to exhaust")
    prompt = "word " * int(limit * 0.6)
    for _ in range(3):
        large = await session.call("chat", "large", principal="limited", prompt=prompt, max_output_tokens=1)
        if large.status == 429:
            return


@probe(calls=7, operations=CONTRACT_ONLY, phase=2, tokens=300)
async def quota_steps(session: Session) -> None:
    """What single requests cost: a level (``GET /models``) between an answer, its replay and a refusal.

    Alone on the key, so every step between two levels has one cause.
    """
    key = f"aiconform-{time.time_ns():x}"
    same: dict[str, Any] = {"prompt": "word " * 40, "max_output_tokens": 8, "temperature": 1}
    await session.call("models", "level_0")
    await session.call("chat", "keyed", idempotency_key=key, **same)
    await session.call("models", "level_1")
    await session.call("chat", "keyed_replay", idempotency_key=key, **same)
    await session.call("models", "level_2")
    await session.call("chat", "refused", **{**same, "max_output_tokens": -1})
    await session.call("models", "level_3")


def number(fact: Fact) -> float | None:
    """The fact's value if it is a number."""
    return float(fact.value) if fact and isinstance(fact.value, int | float) else None


def wait_of(answer: Reading) -> float | None:
    """Seconds that the answer asks to wait, of several values the longest; None if it asks for nothing."""
    header = (answer.header("Retry-After") or "").strip()
    asked = [number(answer.facts["retry_after"]), float(header) if header.isdecimal() else None]
    return max((w for w in asked if w is not None), default=None)


async def _calls_on_main(session: Session) -> int:
    """How many calls the main key may spend to find its limit; skips if that limit is not small."""
    first = await session.call("chat", "burst", **SMALL)
    if first.status == 429:
        return BURST - 1
    left = number(first.facts["ratelimit.requests.remaining"])
    if left is None or left > SMALL_REMAINING:
        advertised = "none is advertised" if left is None else f"{left:g} requests are left"
        raise ProbeSkipped(f"needs --limited-key: the main key's limit is not small ({advertised})")
    return int(left) + 2


async def _burst(
    session: Session, principal: Principal, calls: int, before: Reading | None = None
) -> Reading | None:
    """Small requests in concurrent groups until one is refused with 429; that answer, or None.

    A group is one more than are left, where the answer ``before`` it says how many; the first asks for that.
    """
    sent = 0
    while sent < calls:
        left = None if before is None else number(before.facts["ratelimit.requests.remaining"])
        size = 1 if before is None else GROUP if left is None else int(left) + 1
        size = max(1, min(size, calls - sent))
        group = await asyncio.gather(
            *(session.call("chat", "burst", principal=principal, **SMALL) for _ in range(size))
        )
        sent += size
        refused = next((r for r in group if r.status == 429), None)
        if refused is not None:
            return refused
        before = group[-1]
    return None


async def _wait(session: Session, answer: Reading, share: float, ends: float) -> bool:
    """Sleep ``share`` of the wait asked for; False, with a note, if it is unknown or too long."""
    wait = wait_of(answer)
    if wait is None:
        session.notes["wait"] = f"{answer.exchange.id} does not say how long to wait"
        return False
    if wait > LONGEST_WAIT or time.monotonic() + wait > ends:
        session.notes["wait"] = f"{answer.exchange.id} asks to wait {wait:g} s, longer than a run may take"
        return False
    await asyncio.sleep(wait * share)
    return True
