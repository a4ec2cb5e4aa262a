"""Mutants of the WebSocket: rewritten at the ASGI boundary, message by message."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from reference_impl.exchange import Exchange
from reference_impl.mutants.model import ASGIApp, mutant, variant
from reference_impl.mutants.wire import edit_answers
from reference_impl.policies import Policies
from reference_impl.policies.limits import FixedWindows
from reference_impl.policies.sockets import OneSubprotocol

Message = dict[str, Any]
DEAF_S = 30.0
"""Longer than any check waits for a pong."""


def _on_sockets(
    scope_edit: Callable[[Any], Any] = lambda scope: scope,
    incoming: Callable[[Message], Message | None] = lambda m: m,
    outgoing: Callable[[Message], list[Message]] = lambda m: [m],
) -> Callable[[ASGIApp], ASGIApp]:
    """Rewrite the upgrade, what the client sends (None drops a message) and what the server sends."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "websocket":
                await app(scope, receive, send)
                return

            async def hearing() -> Any:
                while True:
                    message = incoming(await receive())
                    if message is not None:
                        return message

            async def saying(message: Message) -> None:
                for part in outgoing(message):
                    await send(part)

            await app(scope_edit(scope), hearing, saying)

        return wrapped

    return wrap


def _events(change: Callable[[Message], Message | None]) -> Callable[[Message], list[Message]]:
    """Rewrite the JSON of each text frame that the server sends; None drops it."""

    def outgoing(message: Message) -> list[Message]:
        if message["type"] != "websocket.send":
            return [message]
        changed = change(json.loads(message["text"]))
        return [] if changed is None else [{**message, "text": json.dumps(changed, ensure_ascii=False)}]

    return outgoing


def _asked(kind: str) -> Callable[[Message], Message | None]:
    """Drop the client's messages of one type."""
    return lambda m: None if f'"type": "{kind}"' in (m.get("text") or "") else m


def _anybody(scope: Any) -> Any:
    headers = [(k, v) for k, v in scope["headers"] if k.lower() != b"authorization"]
    return {**scope, "headers": [*headers, (b"authorization", b"Bearer sk-demo")]}


def _any_subprotocol(scope: Any) -> Any:
    headers = [(k, v) for k, v in scope["headers"] if k.lower() != b"sec-websocket-protocol"]
    return {**scope, "headers": [*headers, (b"sec-websocket-protocol", b"enterprise-ai.v1")]}


def _own_schema(event: Message) -> Message:
    """Token events in another shape."""
    return {"type": "delta", "text": event["token"]} if event.get("type") == "token" else event


def _closing_on_errors(message: Message) -> list[Message]:
    if message["type"] == "websocket.send" and '"INVALID_' in message["text"]:
        return [{"type": "websocket.close", "code": 1011}]
    return [message]


def _abnormal(message: Message) -> list[Message]:
    return [{**message, "code": 1011}] if message["type"] == "websocket.close" else [message]


def _without_key(message: Message) -> Message:
    if message.get("text") and '"idempotency_key"' in message["text"]:
        value = json.loads(message["text"])
        value["request"] = {k: v for k, v in value["request"].items() if k != "idempotency_key"}
        return {**message, "text": json.dumps(value)}
    return message


def _text_error(event: Message) -> Message:
    if event.get("type") != "error":
        return event
    return {**event, "error": {**event["error"], "code": "ERROR"}}


class _UpgradesOnly(FixedWindows):
    """Counts what has not been upgraded from HTTP."""

    async def admit_request(self, exchange: Exchange) -> None:
        if exchange.method == "POST" and exchange.headers.get("upgrade") is not None:
            return
        await super().admit_request(exchange)


class _OwnPagesOnly(OneSubprotocol):
    """Says that only pages of its own origin may connect, and does not look."""

    def __init__(self) -> None:
        super().__init__("https://app.example")

    def check_origin(self, headers: object) -> None:
        return


def _sockets(policies: Policies) -> Policies:
    return replace(policies, sockets=_OwnPagesOnly())


def _shorter_limit(answer: Any) -> Any:
    if answer.status != 200 or not answer.scope["path"].endswith("/capabilities"):
        return answer
    body = answer.json
    offered = body["capabilities"]
    socket = {**offered["websocket"], "max_message_bytes": 100_000}
    return answer.with_json({**body, "capabilities": {**offered, "websocket": socket}})


def _deaf(app: ASGIApp) -> ASGIApp:
    """Reads six messages. What comes then stays in the buffer, and every ping behind it."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        heard = 0

        async def hearing() -> Any:
            nonlocal heard
            if heard == 6:
                await asyncio.sleep(DEAF_S)
                return {"type": "websocket.disconnect", "code": 1006}
            message = await receive()
            heard += message["type"] == "websocket.receive"
            return message

        await app(scope, hearing if scope["type"] == "websocket" else receive, send)

    return wrapped


def _heartbeats(message: Message) -> list[Message]:
    """An event that no client knows before each event."""
    if message["type"] != "websocket.send":
        return [message]
    return [{"type": "websocket.send", "text": '{"type": "heartbeat"}'}, message]


MUTANTS = (
    mutant("socket-unauthenticated", "WS-01", "the upgrade needs no key", wrap=_on_sockets(_anybody)),
    mutant("socket-any-subprotocol", "WS-02", "offers of subprotocols are not read", wrap=_on_sockets(_any_subprotocol)),
    mutant("socket-own-schema", "WS-03", "tokens in another shape than in a stream", wrap=_on_sockets(outgoing=_events(_own_schema))),
    mutant("socket-no-done", "WS-03", "an answer just ends", wrap=_on_sockets(outgoing=_events(lambda e: None if e.get("type") == "done" else e))),
    mutant("socket-dropped-by-errors", "WS-04", "a bad message ends the connection", wrap=_on_sockets(outgoing=_closing_on_errors)),
    mutant("socket-wrong-close-code", "WS-05", "every close is a server error", wrap=_on_sockets(outgoing=_abnormal)),
    mutant("socket-message-limit-unenforced", "WS-05", "the declared size of a message is not enforced", wrap=edit_answers(_shorter_limit)),
    mutant("socket-any-origin", "WS-06", "pages of any origin may connect", policies=_sockets),
    mutant("socket-deaf", "WS-07", "after six messages nothing is read any more", wrap=_deaf),
    mutant("socket-cancel-ignored", "WS-08", "cancel has no effect", wrap=_on_sockets(incoming=_asked("cancel"))),
    mutant("socket-cancel-unconfirmed", "WS-08", "no cancelled event", wrap=_on_sockets(outgoing=_events(lambda e: None if e.get("type") == "cancelled" else e))),
    mutant("socket-unlimited", "WS-09", "only upgrades are counted", policies=lambda p: replace(p, limits=_UpgradesOnly())),
    mutant("socket-keys-ignored", "WS-10", "idempotency keys have no effect", wrap=_on_sockets(incoming=_without_key)),
    mutant("socket-own-error-codes", "WS-11 WS-04", "errors have codes of their own", wrap=_on_sockets(outgoing=_events(_text_error))),
)  # fmt: skip

VARIANTS = (
    variant("socket-heartbeats", "an unknown event between any two", wrap=_on_sockets(outgoing=_heartbeats)),
    variant("socket-closed-origins", "no page may connect", policies=lambda p: replace(p, sockets=OneSubprotocol(None))),
)  # fmt: skip
