"""Idempotency keys and caching: the same request again, in ways that do and do not count as the same."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

from conformance.probes.combining import LONGEST_KEY, with_longest_key
from conformance.probes.errors import RETRYABLE, provoke, provoked
from conformance.probes.shared import KEPT
from conformance.probes.streaming import slowed
from conformance.reading import Reading
from conformance.registry import probe
from conformance.session import Session

PROMPT = KEPT["prompt"]
OTHER_PROMPT = "Write two short sentences about windmills."
KEYED = ("chat", "classify")
"""No AI vendor takes idempotency keys (the two official clients that know the header never set it), so these
probes ask for what only the contract's dialect has, and cost others nothing."""

TWINS = 2
CUT_RETRIES = 6
CUT_DELAY = 50
"""Milliseconds per token of the stream that is cut."""

CUT_WAIT = 1.0
"""Seconds in which that generation may go on by itself; a retry meanwhile is told to come back."""

MAX_WAIT = 5.0  # seconds; the most a probe here sleeps on a Retry-After of 409


def _new_key() -> str:
    return f"aiconform-{uuid4().hex}"


@probe(calls=5, operations=KEYED, tokens=400, shares=("chat:keyed",))
async def idempotent_replay(session: Session) -> None:
    """One keyed request, then again: with another payload, as it was, reordered, with the key quoted."""
    key = session.run_key("replay")
    same = KEPT
    first = await session.shared("chat", "first", idempotency_key=key, **KEPT)
    await session.call("chat", "other_payload", idempotency_key=key, **{**same, "prompt": OTHER_PROMPT})
    await session.call("chat", "replay", idempotency_key=key, **same)
    if await _replayed_anyhow(session, first, "reordered", "quoted"):
        return
    await session.call("chat", "reordered", idempotency_key=key, body=_reordered(first), **same)
    await session.call("chat", "quoted", headers={"Idempotency-Key": f'"{key}"'}, **same)


@probe(calls=TWINS + 1, operations=KEYED, phase=2, tokens=1600)
async def idempotent_race(session: Session) -> None:
    """The same keyed request twice at once, slow enough to overlap, then once more after all ended.

    Phase 2, because beside other probes the twins would queue for the run's few slots and never overlap.
    """
    slow = session.dialect.provocations.get("slow_first_token", {})
    same: dict[str, Any] = {
        "prompt": PROMPT,
        "max_output_tokens": 200,
        "temperature": 1,
        "idempotency_key": _new_key(),
        **slow,
    }
    await asyncio.gather(*(session.call("chat", "twin", **same) for _ in range(TWINS)))
    await session.call("chat", "later", **same)


@probe(calls=5, operations=KEYED, tokens=300, shares=("chat:keyed",))
async def idempotent_scopes(session: Session) -> None:
    """One key used by two principals, on two operations, and given in the header, in the body and in both."""
    key, same = session.run_key("replay"), KEPT
    main = await session.shared("chat", "main", idempotency_key=key, **same)
    if session.has_key("other"):
        await session.call("chat", "other", principal="other", idempotency_key=key, **same)
    await session.call("classify", "classify", idempotency_key=key, text="My invoice is wrong.")
    await session.call("chat", "body_key", idempotency_key_body=key, **same)
    if not await _replayed_anyhow(session, main, "both_equal"):
        await session.call("chat", "both_equal", idempotency_key=key, idempotency_key_body=key, **same)
    two: dict[str, Any] = {"idempotency_key": key, "idempotency_key_body": _new_key()}
    await session.call("chat", "both_differ", **two, **same)


@probe(calls=4, operations=KEYED, tokens=80)
async def idempotent_keys(session: Session) -> None:
    """The longest allowed key, one character more, and keys with a control character."""
    same: dict[str, Any] = {"prompt": "Say yes.", "max_output_tokens": 4, "temperature": 0}
    longest = _new_key().ljust(LONGEST_KEY, "k")
    carried = await with_longest_key(session)
    if carried is not None:
        session.also(carried, "longest")
    else:
        await session.call("chat", "longest", headers={"Idempotency-Key": longest}, **same)
    await session.call("chat", "bad_too_long", headers={"Idempotency-Key": longest + "k"}, **same)
    await session.call("chat", "bad_header_control", headers={"Idempotency-Key": f"{_new_key()}\tx"}, **same)
    await session.call("chat", "bad_body_control", idempotency_key_body=f"{_new_key()}\u0007", **same)


