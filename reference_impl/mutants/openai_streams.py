"""Mutants of streams in OpenAI's shape: chunks, the usage chunk, ``[DONE]``, and errors between them."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from typing import Any

from reference_impl.mutants.interruptions import (
    after_blocks,
    die,
    shared_cancel,
    with_compression_buffered,
)
from reference_impl.mutants.model import ASGIApp
from reference_impl.mutants.openai_answers import facade
from reference_impl.mutants.stream_faults import Numbered
from reference_impl.mutants.streams import (
    BareRetry,
    Bom,
    Buffered,
    Truncated,
    early_errors_as_stream,
    lingering,
    split_utf8,
)
from reference_impl.mutants.wire import (
    Headers,
    StreamEdit,
    each_block,
    each_event,
    edit_heads,
    edit_streams,
    is_stream,
    with_header,
    without,
)

DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error"'
Chunk = dict[str, Any]


def _choice(change: Callable[[Chunk], Chunk]) -> Callable[[ASGIApp], ASGIApp]:
    """Rewrite the first choice of each chunk that has one."""

    def edit(chunk: Chunk) -> Chunk:
        if not chunk.get("choices"):
            return chunk
        return {**chunk, "choices": [change(chunk["choices"][0]), *chunk["choices"][1:]]}

    return each_event(edit)


def _usage(change: Callable[[Chunk], Chunk | None]) -> Callable[[ASGIApp], ASGIApp]:
    """Rewrite the usage of the chunk that has it."""
    return each_event(lambda c: {**c, "usage": change(c["usage"])} if c.get("usage") else c)


class _UsageLate(StreamEdit):
    """The usage chunk comes after the terminal."""

    def __init__(self) -> None:
        self._held = b""

    def block(self, block: bytes) -> list[bytes]:
        if b'"choices":[],' in block:
            self._held = block
            return []
        return [block]

    def end(self) -> list[bytes]:
        return [self._held]


class _AfterDone(StreamEdit):
    def __init__(self) -> None:
        self._last = b""

    def block(self, block: bytes) -> list[bytes]:
        self._last = block if b'"content":"' in block else self._last
        return [block]

    def end(self) -> list[bytes]:
        return [self._last]


class _TwoObjects(StreamEdit):
    """Two chunks share an event, now and then."""

    def __init__(self) -> None:
        self._held = b""
        self._count = 0

    def block(self, block: bytes) -> list[bytes]:
        self._count += 1
        if self._count == 3:
            self._held = block
            return []
        held, self._held = self._held.removesuffix(b"\n"), b""
        return [held + block]


class _OtherModel(StreamEdit):
    """A fallback answers from the fourth chunk on, under a name of its own."""

    def __init__(self) -> None:
        self._count = 0

    def block(self, block: bytes) -> list[bytes]:
        self._count += 1
        return [block.replace(b'"model":"', b'"model":"fallback-') if self._count > 3 else block]


class _OtherIds(StreamEdit):
    def __init__(self) -> None:
        self._count = count()

    def block(self, block: bytes) -> list[bytes]:
        return [block.replace(b'"id":"chatcmpl-', b'"id":"chatcmpl-%d' % next(self._count))]


class _GluedError(StreamEdit):
    """The error shares an event with the chunk before it."""

    def __init__(self) -> None:
        self._held = b""

    def block(self, block: bytes) -> list[bytes]:
        held, self._held = self._held, block
        if not block.startswith(ERROR):
            return [held]
        self._held = b""
        return [held.removesuffix(b"\n") + block]

    def end(self) -> list[bytes]:
        return [self._held]


def _labelled(media_type: bytes) -> Callable[[int, Headers], Headers]:
    return lambda _, headers: with_header(headers, b"content-type", media_type) if is_stream(headers) else headers  # fmt: skip


def _no_text(choice: Chunk) -> Chunk:
    return (
        {**choice, "delta": {**choice["delta"], "content": ""}} if choice["delta"].get("content") else choice
    )


def _early_reason(choice: Chunk) -> Chunk:
    return {**choice, "finish_reason": "tool_calls"} if choice["delta"].get("role") else choice


def _limit_as_stop(choice: Chunk) -> Chunk:
    return {**choice, "finish_reason": "stop"} if choice["finish_reason"] == "length" else choice


def _no_reason(choice: Chunk) -> Chunk:
    return {**choice, "finish_reason": None}


def _replaced(choice: Chunk) -> Chunk:
    text = choice["delta"].get("content") or ""
    return {**choice, "delta": {**choice["delta"], "content": "".join(c if c.isascii() else "\ufffd" for c in text)}}  # fmt: skip


def _crlf_in_text(block: bytes) -> bytes:
    return block.replace(b"\n", b"\r\n") if b'"content":"' in block else block


def _error_in_words(block: bytes) -> bytes:
    return b"data: " + json.dumps({"error": {"type": None}}).encode() + b"\n\n" if block.startswith(ERROR) else block  # fmt: skip


MUTANTS = (
    facade("html-stream", "SSE-01", "a stream is text/html", says="text/html", wrap=edit_heads(_labelled(b"text/html"))),
    facade("latin1-stream", "SSE-01", "a stream names another charset", says="iso-8859-1", wrap=edit_heads(_labelled(b"text/event-stream; charset=iso-8859-1"))),
    facade("two-objects", "SSE-02", "two chunks share an event", says="Extra data", wrap=edit_streams(_TwoObjects)),
    facade("no-done", "SSE-04", "no [DONE]", says="a clean end after finish_reason", wrap=each_block(lambda b: b"" if b == DONE else b)),
    facade("two-dones", "SSE-04", "[DONE] twice", says="2 times", wrap=each_block(lambda b: b + b if b == DONE else b)),
    facade("data-after-done", "SSE-04", "a chunk after [DONE]", says="1 more events", wrap=edit_streams(_AfterDone)),
    facade("truncated", "SSE-04", "ends cleanly after a few chunks", says="without a finish_reason", wrap=edit_streams(Truncated)),
    facade("lingering", "SSE-05", "stays open after [DONE]", says="after [2-9]", wrap=lingering(DONE)),
    facade("no-finish-reason", "SSE-06", "finish_reason is always null", says="finish_reason", wrap=_choice(_no_reason)),
    facade("two-finish-reasons", "SSE-06", "the first chunk gives another finish_reason", says="tool_call", wrap=_choice(_early_reason)),
    facade("usage-null", "SSE-07", "usage is null in every chunk", says="no input", wrap=_usage(lambda _: None)),
    facade("usage-missing", "SSE-07", "the usage chunk never comes", says="no input", wrap=each_block(lambda b: b"" if b'"choices":[]' in b else b)),
    facade("usage-after-done", "SSE-07 SSE-04", "the usage chunk comes after [DONE]", says="DONE|usage before", wrap=edit_streams(_UsageLate)),
    facade("usage-zero", "SSE-07", "no output tokens for an answer", says="0 output tokens", wrap=_usage(lambda u: {**u, "completion_tokens": 0})),
    facade("usage-lie", "SSE-08", "a stream counts threefold", says="tokens, as in the plain answer", wrap=_usage(lambda u: {**u, "prompt_tokens": u["prompt_tokens"] * 3})),
    facade("split-utf8", "SSE-02 SSE-09", "an event ends inside a character", says="UTF-8|Unterminated", wrap=each_block(split_utf8)),
    facade("replaced-characters", "SSE-09", "U+FFFD instead of characters", says="FFFD", wrap=_choice(_replaced)),
    facade("bom", "SSE-10", "a byte order mark first", says="EF BB BF", wrap=edit_streams(Bom)),
    facade("mixed-line-ends", "SSE-11", "CRLF in chunks with text", says="CRLF", wrap=each_block(_crlf_in_text)),
    facade("no-space", "SSE-12", "no space after data:", says="no space", wrap=each_block(lambda b: b.replace(b"data: {", b"data:{"))),
    facade("bare-retry", "SSE-13", "a block with retry alone", says="retry", wrap=edit_streams(BareRetry)),
    facade("ping-after-id", "SSE-14", "ids, and pings with blank lines", says="ping", wrap=edit_streams(Numbered)),
    facade("buffered", "SSE-16", "everything arrives at the end", says="came at 1 moments", wrap=edit_streams(Buffered), sandbox=True),
    facade("buffered-compressed", "SSE-17", "with gzip accepted everything arrives at the end", says="came at 1 moments", wrap=with_compression_buffered, sandbox=True),
    facade("cacheable-stream", "SSE-18", "a stream may be stored", says="no Cache-Control", wrap=edit_heads(lambda _, h: without(h, b"cache-control") if is_stream(h) else h)),
    facade("early-error-as-stream", "SSE-19", "a bad model gives 200 and an event", says="only an error event", wrap=early_errors_as_stream()),
    facade("silent-fault", "SSE-20", "a fault ends the stream silently", says="0 error events", wrap=each_block(lambda b: b"" if b.startswith(ERROR) else b), sandbox=True),
    facade("fault-in-words", "SSE-20", "an error event without code and message", says="code and a message", wrap=each_block(_error_in_words), sandbox=True),
    facade("glued-fault", "SSE-21", "the error shares an event with a chunk", says="Extra data", wrap=edit_streams(_GluedError), sandbox=True),
    facade("lingering-fault", "SSE-22", "stays open after an error", says="after [2-9]", wrap=lingering(ERROR), sandbox=True),
    facade("shared-cancel", "SSE-24", "who leaves ends the streams of others", says="did not leave", wrap=shared_cancel, sandbox=True),
    facade("model-changes", "SSE-25", "the model changes in mid-stream", says="fallback", wrap=edit_streams(_OtherModel)),
    facade("id-changes", "SSE-25", "the id changes from chunk to chunk", says="response id", wrap=edit_streams(_OtherIds)),
    facade("cut-connection", "SSE-34", "the connection is cut in mid-answer", says="broke off", wrap=after_blocks(3, die)),
    facade("empty-stream", "SSE-37", "a complete stream without text", says="none in", wrap=_choice(_no_text)),
    facade("no-last-blank-line", "SSE-38", "no blank line after [DONE]", says="blank line", wrap=each_block(lambda b: DONE[:-1] if b == DONE else b)),
    facade("stream-limit-as-stop", "SYNC-07", "only plain answers know length", says="length", wrap=_choice(_limit_as_stop)),
)  # fmt: skip
