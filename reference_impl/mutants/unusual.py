"""More conformant servers that look unusual; each story says why it is one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any
from uuid import uuid4

from reference_impl.exchange import Exchange, RequestHeaders
from reference_impl.mutants.edits import drop_headers, errors_with, when
from reference_impl.mutants.framing import (
    announced,
    balanced,
    cr,
    crlf,
    gzipped,
    http_10,
    stream_bytes,
    without_length,
)
from reference_impl.mutants.model import QUICK, variant
from reference_impl.mutants.quotas import ALIASES
from reference_impl.mutants.wire import (
    Answer,
    Headers,
    StreamEdit,
    each_block,
    edit_heads,
    edit_streams,
    is_stream,
    with_header,
)
from reference_impl.policies.events import PlainEvents
from reference_impl.policies.tracing import W3CTracing


class _Uuids(W3CTracing):
    def request_id(self) -> str:
        return str(uuid4())


class _OwnIdsOnly(W3CTracing):
    def client_request_id(self, headers: RequestHeaders) -> str | None:
        return None


class _OlderTraceHeader(W3CTracing):
    def headers(self, exchange: Exchange) -> list[tuple[bytes, bytes]]:
        trace = exchange.trace
        older = (b"traceresponse", f"00-{trace.trace_id}-{trace.span_id}-01".encode())
        return [*(h for h in super().headers(exchange) if h[0] != b"server-timing"), older]


class _Escaped(PlainEvents):
    """Everything beyond ASCII escaped, and spaces between the tokens of JSON."""

    def event(self, data: Any, name: str | None = None) -> bytes:
        line = f"data: {json.dumps(data)}\n\n"
        return (line if name is None else f"event: {name}\n{line}").encode()


class _OtherKeepAlive(PlainEvents):
    def keep_alive(self) -> bytes:
        return b":\n"


class _IdAndRetry(StreamEdit):
    """An ``id`` in each block and a ``retry`` in the first, beside their data."""

    def __init__(self) -> None:
        self._number = count()

    def block(self, block: bytes) -> list[bytes]:
        number = next(self._number)
        return [(b"retry: 3000\n" if number == 0 else b"") + b"id: %d\n" % number + block]


class _Greeting(StreamEdit):
    def __init__(self) -> None:
        self._begun = False

    def block(self, block: bytes) -> list[bytes]:
        begun, self._begun = self._begun, True
        return [block if begun else b": welcome\n" + block]


def _data_first(block: bytes) -> bytes:
    name, _, data = block.partition(b"\n")
    return data.removesuffix(b"\n") + name + b"\n\n" if name.startswith(b"event:") else block


def _two_lines(block: bytes) -> bytes:
    return block.replace(b"data: {", b"data: {\ndata: ", 1)


def _bare_type(_status: int, headers: Headers) -> Headers:
    return with_header(headers, b"content-type", b"text/event-stream") if is_stream(headers) else headers


def _quoted_charset(_status: int, headers: Headers) -> Headers:
    if not is_stream(headers):
        return headers
    return with_header(headers, b"content-type", b'Text/Event-Stream;charset="UTF-8"')


def _json_charset(_status: int, headers: Headers) -> Headers:
    plain = any(k.lower() == b"content-type" and v == b"application/json" for k, v in headers)
    return with_header(headers, b"content-type", b"application/json; charset=utf-8") if plain else headers


def _entity_tags(status: int, headers: Headers) -> Headers:
    if status != 200 or any(k.lower() == b"etag" for k, _ in headers):
        return headers
    return [*headers, (b"etag", b'W/"7"'), (b"vary", b"Accept")]


def _is_object(answer: Answer) -> bool:
    return answer.body.startswith(b"{") and answer.status != 304


def _whitespace(answer: Answer) -> Answer:
    return replace(answer, body=b"\n " + answer.body + b" \r\n\n")


def _ascii(answer: Answer) -> Answer:
    return replace(answer, body=json.dumps(answer.json).encode())


def _reversed(answer: Answer) -> Answer:
    return answer.with_json(dict(reversed(answer.json.items())))


def _tracing(make: Callable[[], W3CTracing]) -> Any:
    return lambda policies: replace(policies, tracing=make())


def _events(make: Callable[[], PlainEvents]) -> Any:
    return lambda policies: replace(policies, events=make())


VARIANTS = (
    variant("crlf", "CRLF ends the lines of every stream, as WHATWG HTML 9.2.5 allows", wrap=stream_bytes(crlf)),
    variant("cr", "CR alone ends the lines of every stream (WHATWG HTML 9.2.5)", wrap=stream_bytes(cr)),
    variant("data-before-name", "the name of an event comes after its data: fields have no order (9.2.6)", wrap=each_block(_data_first)),
    variant("data-on-two-lines", "two data lines are joined by LF, which is whitespace in JSON (RFC 8259 2)", wrap=each_block(_two_lines)),
    variant("ids-and-retry", "events have id and retry beside their data: both are fields of the format", wrap=edit_streams(_IdAndRetry)),
    variant("greeting", "a comment before the first event: comments may stand anywhere", wrap=edit_streams(_Greeting)),
    variant("empty-keep-alive", "a keep-alive is a comment without text", policies=_events(_OtherKeepAlive)),
    variant("escaped-events", "events in escaped ASCII with spaces: the same JSON (RFC 8259 7)", policies=_events(_Escaped)),
    variant("escaped-answers", "answers in escaped ASCII: the same JSON (RFC 8259 7)", wrap=when(_is_object, _ascii)),
    variant("members-reversed", "members of an object have no order (RFC 8259 4)", wrap=when(_is_object, _reversed)),
    variant("white-space-around-json", "whitespace before and after a JSON value (RFC 8259 2)", wrap=when(_is_object, _whitespace)),
    variant("no-charset", "a stream without charset: it is always UTF-8", wrap=edit_heads(_bare_type)),
    variant("quoted-charset", "media types are matched in any case, parameters may be quoted (RFC 9110 8.3.1)", wrap=edit_heads(_quoted_charset)),
    variant("json-charset", "JSON with charset=utf-8, which changes nothing (RFC 8259 11)", wrap=edit_heads(_json_charset)),
    variant("chunked-answers", "answers framed by chunks instead of a length (RFC 9112 6)", wrap=edit_heads(without_length)),
    variant("http-1-0", "answers in HTTP/1.0, ended by closing (RFC 9112 6.3)", wrap=http_10),
    variant("continue-first", "100 Continue before each answer, also unasked (RFC 9110 15.2.1)", wrap=announced(b"HTTP/1.1 100 Continue\r\n\r\n")),
    variant("early-hints", "103 Early Hints before each answer (RFC 8297)", wrap=announced(b"HTTP/1.1 103 Early Hints\r\nLink: </>; rel=preload\r\n\r\n")),
    variant("gzip-when-asked", "answers and streams compressed for who accepts it (RFC 9110 12.5.3)", wrap=gzipped),
    variant("redirecting-balancer", "a balancer sends each call on with 307, which keeps method and body (RFC 9110 15.4.8)", wrap=balanced),
    variant("entity-tags", "answers have ETag and Vary, as any HTTP answer may", wrap=edit_heads(_entity_tags)),
    variant("uuid-request-ids", "request ids are UUIDs: the contract wants them unique and short, no more", policies=_tracing(_Uuids)),
    variant("client-id-not-echoed", "X-Client-Request-Id is not echoed, which is a MAY (TRC-08)", policies=_tracing(_OwnIdsOnly)),
    variant("traceresponse", "the trace stands in traceresponse instead of Server-Timing (TRC-07 allows both)", policies=_tracing(_OlderTraceHeader)),
    variant("no-limit-aliases", "limits in the standard fields only: the aliases are optional (RATE-19)", wrap=drop_headers(*ALIASES)),
    variant("errors-with-hints", "errors have a member of a later version", wrap=errors_with(hint="see the guide")),
    variant("cors-for-one-origin", "only one page's origin may call; others get no CORS headers", settings=replace(QUICK, cors_origin="https://console.example")),
    variant("rare-keep-alive", "a keep-alive every three seconds, as the capabilities say", settings=replace(QUICK, keep_alive_s=3.0)),
)  # fmt: skip