@probe(calls=len(RETRYABLE), operations=KEYED, tokens=40, shares=("chat:model_timeout", "chat:overloaded"))
async def idempotent_failures(session: Session) -> None:
    """Retryable failures, each provoked twice with one key; the payload must be equal, so it fails again."""
    wanted = [n for n in RETRYABLE if n in session.dialect.provocations]
    if not wanted:
        session.need_provocation("overloaded")
    for name in wanted:
        await provoke(session, name, f"{name}.first")
        key = session.run_key(name)
        await session.call("chat", f"{name}.retry", idempotency_key=key, **provoked(session, name))


@probe(calls=3 + CUT_RETRIES, operations=("chat_stream", *KEYED), tokens=500)
async def idempotent_streams(session: Session) -> None:
    """A keyed stream that is cut off early and asked for again with its key, and then once more.

    Where the cut one does not come to its end so, another is read twice.
    """
    slow = slowed(session, CUT_DELAY)
    cut: dict[str, Any] = {
        "prompt": PROMPT,
        "max_output_tokens": 16,
        "temperature": 1,
        "idempotency_key": _new_key(),
        **slow,
    }
    await session.call("chat_stream", "cut", hang_up=_after_a_few_events, **cut)
    await asyncio.sleep(CUT_WAIT)
    for _ in range(CUT_RETRIES):
        retry = await session.call("chat_stream", "cut_retry", **cut)
        if retry.status != 409:
            break
        await asyncio.sleep(_wait_of(retry))
    if retry.ok and retry.exchange.is_sse and retry.stream.terminals:
        session.also(retry, "stream")
        await session.call("chat_stream", "stream_replay", **cut)
        return
    same = {**KEPT, "idempotency_key": _new_key()}
    await session.call("chat_stream", "stream", **same)
    await session.call("chat_stream", "stream_replay", **same)


REPEATED: dict[str, Any] = {"prompt": PROMPT, "max_output_tokens": 16, "temperature": 1}


@probe(calls=8, tokens=450, vendor_calls=5)
async def repeated_requests(session: Session) -> None:
    """The same request without a key: twice, changed, and by another caller.

    Unless the second was plainly executed anew, there may be a cache: then also with ``no-cache``, and, on the
    contract, with one thing changed at a time.
    """
    first = await session.call("chat", "same_1", **REPEATED)
    second = await session.call("chat", "same_2", **REPEATED)
    await session.call("chat", "changed_system_seed", system="Answer like a poet.", seed=7, **REPEATED)
    if session.has_key("other"):
        await session.call("chat", "tenant", principal="other", **REPEATED)
    if executed_anew(first, second):
        return
    await session.call("chat", "no_cache", headers={"Cache-Control": "no-cache"}, **REPEATED)
    if session.dialect.name == "contract":
        await session.call("chat", "changed_seed", seed=8, **REPEATED)
        await session.call("chat", "changed_system", system="Answer like a lawyer.", **REPEATED)
        await session.call("chat", "changed_temperature", **{**REPEATED, "temperature": 0.5})


def executed_anew(first: Reading, second: Reading) -> bool:
    """Whether equal requests got answers with ids of their own, and no header speaks of a cache."""
    ids = [r.facts["response_id"] for r in (first, second)]
    marks = any(second.header(name) for name in ("Cache-Status", "X-Cache", "Age"))
    return first.ok and second.ok and all(ids) and ids[0].value != ids[1].value and not marks


async def _replayed_anyhow(session: Session, first: Reading, *roles: str) -> bool:
    """Send the first request with its key in quotes and in the body too, the members in another order; where that is
    answered as the first was, it is evidence of these roles."""
    key = session.run_key("replay")
    body = _reordered(first, idempotency_key=key)
    again = await session.combined("chat", headers={"Idempotency-Key": f'"{key}"'}, body=body, **KEPT)
    as_first = first.ok and again.status == first.status and again.body == first.body
    if as_first:
        session.also(again, *roles)
    return as_first


def _reordered(reading: Reading, **more: str) -> bytes:
    """The JSON body that was sent, with its members in reverse order and other whitespace."""
    members = {**json.loads(reading.exchange.sent.body), **more}
    return json.dumps(dict(reversed(members.items())), indent=3, ensure_ascii=False).encode()


def _after_a_few_events(body: bytes) -> bool:
    return body.count(b"\n\n") >= 4


def _wait_of(reading: Reading) -> float:
    """Seconds that a 409 asked for, bounded."""
    value = (reading.header("retry-after") or "").strip()
    return min(float(value), MAX_WAIT) if value.isascii() and value.isdigit() else 1.0
