"""Rewriting requests on their way in, and refusing them before the application sees them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from reference_impl.mutants.model import ASGIApp
from reference_impl.mutants.wire import Headers, with_header

Wrap = Callable[[ASGIApp], ASGIApp]
Fields = dict[str, Any]


async def whole_body(receive: Any) -> bytes:
    """The body of a request; empty if the client leaves before its end."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def given(body: bytes, receive: Any) -> Any:
    """A ``receive`` that gives ``body`` first, and then what the server has to say."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receiving() -> Any:
        return waiting.pop() if waiting else await receive()

    return receiving


def fields_of(body: bytes) -> Fields:
    """The JSON object in a request body; empty if there is none."""
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def edit_asked(change: Callable[[Fields], Fields], path: str = "") -> Wrap:
    """Rewrite the JSON object in the body of every POST to a path with this ending."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].endswith(path):
                await app(scope, receive, send)
                return
            body = await whole_body(receive)
            asked = fields_of(body)
            changed = change(asked)
            if changed != asked:
                scope, body = asking(scope, changed)
            await app(scope, given(body, receive), send)

        return wrapped

    return wrap


def asking(scope: Any, fields: Fields) -> tuple[Any, bytes]:
    """The request with this JSON object as its body."""
    body = json.dumps(fields).encode()
    headers = with_header(list(scope["headers"]), b"content-length", str(len(body)).encode())
    return {**scope, "headers": headers}, body


def edit_scope(change: Callable[[Any], Any]) -> Wrap:
    """Rewrite path and headers of every request."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            await app(change(scope) if scope["type"] == "http" else scope, receive, send)

        return wrapped

    return wrap


def asked_header(name: bytes, value: bytes) -> Wrap:
    """Pretend that every request had this value for a header that it has."""

    def change(scope: Any) -> Any:
        return {**scope, "headers": [(k, value if k == name else v) for k, v in scope["headers"]]}

    return edit_scope(change)


def header_of(scope: Any, name: bytes) -> bytes:
    """A request header by its lower-case name, or empty."""
    return next((v for k, v in scope["headers"] if k.lower() == name), b"")


async def answer_json(send: Any, status: int, value: Any, headers: Headers | None = None) -> None:
    """Answer instead of the application."""
    body = json.dumps(value).encode()
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*head, *(headers or [])]})
    await send({"type": "http.response.body", "body": body})
