"""A WebSocket at the ASGI boundary: refused in HTTP, accepted, spoken in JSON text frames (RFC 6455)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from reference_impl.exchange import Exchange
from reference_impl.http.answers import encode
from reference_impl.http.entry import Entry
from reference_impl.policies import Policies
from reference_impl.policies.errors import ContractError

SOCKET_FRAME_LIMIT = 4 * 1024 * 1024
"""Bytes beyond which uvicorn itself closes; the contract's limit is lower and enforced by the handler."""

PING_S = 20.0

GOING_AWAY = 1001
POLICY = 1008
TOO_BIG = 1009
SERVER_ERROR = 1011
IDLE = 4408


class Closed(Exception):  # noqa: N818 - a signal
    """The client has gone."""


class Socket:
    """An accepted socket. One task reads; any may send, a whole message at a time."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._open = True

    async def receive(self) -> str | bytes:
        """The next message; raises `Closed`."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._open = False
            raise Closed
        text = message.get("text")
        received: str | bytes = message["bytes"] if text is None else text
        return received

    async def send(self, event: Mapping[str, Any]) -> None:
        """One JSON text frame; nothing to a client that has gone."""
        if self._open:
            await self._send({"type": "websocket.send", "text": encode(event).decode()})

    async def close(self, code: int, reason: str = "") -> None:
        """End the conversation."""
        if self._open:
            self._open = False
            await self._send({"type": "websocket.close", "code": code, "reason": reason})


def as_request(scope: Scope) -> Scope:
    """The scope of the upgrade request as HTTP sees it."""
    return {**scope, "method": "GET", "scheme": "https" if scope.get("scheme") == "wss" else "http"}


async def accept(entry: Entry, exchange: Exchange, receive: Receive, send: Send, subprotocol: str) -> Socket:
    """Answer 101, with the headers that every response carries."""
    await receive()
    headers = entry.headers(exchange, [])
    await send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": headers})
    return Socket(receive, send)


async def refuse(
    entry: Entry, policies: Policies, exchange: Exchange, error: ContractError, receive: Receive, send: Send
) -> int:
    """Answer the upgrade with an error, as any other request; its status."""
    await receive()
    rendered = policies.errors.render(error, exchange)
    own = [(name.lower().encode(), value.encode("latin-1")) for name, value in rendered.headers]
    own += [
        (b"content-type", rendered.media_type.encode()),
        (b"content-length", b"%d" % len(rendered.body)),
    ]
    headers = entry.headers(exchange, own)
    await send({"type": "websocket.http.response.start", "status": rendered.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": rendered.body})
    return rendered.status


def event_of(block: bytes) -> dict[str, Any] | None:
    """The JSON of a server-sent event block, None for the terminal and for comments."""
    for line in block.split(b"\n"):
        if line.startswith(b"data: {"):
            event: dict[str, Any] = json.loads(line[len(b"data: ") :])
            return event
    return None


def named(event: dict[str, Any], message_id: str | None) -> dict[str, Any]:
    """The event as part of the answer to a message, if that has a name."""
    return event if message_id is None else {**event, "reply_to": message_id}


def message_id_of(message: Any) -> str | None:
    """The name of a message, also of one that is wrong otherwise; None for one without a usable name."""
    found = message.get("message_id") if isinstance(message, dict) else None
    return found if isinstance(found, str) and 0 < len(found) <= 128 else None
