"""Idempotency keys and caching: the same request again, in ways that do and do not count as the same."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

from conformance.reading import Reading
from conformance.registry import probe
from conformance.session import Session

PROMPT = "Write two short sentences about lighthouses."
OTHER_PROMPT = "Write two short sentences about windmills."
KEYED = ("chat", "classify")
"""No AI vendor takes idempotency keys (the two official clients that know the header never set it), so these
probes ask for what only the contract's dialect has, and cost others nothing."""

TWINS = 5
CUT_RETRIES = 6
MAX_WAIT = 5.0  # seconds; the most a probe here sleeps on a Retry-After of 409


def _new_key() -> str:
    return f"aiconform-{uuid4().hex}"


@probe(calls=7, operations=KEYED, tokens=400)
async def idempotent_replay(session: Session) -> None:
    """One keyed request, then again: as it was, reordered, with the key quoted, with another payload."""
    key = _new_key()
    same: dict[str, Any] = {"prompt": PROMPT, "max_output_tokens": 24, "temperature": 1}
    first = await session.call("chat", "first", idempotency_key=key, **same)
    await session.call("chat", "replay", idempotency_key=key, **same)
    await session.call("chat", "reordered", idempotency_key=key, body=_reordered(first), **same)
    await session.call("chat", "quoted", headers={"Idempotency-Key": f'"{key}"'}, **same)
    await session.call("chat", "bare", headers={"Idempotency-Key": key}, **same)
    await session.call("chat", "other_payload", idempotency_key=key, **{**same, "prompt": OTHER_PROMPT})
    await session.call("chat", "after_mismatch", idempotency_key=key, **same)


@probe(calls=TWINS + 1, operations=KEYED, phase=2, tokens=1600)
async def idempotent_race(session: Session) -> None:
    """The same keyed request five times at once, slow enough to overlap, then once more after all ended.

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


@probe(calls=6, operations=KEYED, tokens=300)
async def idempotent_scopes(session: Session) -> None:
    """One key used by two principals, on two operations, and given in the header, in the body and in both."""
    key = _new_key()
    same: dict[str, Any] = {"prompt": PROMPT, "max_output_tokens": 16, "temperature": 1}
    await session.call("chat", "main", idempotency_key=key, **same)
    if session.has_key("other"):
        await session.call("chat", "other", principal="other", idempotency_key=key, **same)
    await session.call("classify", "classify", idempotency_key=key, text="My invoice is wrong.")
    await session.call("chat", "body_key", idempotency_key_body=key, **same)
    await session.call("chat", "both_equal", idempotency_key=key, idempotency_key_body=key, **same)
    two: dict[str, Any] = {"idempotency_key": key, "idempotency_key_body": _new_key()}
    await session.call("chat", "both_differ", **two, **same)


@probe(calls=4, operations=KEYED, tokens=80)
async def idempotent_keys(session: Session) -> None:
    """The longest allowed key, one character more, and keys with a control character."""
    same: dict[str, Any] = {"prompt": "Say yes.", "max_output_tokens": 4, "temperature": 0}
    longest = _new_key().ljust(255, "k")
    await session.call("chat", "longest", headers={"Idempotency-Key": longest}, **same)
    await session.call("chat", "bad_too_long", headers={"Idempotency-Key": longest + "k"}, **same)
    await session.call("chat", "bad_header_control", headers={"Idempotency-Key": f"{_new_key()}\tx"}, **same)
    await session.call("chat", "bad_body_control", idempotency_key_body=f"{_new_key()}\u0007", **same)


@probe(calls=4, operations=KEYED, tokens=40)
async def idempotent_failures(session: Session) -> None:
    """Retryable failures, each provoked twice with one key; the payload must be equal, so it fails again."""
    wanted = [n for n in ("overloaded", "model_timeout") if n in session.dialect.provocations]
    if not wanted:
        session.need_provocation("overloaded")
    for name in wanted:
        same: dict[str, Any] = {"prompt": PROMPT, "max_output_tokens": 8, "idempotency_key": _new_key()}
        same |= session.dialect.provocations[name]
        await session.call("chat", f"{name}.first", **same)
        await session.call("chat", f"{name}.retry", **same)


@probe(calls=3 + CUT_RETRIES, operations=("chat_stream", *KEYED), tokens=500)
async def idempotent_streams(session: Session) -> None:
    """A keyed stream read twice; then one cut off early and asked for again with its key."""
    same: dict[str, Any] = {
        "prompt": PROMPT,
        "max_output_tokens": 32,
        "temperature": 1,
        "idempotency_key": _new_key(),
    }
    await session.call("chat_stream", "stream", **same)
    await session.call("chat_stream", "stream_replay", **same)

    slow = session.dialect.provocations.get("slow_tokens", {})
    cut: dict[str, Any] = {
        "prompt": PROMPT,
        "max_output_tokens": 16,
        "temperature": 1,
        "idempotency_key": _new_key(),
        **slow,
    }
    await session.call("chat_stream", "cut", hang_up=_after_a_few_events, **cut)
    for _ in range(CUT_RETRIES):
        retry = await session.call("chat_stream", "cut_retry", **cut)
        if retry.status != 409:
            return
        await asyncio.sleep(_wait_of(retry))


REPEATED: dict[str, Any] = {"prompt": PROMPT, "max_output_tokens": 16, "temperature": 1}


@probe(calls=5, tokens=250)
async def repeated_requests(session: Session) -> None:
    """The same request without a key: twice, with ``no-cache``, changed, and by another caller."""
    await session.call("chat", "same_1", **REPEATED)
    await session.call("chat", "same_2", **REPEATED)
    await session.call("chat", "no_cache", headers={"Cache-Control": "no-cache"}, **REPEATED)
    await session.call("chat", "changed_system_seed", system="Answer like a poet.", seed=7, **REPEATED)
    if session.has_key("other"):
        await session.call("chat", "tenant", principal="other", **REPEATED)


@probe(calls=4, operations=KEYED, tokens=200)
async def changed_requests(session: Session) -> None:
    """One request, then with one thing changed at a time; other dialects are spared these calls."""
    await session.call("chat", "unchanged", **REPEATED)
    await session.call("chat", "changed_seed", seed=8, **REPEATED)
    await session.call("chat", "changed_system", system="Answer like a lawyer.", **REPEATED)
    await session.call("chat", "changed_temperature", **{**REPEATED, "temperature": 0.5})


def _reordered(reading: Reading) -> bytes:
    """The JSON body that was sent, with its members in reverse order and other whitespace."""
    members = json.loads(reading.exchange.sent.body)
    return json.dumps(dict(reversed(members.items())), indent=3, ensure_ascii=False).encode()


def _after_a_few_events(body: bytes) -> bool:
    return body.count(b"\n\n") >= 4


def _wait_of(reading: Reading) -> float:
    """Seconds that a 409 asked for, bounded."""
    value = (reading.header("retry-after") or "").strip()
    return min(float(value), MAX_WAIT) if value.isascii() and value.isdigit() else 1.0
