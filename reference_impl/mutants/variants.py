"""Conformant servers that look unusual. A suite that flags one of them cries wolf."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from reference_impl.mutants.model import QUICK, ASGIApp, variant
from reference_impl.mutants.wire import (
    Answer,
    Headers,
    StreamEdit,
    each_event,
    edit_answers,
    edit_heads,
    edit_streams,
    with_header,
)


def title_case(_status: int, headers: Headers) -> Headers:
    return [(b"-".join(part.capitalize() for part in k.split(b"-")), v) for k, v in headers]


def _extra_headers(_status: int, headers: Headers) -> Headers:
    return [*headers, (b"via", b"1.1 gateway"), (b"x-served-by", b"cell-7"), (b"alt-svc", b"clear")]


def _closing(_status: int, headers: Headers) -> Headers:
    return with_header(headers, b"connection", b"close")


def _more_fields(answer: Answer) -> Answer:
    body = answer.json if answer.status == 200 and answer.body.startswith(b"{") else None
    if not isinstance(body, dict) or "openapi" in body:
        return answer
    return answer.with_json({**body, "x_region": "eu-1", "padding": "…" * 20})


def pretty(answer: Answer) -> Answer:
    if not answer.body.startswith(b"{"):
        return answer
    return replace(answer, body=json.dumps(answer.json, indent=2).encode())


def _more_event_fields(event: dict[str, Any]) -> dict[str, Any]:
    return {**event, "obfuscation": "x" * 12, "logprobs": None}


class _UnknownEvents(StreamEdit):
    """A named event that no client knows, after the first block. It has no sequence number of the contract."""

    def __init__(self) -> None:
        self._seen = 0

    def block(self, block: bytes) -> list[bytes]:
        self._seen += 1
        extra = b'event: heartbeat\ndata: {"type":"heartbeat"}\n\n'
        return [block, extra] if self._seen == 1 else [block]


class _Comments(StreamEdit):
    """A comment line inside each block, before its data."""

    def block(self, block: bytes) -> list[bytes]:
        return [b": still here\n" + block]


def _one_byte_chunks(app: ASGIApp) -> ASGIApp:
    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        async def split(message: Any) -> None:
            body = message.get("body", b"") if message["type"] == "http.response.body" else b""
            if len(body) < 2 or len(body) > 4000:
                await send(message)
                return
            for at in range(len(body)):
                await send({"type": "http.response.body", "body": body[at : at + 1], "more_body": True})
            if not message.get("more_body"):
                await send({"type": "http.response.body", "body": b""})

        await app(scope, receive, split if scope["type"] == "http" else send)

    return wrapped


class _Glued(StreamEdit):
    """Two events in each chunk."""

    def __init__(self) -> None:
        self._held = b""

    def block(self, block: bytes) -> list[bytes]:
        if self._held:
            both, self._held = self._held + block, b""
            return [both]
        self._held = block
        return []

    def end(self) -> list[bytes]:
        return [self._held]


VARIANTS = (
    variant("plain-reference", "the reference as it is"),
    variant("title-case-headers", "header names in Title-Case", wrap=edit_heads(title_case)),
    variant("extra-headers", "headers of a gateway in front", wrap=edit_heads(_extra_headers)),
    variant("connection-close", "every connection is closed after its answer", wrap=edit_heads(_closing)),
    variant("unknown-fields", "answers with fields of a later version", wrap=edit_answers(_more_fields)),
    variant("pretty-json", "indented JSON", wrap=edit_answers(pretty)),
    variant("unknown-event-fields", "events with padding fields", wrap=each_event(_more_event_fields)),
    variant("unknown-events", "a named event that no client knows", wrap=edit_streams(_UnknownEvents)),
    variant("comments", "a comment in every event block", wrap=edit_streams(_Comments)),
    variant("one-byte-chunks", "one byte per chunk", wrap=_one_byte_chunks),
    variant("two-events-per-chunk", "events arrive in pairs", wrap=edit_streams(_Glued)),
    variant("slow-first-token", "the first token takes a second", settings=replace(QUICK, first_token_ms=1000)),
    variant("no-cors", "no CORS headers at all", settings=replace(QUICK, cors_origin=None)),
    variant("instant-model", "whole answers in no time", settings=replace(QUICK, token_ms=0)),
)  # fmt: skip
