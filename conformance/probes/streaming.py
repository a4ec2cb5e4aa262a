"""Streams: plain, long, compressed, Japanese, invalid, cut by the client, cut by the server, slow, huge."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from conformance.probes.shared import POSTED, unicode_stream
from conformance.reading import Reading, member_of
from conformance.registry import probe
from conformance.session import HangUp, ProbeSkipped, Session

TWIN_PROMPT = "Name the three primary colours, one per line, and nothing else."
LARGE_WORD = "x" * 262_144
DEFAULT_KEEP_ALIVE = 10.0
"""Seconds of silence after which the contract's keep-alive is due, unless the target declares others."""

_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def counting(words: int) -> str:
    """A text of number words, each a token or little more for any tokenizer."""
    return " ".join(_NUMBERS[n // 10 % 10] + " " + _NUMBERS[n % 10] for n in range(words // 2))


@probe(calls=3, operations=("chat", "chat_stream"), tokens=400)
async def stream_twin(session: Session) -> None:
    """One request at temperature 0 with a seed, as JSON and streamed.

    Some models refuse to have their temperature set; then both are asked once more without it.
    """
    asked: dict[str, Any] = {"prompt": TWIN_PROMPT, "max_output_tokens": 64}
    fixed = {**asked, "temperature": 0, "seed": 7}
    plain = await session.call("chat", "json", **fixed)
    if plain.status == 400:
        fixed = asked
        await session.call("chat", "json", **fixed)
    await session.call("chat_stream", "stream", **fixed)


@probe(calls=3, operations=("chat_stream",), tokens=900)
async def stream_pace(session: Session) -> None:
    """A short answer, and a long one twice: plain, and with compression accepted."""
    slow = slowed(session, 8)
    long = {"prompt": f"Repeat exactly: {counting(120)}", "max_output_tokens": 256, **slow}
    await session.call(
        "chat_stream", "short", prompt="Repeat exactly: one two three", max_output_tokens=16, **slow
    )
    await asyncio.gather(
        session.call("chat_stream", "long", headers={"Accept-Encoding": "identity"}, **long),
        session.call("chat_stream", "encoded", headers={"Accept-Encoding": "gzip, br"}, **long),
    )


@probe(calls=0, operations=("chat_stream",), tokens=250, shares=("chat_stream:unicode",))
async def stream_unicode(session: Session) -> None:
    """Japanese, emoji of several code points and accents, to be given back."""
    await unicode_stream(session, "unicode")


@probe(calls=2, operations=("chat_stream",), tokens=40)
async def stream_invalid(session: Session) -> None:
    """Streaming requests that no server can fulfil: an unknown model, and messages that are no list."""
    await session.call(
        "chat_stream", "unknown_model", prompt="Hello", max_output_tokens=8, model="aiconform-no-such-model"
    )
    # A number: a text in the place of the messages is an abbreviation in some formats.
    await session.call("chat_stream", "bad_messages", messages=7)


@probe(calls=2, operations=("chat_stream",), tokens=400)
async def stream_disconnect(session: Session) -> None:
    """Two streams at once; we hang up on one of them after three events."""
    same = {"prompt": f"Repeat exactly: {counting(60)}", "max_output_tokens": 128, **slowed(session, 10)}
    await asyncio.gather(
        session.call("chat_stream", "stays", **same),
        session.call("chat_stream", "left", hang_up=after_events(3), **same),
    )


@probe(calls=1, operations=("chat_stream",), tokens=60, provocations=("fault_midstream",))
async def stream_fault(session: Session) -> None:
    """A failure in the middle of a stream."""
    fault = session.need_provocation("fault_midstream")
    await session.call(
        "chat_stream", "fault", **{"prompt": "Tell me a story.", "max_output_tokens": 64, **fault}
    )


@probe(
    calls=1,
    operations=("chat_stream", "capabilities"),
    tokens=60,
    provocations=("slow_first_token",),
    shares=("capabilities",),
)
async def stream_silent(session: Session) -> None:
    """A stream whose first token comes only after a keep-alive has become due."""
    slow = session.need_provocation("slow_first_token")
    declared = await session.capabilities()
    due = session.notes["keep_alive_seconds"] = keep_alive_of(declared)
    wait = min(due, 15.0) + 1.5
    await session.call(
        "chat_stream",
        "silent",
        **{"prompt": "Say yes.", "max_output_tokens": 8, **_with_delay(slow, round(wait * 1000))},
    )


@probe(calls=9, operations=("chat_stream", "models"), phase=2, tokens=600, vendor_calls=0)
async def stream_hangup_cost(session: Session) -> None:
    """What the token limit is charged for a whole slow answer, and for the same one hung up on.

    Runs alone, since every other call changes the numbers. Between the hang-up and the last look at the limit
    passes more time than the whole answer took.
    """
    same = {"prompt": f"Repeat exactly: {counting(60)}", "max_output_tokens": 128, **slowed(session, 15)}
    before = await session.call("models", "before")
    reset = before.facts["ratelimit.tokens.reset"]
    if reset and reset.value < 5:
        # The window would end in the middle of the probe and take the charge with it.
        await asyncio.sleep(reset.value + 0.1)
        before = await session.call("models", "before")
    whole = await session.call("chat_stream", "whole", **same)
    between = await session.call("models", "between")
    await session.call("chat_stream", "left", hang_up=after_events(4), **same)
    await asyncio.sleep((whole.exchange.t_end or 1.0) + 0.5)
    for _ in range(4):
        after = await session.call("models", "after")
        if _remaining(after) != _remaining(between):
            return
        await asyncio.sleep(0.5)


@probe(calls=1, operations=("chat_stream",), tokens=100, vendor_calls=0)
async def stream_large_event(session: Session) -> None:
    """One word of 256 kB, which is one token and so one event."""
    await session.call(
        "chat_stream", "large", prompt=f"Repeat exactly: {LARGE_WORD}", max_output_tokens=8, temperature=0
    )


@probe(calls=1, operations=("chat_stream",), tokens=60, vendor_calls=0)
async def stream_not_accepted(session: Session) -> None:
    """A streaming request that accepts only JSON."""
    await session.call(
        "chat_stream",
        "json_only",
        prompt="Say yes.",
        max_output_tokens=8,
        headers={"Accept": "application/json"},
    )


@probe(calls=3, operations=("chat_deferred", "turn_stream"), tokens=120, shares=("chat_deferred",))
async def turn_streams(session: Session) -> None:
    """A turn posted with a marker word, then its stream without credentials, and twice with them."""
    posted = await session.shared("chat_deferred", "posted", **POSTED)
    body = posted.body if isinstance(posted.body, dict) else {}
    turn = body.get("turn_id")
    if not isinstance(turn, str):
        raise ProbeSkipped("the deferred answer names no turn_id")
    await session.call("turn_stream", "without_key", turn_id=turn, principal="none")
    await session.call("turn_stream", "first", turn_id=turn)
    await session.call("turn_stream", "again", turn_id=turn)


def after_events(count: int) -> HangUp:
    """Hang up once so many events, or their first lines, have come."""
    return lambda body: body.count(b"data:") >= count


def slowed(session: Session, delay_ms: int) -> Mapping[str, Any]:
    """Parameters that make generation take ``delay_ms`` per token, if the dialect can provoke that."""
    return _with_delay(session.dialect.provocations.get("slow_tokens", {}), delay_ms)


def keep_alive_of(capabilities: Reading) -> float:
    """Seconds of silence after which the target says that it sends a keep-alive."""
    found = member_of(capabilities.body, "capabilities", "streaming", "keep_alive_seconds")
    return float(found) if isinstance(found, int | float) and found > 0 else DEFAULT_KEEP_ALIVE


def _with_delay(provocation: Mapping[str, Any], delay_ms: int) -> Mapping[str, Any]:
    sandbox = provocation.get("sandbox")
    if not isinstance(sandbox, Mapping):
        return provocation
    return {**provocation, "sandbox": {**sandbox, "delay_ms": delay_ms}}


def _remaining(reading: Reading) -> Any:
    return reading.facts["ratelimit.tokens.remaining"].value
