"""Complete responses that are not what was asked for."""

from __future__ import annotations

import asyncio

from hostile_kit import (
    SERVERS,
    Handler,
    Hostile,
    read_request,
)


def respond(status: bytes, content_type: bytes, body: bytes) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        head = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (
            status,
            content_type,
            len(body),
        )
        writer.write(head + body)

    return handler


for _name, _handler in {
    "invalid_utf8": respond(b"200 OK", b"text/event-stream", b'data: {"token":"\xe2\x82"}\n\ndata: \xff\n\n'),
    "html_page": respond(b"200 OK", b"text/html", b"<!doctype html><title>Sign in</title>" * 100),
    "empty_body": respond(b"200 OK", b"text/event-stream", b""),
    "deep_json": respond(b"200 OK", b"application/json", b"[" * 200_000),
    "wide_numbers": respond(b"200 OK", b"application/json", b"1" * 200_000),
    "json_of_the_wrong_shape": respond(
        b"200 OK", b"application/json", b'{"choices":7,"data":null,"error":[]}'
    ),
    "null_json": respond(b"200 OK", b"application/json", b"null"),
    "many_small_events": respond(b"200 OK", b"text/event-stream", b"data\n\n" * 40_000),
    "error_500_html": respond(b"500 Internal Server Error", b"text/html", b"<h1>500</h1>"),
}.items():
    SERVERS[_name] = Hostile(_handler, frozenset())


HUGE = b"9" * 5_000
DEEP = b"[" * 100_000
CHAT = b'{"id":"c1","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":%s,"completion_tokens":%s,"total_tokens":%s}}'
for _name, _handler in {
    "huge_integers": respond(b"200 OK", b"application/json", CHAT % (HUGE, HUGE, HUGE)),
    "infinite_numbers": respond(b"200 OK", b"application/json", CHAT % (b"1e999", b"-1e999", b"NaN")),
    "deep_events": respond(b"200 OK", b"text/event-stream", b"data: " + DEEP + b"\n\ndata: [DONE]\n\n"),
    "huge_retry_after": respond(b"429 Too Many Requests\r\nRetry-After: " + HUGE, b"application/json", b'{"error":{}}'),
    "negative_retry_after": respond(b"429 Too Many Requests\r\nRetry-After: -5", b"application/json", b'{"error":{}}'),
    "huge_limits": respond(b"200 OK\r\nRateLimit: \"a\";r=" + HUGE + b"\r\nx-ratelimit-limit-requests: " + HUGE, b"application/json", b"{}"),
    "unknown_coding_of_content": respond(b"200 OK\r\nContent-Encoding: compress", b"application/json", b"\x1f\x9d\x90"),
    "broken_gzip": respond(b"200 OK\r\nContent-Encoding: gzip", b"application/json", b"\x1f\x8b\x08 no gzip"),
}.items():  # fmt: skip
    SERVERS[_name] = Hostile(_handler, frozenset())
