"""Other ways to put the same answer on the wire: line ends, chunks, encodings, redirects. All of them are legal."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from reference_impl.mutants.asked import header_of
from reference_impl.mutants.model import ASGIApp
from reference_impl.mutants.names import TRANSPORT
from reference_impl.mutants.wire import Headers, is_stream, without


def stream_bytes(change: Callable[[bytes], bytes]) -> Callable[[ASGIApp], ASGIApp]:
    """Rewrite each piece of every event stream, keep-alives included."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            stream = False

            async def changed(message: Any) -> None:
                nonlocal stream
                if message["type"] == "http.response.start":
                    stream = is_stream(message["headers"])
                elif stream:
                    message = {**message, "body": change(message.get("body", b""))}
                await send(message)

            await app(scope, receive, changed if scope["type"] == "http" else send)

        return wrapped

    return wrap


def crlf(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n")


def cr(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r")


def without_length(_status: int, headers: Headers) -> Headers:
    """The server frames what has no length by chunks."""
    return without(headers, b"content-length") if not is_stream(headers) else headers


def gzipped(app: ASGIApp) -> ASGIApp:
    """Compresses for who accepts it (RFC 9110 section 12.5.3); streams are flushed after each piece."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] == "HEAD" or not _accepts_gzip(scope):
            await app(scope, receive, send)
            return
        squeeze = zlib.compressobj(wbits=31)
        head: dict[str, Any] = {}
        parts: list[bytes] = []

        async def compressed(message: Any) -> None:
            if message["type"] == "http.response.start":
                head.update(message, headers=_encoded(message["headers"]))
                if is_stream(message["headers"]):
                    await send(head)
                return
            body, more = message.get("body", b""), message.get("more_body", False)
            if is_stream(head["headers"]):
                data = squeeze.compress(body) + squeeze.flush(zlib.Z_SYNC_FLUSH if more else zlib.Z_FINISH)
                await send({**message, "body": data})
                return
            parts.append(body)
            if not more:
                whole = gzip.compress(b"".join(parts)) if any(parts) else b""
                length = (b"content-length", b"%d" % len(whole))
                encoded = head["headers"] if whole else without(head["headers"], b"content-encoding")
                await send({**head, "headers": [*encoded, *([length] if head["status"] != 204 else [])]})
                await send({"type": "http.response.body", "body": whole})

        await app(scope, receive, compressed)

    return wrapped


def _accepts_gzip(scope: Any) -> bool:
    return b"gzip" in header_of(scope, b"accept-encoding")


def _encoded(headers: Headers) -> Headers:
    kept = without(list(headers), b"content-length")
    return [*kept, (b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]


def balanced(app: ASGIApp) -> ASGIApp:
    """Sends each call on to another path of the same host first (307: method and body stay)."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        query = scope.get("query_string", b"")
        mark, _, rest = query.partition(b"&")
        if mark == b"cell=7":
            await app({**scope, "query_string": rest}, receive, send)
            return
        path = scope["aiconform.prefix"].encode() + (scope.get("raw_path") or scope["path"].encode())
        target = path.split(b"?")[0] + b"?cell=7" + (b"&" + query if query else b"")
        head = [(b"location", target), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 307, "headers": head})
        await send({"type": "http.response.body", "body": b""})

    return wrapped


def announced(interim: bytes) -> Callable[[ASGIApp], ASGIApp]:
    """Sends an interim response (1xx) before each answer; a client must be able to read one it does not expect
    (RFC 9110 section 15.2)."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            async def after_it(message: Any) -> None:
                if message["type"] == "http.response.start":
                    scope[TRANSPORT].write(interim)
                await send(message)

            await app(scope, receive, after_it if scope["type"] == "http" else send)

        return wrapped

    return wrap


def http_10(app: ASGIApp) -> ASGIApp:
    """Answers as HTTP/1.0: never in chunks, without a length even where it is known, ended by closing."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        transport, silent = scope[TRANSPORT], scope["method"] == "HEAD"

        async def written(message: Any) -> None:
            nonlocal silent
            if message["type"] == "http.response.start":
                silent = silent or message["status"] in (204, 304)
                transport.write(
                    _head_10(message["status"], without(list(message["headers"]), b"content-length"))
                )
                return
            if not silent:
                transport.write(message.get("body", b""))
            if not message.get("more_body", False):
                transport.close()

        await app(scope, receive, written)
        # uvicorn, which has seen no answer, would send one of its own as long as the connection is there.
        while (await receive())["type"] != "http.disconnect":
            pass

    return wrapped


def _head_10(status: int, headers: Headers) -> bytes:
    date = (b"Date", formatdate(usegmt=True).encode())
    lines = (b"%s: %s\r\n" % line for line in (date, *headers, (b"Connection", b"close")))
    return b"HTTP/1.0 %d %s\r\n%s\r\n" % (status, HTTPStatus(status).phrase.encode(), b"".join(lines))
