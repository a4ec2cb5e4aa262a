"""Rewriting answers on their way out, at the ASGI boundary. The application behind never notices."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from reference_impl.mutants.model import ASGIApp

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Answer:
    """A whole non-streamed answer, with the request headers and path that it answers."""

    status: int
    headers: Headers
    body: bytes
    scope: Any

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None

    def with_json(self, value: Any, **changes: Any) -> Answer:
        return replace(self, body=json.dumps(value, ensure_ascii=False).encode(), **changes)

    def asked(self, name: bytes) -> bytes:
        """The request header ``name`` (lower case), or empty."""
        return next((v for k, v in self.scope["headers"] if k.lower() == name), b"")


def without(headers: Headers, *names: bytes) -> Headers:
    """The headers but those named, in any case."""
    return [(k, v) for k, v in headers if k.lower() not in names]


def with_header(headers: Headers, name: bytes, value: bytes) -> Headers:
    """The headers with one replaced, at its place if it was there."""
    if not any(k.lower() == name for k, _ in headers):
        return [*headers, (name, value)]
    return [(k, value if k.lower() == name else v) for k, v in headers]


def is_stream(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether these are the headers of an event stream."""
    return any(k.lower() == b"content-type" and v.startswith(b"text/event-stream") for k, v in headers)


def edit_heads(edit: Callable[[int, Headers], Headers]) -> Callable[[ASGIApp], ASGIApp]:
    """Rewrite the headers of every answer, streams included."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            async def changed(message: Any) -> None:
                if message["type"] == "http.response.start":
                    headers = edit(message["status"], list(message.get("headers", ())))
                    message = {**message, "headers": headers}
                await send(message)

            await app(scope, receive, changed if scope["type"] == "http" else send)

        return wrapped

    return wrap


def edit_answers(edit: Callable[[Answer], Answer]) -> Callable[[ASGIApp], ASGIApp]:
    """Rewrite every answer that is not a stream; Content-Length follows the body."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            head: dict[str, Any] = {}
            parts: list[bytes] = []

            async def collect(message: Any) -> None:
                if message["type"] == "http.response.start":
                    head.update(message)
                    if is_stream(message["headers"]):
                        await send(message)
                elif is_stream(head["headers"]):
                    await send(message)
                else:
                    parts.append(message.get("body", b""))
                    if not message.get("more_body"):
                        answer = Answer(head["status"], list(head["headers"]), b"".join(parts), scope)
                        await _emit(edit(answer), send)

            await app(scope, receive, collect)

        return wrapped

    return wrap


async def _emit(answer: Answer, send: Any) -> None:
    length = str(len(answer.body)).encode()
    headers = answer.headers
    if answer.scope["method"] != "HEAD" and answer.status not in (204, 304):
        headers = with_header(headers, b"content-length", length)
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


class StreamEdit:
    """One stream's rewriting. ``block`` gets each event block with its blank line; ``end`` adds to the end."""

    def block(self, block: bytes) -> list[bytes]:
        return [block]

    def end(self) -> list[bytes]:
        return []


def edit_streams(make: Callable[[], StreamEdit]) -> Callable[[ASGIApp], ASGIApp]:
    """Rewrite every event stream, block by block, with a fresh editor per stream."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            editor: StreamEdit | None = None
            pending = b""

            async def changed(message: Any) -> None:
                nonlocal editor, pending
                if message["type"] == "http.response.start" and is_stream(message.get("headers", ())):
                    editor = make()
                if message["type"] != "http.response.body" or editor is None:
                    await send(message)
                    return
                pending += message.get("body", b"")
                *whole, pending = pending.split(b"\n\n")
                parts = [p for b in whole for p in editor.block(b + b"\n\n")]
                if pending.startswith(b": ") and pending.endswith(b"\n"):
                    parts, pending = [*parts, pending], b""
                last = not message.get("more_body")
                if last:
                    parts += [*editor.end(), pending]
                for part in (p for p in parts if p):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                if last:
                    await send({"type": "http.response.body", "body": b"", "more_body": False})

            await app(scope, receive, changed if scope["type"] == "http" else send)

        return wrapped

    return wrap


def each_block(change: Callable[[bytes], bytes]) -> Callable[[ASGIApp], ASGIApp]:
    """Rewrite each event block by itself; an empty result drops it."""

    class Each(StreamEdit):
        def block(self, block: bytes) -> list[bytes]:
            return [change(block)]

    return edit_streams(Each)


def each_event(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[ASGIApp], ASGIApp]:
    """Rewrite the JSON of each event; ``[DONE]`` and comments pass."""

    def rewritten(block: bytes) -> bytes:
        before, mark, data = block.partition(b"data: {")
        if not mark:
            return block
        value = json.loads(b"{" + data)
        return before + b"data: " + json.dumps(change(value), ensure_ascii=False).encode() + b"\n\n"

    return each_block(rewritten)
