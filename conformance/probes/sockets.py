"""WebSockets: a whole conversation, a cancelled answer, upgrades that must be refused, limits."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

from conformance.probes.shared import unicode_stream
from conformance.probes.streaming import counting, slowed
from conformance.reading import member_of
from conformance.registry import probe
from conformance.session import Session
from conformance.wire.websocket import Conversation

FOREIGN_ORIGIN = "https://aiconform-foreign.example"
UNKNOWN_SUBPROTOCOL = "aiconform-unknown.v9"
ANSWER_WITHIN = 10.0
SILENCE = 0.5
"""Seconds after `cancelled` in which nothing of the answer may come any more."""

LARGEST_MESSAGE = 2 * 1024 * 1024
"""Bytes; a larger limit is not tried out."""

MOST_REQUESTS = 12


@probe(calls=1, operations=("chat_socket", "chat_stream"), tokens=300, shares=("chat_stream:unicode",))
async def socket_talk(session: Session) -> None:
    """One connection: an answer, messages that are wrong, an answer again, one key twice, a ping, the close.

    A stream over HTTP to compare its events with.
    """
    asked: dict[str, Any] = {"prompt": "Repeat exactly: one two three", "max_output_tokens": 16}
    key = secrets.token_hex(12)

    async def script(talk: Conversation, message: Mapping[str, Any]) -> None:
        request = {k: v for k, v in message.items() if k != "message_id"}
        await _ask(talk, {**request, "message_id": "first"})
        for text in ("{", '{"type": "aiconform-unknown"}'):
            await talk.say(text)
            await talk.until(is_error, ANSWER_WITHIN)
        await _ask(talk, {**request, "message_id": "again"})
        inner = request.get("request")
        if isinstance(inner, dict):
            await _ask(
                talk,
                {**request, "message_id": "model", "request": {**inner, "model": "aiconform-no-such-model"}},
            )
            for name in ("key_1", "key_2"):
                await _ask(
                    talk, {**request, "message_id": name, "request": {**inner, "idempotency_key": key}}
                )
        await talk.ping(b"aiconform")
        await talk.reading(lambda: has_pong(talk), ANSWER_WITHIN)
        await talk.close(1000)

    await session.socket("talk", script, message_id="first", **asked)
    await unicode_stream(session, "twin")


@probe(calls=1, operations=("chat_socket",), tokens=500)
async def socket_cancel(session: Session) -> None:
    """A long answer that is cancelled after three tokens; then we go on listening."""
    slow = slowed(session, 20)

    async def script(talk: Conversation, message: Mapping[str, Any]) -> None:
        await talk.say(message)
        tokens = [0]

        def three(event: dict[str, Any]) -> bool:
            tokens[0] += event.get("type") == "token"
            return tokens[0] >= 3 or is_last(event)

        await talk.until(three, ANSWER_WITHIN)
        await talk.say({"type": "cancel", "message_id": "long"})
        await talk.until(is_last, ANSWER_WITHIN)
        await talk.reading(lambda: False, SILENCE)
        await talk.close(1000)

    await session.socket(
        "cancel",
        script,
        message_id="long",
        prompt=f"Repeat exactly: {counting(240)}",
        max_output_tokens=400,
        **slow,
    )


@probe(calls=4, operations=("chat_socket", "capabilities"), tokens=0, shares=("capabilities",))
async def socket_refusals(session: Session) -> None:
    """Upgrades without a key, with a wrong one, with an unknown subprotocol, from a foreign page; and one message
    that is too big."""
    declared = await session.capabilities()
    about = socket_capability(declared.body)
    session.notes["origins"] = about.get("origins")

    async def script(talk: Conversation, _message: Mapping[str, Any]) -> None:
        await talk.close(1000)

    origins = about.get("origins")
    if isinstance(origins, list) and "*" not in origins:
        await session.socket("origin", script, headers={"Origin": FOREIGN_ORIGIN})
    await asyncio.gather(
        session.socket("no_key", script, principal="none"),
        session.socket(
            "wrong_key",
            script,
            principal="none",
            headers={"Authorization": f"Bearer sk-{secrets.token_hex(20)}"},
        ),
        session.socket("subprotocol", script, headers={"Sec-WebSocket-Protocol": UNKNOWN_SUBPROTOCOL}),
    )


@probe(calls=1, operations=("chat_socket", "capabilities"), tokens=0, shares=("capabilities",))
async def socket_too_big(session: Session) -> None:
    """A message one byte larger than the server says it takes."""
    declared = await session.capabilities()
    limit = socket_capability(declared.body).get("max_message_bytes")
    if not isinstance(limit, int) or not 0 < limit <= LARGEST_MESSAGE:
        session.notes["limit"] = None
        return
    session.notes["limit"] = limit

    async def script(talk: Conversation, _message: Mapping[str, Any]) -> None:
        await talk.say("x" * (limit + 1))
        await talk.reading(lambda: False, ANSWER_WITHIN)

    await session.socket("too_big", script)


async def exhaust_by_socket(session: Session, role: str) -> None:
    """More messages than the limited key may send, on one connection."""

    async def script(talk: Conversation, message: Mapping[str, Any]) -> None:
        for n in range(MOST_REQUESTS):
            await talk.say({**message, "message_id": f"m{n}"})
            await talk.until(is_last, ANSWER_WITHIN)
            if talk.events and is_error(talk.events[-1]):
                break
        await talk.close(1000)

    asked: dict[str, Any] = {"prompt": "Say yes.", "max_output_tokens": 2}
    await session.socket(role, script, principal="limited", message_id="m0", **asked)


def is_error(event: Mapping[str, Any]) -> bool:
    """An error event."""
    return event.get("type") == "error"


def is_last(event: Mapping[str, Any]) -> bool:
    """The last event of an answer."""
    return event.get("type") in ("done", "error", "cancelled")


def has_pong(talk: Conversation) -> bool:
    """Whether a ping was answered."""
    return any(f.opcode == "pong" and f.sender == "server" for f in talk.frames)


def socket_capability(body: object) -> Mapping[str, Any]:
    """`capabilities.websocket` of a capabilities document."""
    body = member_of(body, "capabilities", "websocket")
    return body if isinstance(body, dict) else {}


async def _ask(talk: Conversation, message: Mapping[str, Any]) -> None:
    await talk.say(message)
    await talk.until(is_last, ANSWER_WITHIN)
