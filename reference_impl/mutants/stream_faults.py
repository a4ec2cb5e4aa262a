"""More mutants of the event stream: its blocks, its errors, its end, and what it says."""

from __future__ import annotations

import json
import secrets
from typing import Any

from reference_impl.mutants.asked import fields_of, given, whole_body
from reference_impl.mutants.model import ASGIApp, mutant
from reference_impl.mutants.wire import (
    Headers,
    StreamEdit,
    each_block,
    each_event,
    edit_answers,
    edit_heads,
    edit_streams,
    is_stream,
    without,
)

DONE = b"data: [DONE]\n\n"
ERROR = b"event: error\n"
LINE_LIMIT = 65_536


class Numbered(StreamEdit):
    """An ``id`` in each block, and a ping with a blank line of its own."""

    def __init__(self) -> None:
        self._count = 0

    def block(self, block: bytes) -> list[bytes]:
        self._count += 1
        ping = [b": ping\n\n"] if self._count == 3 else []
        return [b"id: %d\n" % self._count + block, *ping]


class _GluedError(StreamEdit):
    """The error lands in the event of the token before it."""

    def __init__(self) -> None:
        self._held = b""

    def block(self, block: bytes) -> list[bytes]:
        held, self._held = self._held, block
        if not block.startswith(ERROR):
            return [held]
        self._held = b""
        return [held.removesuffix(b"\n"), block.removeprefix(ERROR)]

    def end(self) -> list[bytes]:
        return [self._held]


class _DoneAnyway(StreamEdit):
    """A finally block that always writes the terminal."""

    def __init__(self) -> None:
        self._failed = False

    def block(self, block: bytes) -> list[bytes]:
        self._failed = self._failed or block.startswith(ERROR)
        return [block]

    def end(self) -> list[bytes]:
        return [DONE] if self._failed else []


class _MetadataLast(StreamEdit):
    """The first event is a token."""

    def __init__(self) -> None:
        self._held = b""

    def block(self, block: bytes) -> list[bytes]:
        if block.startswith(b"event: metadata"):
            self._held = block
            return []
        return [self._held, block] if block.startswith(b"event: done") else [block]


class _NewIds(StreamEdit):
    """A new answer id in each reading of a stream."""

    def __init__(self) -> None:
        self._id = secrets.token_hex(8).encode()

    def block(self, block: bytes) -> list[bytes]:
        before, mark, rest = block.partition(b'"id":"chat_')
        return [before + mark + self._id + rest[16:] if mark else block]


def _prompt_in_url(app: ASGIApp) -> ASGIApp:
    """The stream's URL holds the prompt of the posted turn."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await app(scope, receive, send)
            return
        body = await whole_body(receive)
        messages = fields_of(body).get("messages") or [{}]
        prompt = str(messages[-1].get("content")) if isinstance(messages[-1], dict) else ""

        def edit(answer: Any) -> Any:
            if answer.status != 202:
                return answer
            told = answer.json
            return answer.with_json({**told, "stream_url": f"{told['stream_url']}&prompt={prompt}"})

        await edit_answers(edit)(app)(scope, given(body, receive), send)

    return wrapped


def _unmarked_end(status: int, headers: Headers) -> Headers:
    names = (b"ratelimit", b"ratelimit-policy", b"api-version")
    return without(headers, *names) if is_stream(headers) and status == 200 else headers


def _counted_twice(event: dict[str, Any]) -> dict[str, Any]:
    if event.get("type") != "done":
        return event
    used = {k: v * 2 for k, v in event["metadata"]["tokens_used"].items()}
    return {**event, "metadata": {**event["metadata"], "tokens_used": used}}


def _cut_line(block: bytes) -> bytes:
    return block if len(block) < LINE_LIMIT else block[:LINE_LIMIT] + b"\n\n"


def _filter_hidden(event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "finish_reason": "stop"} if event.get("finish_reason") == "content_filter" else event


def _limit_hidden(event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "finish_reason": "stop"} if event.get("finish_reason") == "length" else event


def _without_text(block: bytes) -> bytes:
    return b"" if b'"type":"token"' in block else block


def _half_done(event: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in event.items() if event.get("type") != "done" or k != "text"}


def _second_error(block: bytes) -> bytes:
    return block + block if block.startswith(ERROR) else block


def _error_in_words(block: bytes) -> bytes:
    return ERROR + b"data: " + json.dumps({"type": "error", "error": {}}).encode() + b"\n\n" if block.startswith(ERROR) else block  # fmt: skip


MUTANTS = (
    mutant("sse-counts-twice", "SSE-08", "a stream counts twice the tokens of the plain answer", says="tokens", wrap=each_event(_counted_twice)),
    mutant("sse-ping-after-id", "SSE-14", "ids, and a ping with a blank line of its own", says="ping", wrap=edit_streams(Numbered)),
    mutant("sse-glued-error", "SSE-21", "the error shares an event with a token", says="JSON|Extra data|error", wrap=edit_streams(_GluedError)),
    mutant("sse-two-errors", "SSE-20", "the error comes twice", says="2 error events", wrap=each_block(_second_error)),
    mutant("sse-error-in-words", "SSE-20", "the error has neither code nor message", says="code and a message", wrap=each_block(_error_in_words)),
    mutant("sse-bare-head", "SSE-29", "streams have no limits and no version in their head", says="no API-Version", wrap=edit_heads(_unmarked_end)),
    mutant("sse-prompt-in-url", "SSE-31", "the URL of a stream holds the prompt", says="prompt", wrap=_prompt_in_url),
    mutant("sse-line-limit", "SSE-33", "a long event is cut", says="not parse|bytes", wrap=each_block(_cut_line)),
    mutant("sse-empty", "SSE-37", "a complete stream without text", says="none in", wrap=each_block(_without_text)),
    mutant("sse-no-last-blank-line", "SSE-38", "no blank line after [DONE]", says="blank line", wrap=each_block(lambda b: DONE[:-1] if b == DONE else b)),
    mutant("sse-done-after-error", "SSE-40", "[DONE] after an error", says="DONE", wrap=edit_streams(_DoneAnyway)),
    mutant("sse-metadata-last", "SSE-41", "the metadata come at the end", says="type metadata first", wrap=edit_streams(_MetadataLast)),
    mutant("sse-named-tokens", "SSE-42", "token events have a name", says="'token'", wrap=each_block(lambda b: b"event: token\n" + b if b'"type":"token"' in b else b)),
    mutant("sse-half-done", "SSE-42", "done has no text", says="text", wrap=each_event(_half_done)),
    mutant("sse-generated-again", "SSE-43", "each reading of a turn is a new answer", says="the id of the first time", wrap=edit_streams(_NewIds)),
    mutant("sse-filter-as-stop", "ERR-06", "a filtered stream just stops", says="finish reason stop", wrap=each_event(_filter_hidden)),
    mutant("sse-limit-as-stop", "SYNC-07", "only plain answers know length", says="length", wrap=each_event(_limit_hidden)),
)  # fmt: skip
