"""Mutants of the event stream: one thing wrong in its bytes or in their timing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from reference_impl.mutants.model import ASGIApp, mutant
from reference_impl.mutants.wire import (
    StreamEdit,
    each_block,
    each_event,
    edit_heads,
    edit_streams,
    with_header,
    without,
)

DONE = b"data: [DONE]\n\n"


class Truncated(StreamEdit):
    """Lets the metadata and three tokens pass, then ends cleanly."""

    def __init__(self) -> None:
        self._passed = 0

    def block(self, block: bytes) -> list[bytes]:
        self._passed += 1
        return [block] if self._passed <= 4 else []


class _AfterDone(StreamEdit):
    def end(self) -> list[bytes]:
        return [b'data: {"token":"late"}\n\n']


class _First(StreamEdit):
    """Something before the first block."""

    prefix = b""

    def __init__(self) -> None:
        self._started = False

    def block(self, block: bytes) -> list[bytes]:
        parts = [block] if self._started else [self.prefix + block]
        self._started = True
        return parts


class Bom(_First):
    prefix = b"\xef\xbb\xbf"


class BareRetry(_First):
    prefix = b"retry: 3000\n\n"


class Buffered(StreamEdit):
    """Holds every block back until the end."""

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def block(self, block: bytes) -> list[bytes]:
        self._held.append(block)
        return []

    def end(self) -> list[bytes]:
        return [b"".join(self._held)]


class _LostToken(StreamEdit):
    """Drops the first token."""

    def __init__(self) -> None:
        self._lost = False

    def block(self, block: bytes) -> list[bytes]:
        if not self._lost and b'"type":"token"' in block:
            self._lost = True
            return []
        return [block]


class _OtherIds(StreamEdit):
    """Gives each event that has an id another one."""

    def __init__(self) -> None:
        self._count = 0

    def block(self, block: bytes) -> list[bytes]:
        self._count += 1
        return [block.replace(b'"id":"chat_', b'"id":"chat_%d' % self._count)]


def mixed_line_ends(block: bytes) -> bytes:
    return block.replace(b"\n", b"\r\n") if b'"type":"token"' in block else block


def _broken_json(block: bytes) -> bytes:
    return block.replace(b'"index":2,', b'"index":2,,')


def split_utf8(block: bytes) -> bytes:
    at = next((i for i, byte in enumerate(block) if byte >= 0xE0), None)
    return block if at is None else block[: at + 2] + b"\n\n" + b"data: " + block[at + 2 :]


def _no_usage(event: dict[str, Any]) -> dict[str, Any]:
    if event.get("type") != "done":
        return event
    return {**event, "metadata": {k: v for k, v in event["metadata"].items() if k != "tokens_used"}}


def _no_finish(event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "finish_reason": None} if event.get("type") == "done" else event


def _gap(event: dict[str, Any]) -> dict[str, Any]:
    number = event.get("sequence_number", 0)
    return {**event, "sequence_number": number * 2} if "sequence_number" in event else event


def _replacement_characters(event: dict[str, Any]) -> dict[str, Any]:
    if "token" not in event:
        return event
    return {**event, "token": "".join("\ufffd" if ord(c) > 0x2000 else c for c in event["token"])}


def lingering(mark: bytes) -> Callable[[ASGIApp], ASGIApp]:
    """Stays open for five seconds after the block that begins so."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            async def late(message: Any) -> None:
                await send(message)
                if message["type"] == "http.response.body" and message.get("body", b"").startswith(mark):
                    await asyncio.sleep(5)

            await app(scope, receive, late if scope["type"] == "http" else send)

        return wrapped

    return wrap


def _plain_text(_status: int, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    stream = any(v.startswith(b"text/event-stream") for k, v in headers if k.lower() == b"content-type")
    return with_header(headers, b"content-type", b"text/plain") if stream else headers


def early_errors_as_stream(*statuses: int) -> Callable[[ASGIApp], ASGIApp]:
    """Answers the errors of stream requests, or those of the given statuses, with 200 and an error event."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            asked = dict(scope.get("headers", ())).get(b"accept", b"")
            failing = False

            async def changed(message: Any) -> None:
                nonlocal failing
                status = message.get("status", 0)
                if status in statuses or (not statuses and status >= 400):
                    failing = True
                    headers = without(message["headers"], b"content-length")
                    headers = with_header(headers, b"content-type", b"text/event-stream")
                    message = {**message, "status": 200, "headers": headers}
                elif failing and message["type"] == "http.response.body":
                    body = message.get("body", b"")
                    message = {**message, "body": b"event: error\ndata: " + body + b"\n\n" if body else b""}
                await send(message)

            await app(scope, receive, changed if b"text/event-stream" in asked else send)

        return wrapped

    return wrap


MUTANTS = (
    mutant("sse-no-done", "SSE-04", "the stream ends without [DONE]", wrap=each_block(lambda b: b"" if b == DONE else b)),
    mutant("sse-two-dones", "SSE-04", "[DONE] twice", wrap=each_block(lambda b: b + b if b == DONE else b)),
    mutant("sse-data-after-done", "SSE-04", "an event after [DONE]", wrap=edit_streams(_AfterDone)),
    mutant("sse-truncated", "SSE-04", "ends cleanly after three tokens", wrap=edit_streams(Truncated)),
    mutant("sse-lingering", "SSE-05", "stays open after [DONE]", wrap=lingering(DONE)),
    mutant("sse-no-finish-reason", "SSE-06", "finish_reason is null", wrap=each_event(_no_finish)),
    mutant("sse-no-usage", "SSE-07", "no usage in the stream", wrap=each_event(_no_usage)),
    mutant("sse-broken-json", "SSE-02", "one event is not JSON", wrap=each_block(_broken_json)),
    mutant("sse-lost-token", "SSE-03", "the first token is lost", wrap=edit_streams(_LostToken)),
    mutant("sse-split-utf8", "SSE-02 SSE-09", "an event ends inside a character", wrap=each_block(split_utf8)),
    mutant("sse-replacement-characters", "SSE-09", "U+FFFD instead of characters", wrap=each_event(_replacement_characters)),
    mutant("sse-bom", "SSE-10", "a byte order mark first", wrap=edit_streams(Bom)),
    mutant("sse-mixed-line-ends", "SSE-11", "CRLF in token events only", wrap=each_block(mixed_line_ends)),
    mutant("sse-no-space", "SSE-12", "no space after data:", wrap=each_block(lambda b: b.replace(b"data: {", b"data:{"))),
    mutant("sse-bare-retry", "SSE-13", "a block with retry alone", wrap=edit_streams(BareRetry)),
    mutant("sse-buffered", "SSE-16", "everything arrives at the end", wrap=edit_streams(Buffered)),
    mutant("sse-plain-text", "SSE-01", "text/plain instead of text/event-stream", wrap=edit_heads(_plain_text)),
    mutant("sse-early-error-as-stream", "SSE-19", "a bad model gives 200 and an event", wrap=early_errors_as_stream()),
    mutant("sse-silent-fault", "SSE-20", "a fault in mid-stream ends it silently", wrap=each_block(lambda b: b"" if b.startswith(b"event: error") else b)),
    mutant("sse-other-ids", "SSE-25", "the id changes from event to event", wrap=edit_streams(_OtherIds)),
    mutant("sse-sequence-gap", "SSE-26", "sequence numbers skip", wrap=each_event(_gap)),
)  # fmt: skip
