"""Servers that misbehave on a real socket. ``python tests/hostile/servers.py NAME PORT`` runs one.

``all 0`` runs every one on a port of its own; either prints one JSON line of ports by name. ``list`` prints
the names.
"""

from __future__ import annotations

import asyncio
import functools
import gzip
import json
import socket
import struct
import sys
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import brotli

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Hostile:
    """``ends``: the failure kinds a client with limits may report; empty for a response that is complete."""

    handler: Handler
    ends: frozenset[str]


SERVERS: dict[str, Hostile] = {}


def hostile(*ends: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        SERVERS[handler.__name__] = Hostile(handler, frozenset(ends))
        return handler

    return register


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """The request head; the body is read and dropped."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            await reader.readexactly(int(line.split(b":")[1]))
    return head


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def for_ever(writer: asyncio.StreamWriter, data: bytes, pause: float = 0.0) -> None:
    """Send the same bytes until the client leaves."""
    while True:
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(pause)


async def until_left(reader: asyncio.StreamReader) -> None:
    """Say nothing until the client leaves."""
    while await reader.read(65536):
        pass


JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
SSE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


# Time


@hostile("timeout_headers")
async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads the request and never answers."""
    await until_left(reader)


@hostile("timeout_headers")
async def hang_in_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-")
    await until_left(reader)


@hostile("timeout_headers")
async def drip_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A header byte now and then: an idle timeout alone never fires."""
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    await for_ever(writer, b"a", 0.05)


@hostile("timeout_body")
async def drip_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One body byte per second."""
    await read_request(reader)
    writer.write(JSON_HEAD + b"Content-Length: 100000\r\n\r\n")
    await for_ever(writer, b" ", 1.0)


@hostile("timeout_body")
async def hang_in_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(SSE_HEAD + chunked(b'data: {"token":"a"}\n\n'))
    await until_left(reader)


@hostile("timeout_body")
async def hang_after_done(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The stream says it is done, and stays open."""
    await read_request(reader)
    writer.write(SSE_HEAD + chunked(b'data: {"token":"a"}\n\ndata: [DONE]\n\n'))
    await until_left(reader)


@hostile("timeout_body")
async def keep_alive_for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(SSE_HEAD)
    await for_ever(writer, chunked(b": keep-alive\n"), 0.05)


# Size


@hostile("too_large", "timeout_body")
async def one_byte_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An endless drip of one-byte chunks, as fast as they are taken."""
    await read_request(reader)
    writer.write(SSE_HEAD)
    await for_ever(writer, chunked(b"a") * 2000)


@hostile("too_large")
async def endless_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(SSE_HEAD)
    await for_ever(writer, chunked(b'data: {"token":"' + b"word " * 200 + b'"}\n\n') * 50)


@hostile("too_large")
async def endless_line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One event that never ends."""
    await read_request(reader)
    writer.write(SSE_HEAD + chunked(b"data: "))
    await for_ever(writer, chunked(b"a" * 60000))


@hostile("too_large")
async def huge_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """500 MB of JSON string."""
    await read_request(reader)
    size = 500_000_000
    writer.write(JSON_HEAD + b'Content-Length: %d\r\n\r\n"' % size)
    piece = b"a" * 100_000
    for _ in range(size // len(piece)):
        writer.write(piece)
        await writer.drain()


@hostile("header_too_large")
async def endless_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n")
    await for_ever(writer, b"X-More: and more\r\n" * 500)


@hostile("header_too_large")
async def endless_header(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    await for_ever(writer, b"a" * 8000)


@hostile("protocol")
async def endless_informational(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    await for_ever(writer, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100)


@functools.cache
def gzip_zeros(megabytes: int) -> bytes:
    """A gzip stream of that many megabytes of zeros: one flushed block repeated, a wrong CRC."""
    engine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = engine.compress(bytes(1 << 20)) + engine.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\0\0\0\0\0\x02\xff" + block * megabytes + engine.flush() + bytes(8)


@functools.cache
def brotli_zeros(megabytes: int) -> bytes:
    engine = brotli.Compressor(quality=5)
    return b"".join(engine.process(bytes(1 << 20)) for _ in range(megabytes)) + engine.finish()


async def bomb(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, coding: bytes, body: bytes
) -> None:
    await read_request(reader)
    head = JSON_HEAD + b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (coding, len(body))
    writer.write(head + body)
    await writer.drain()
    await until_left(reader)


@hostile("too_large")
async def gzip_bomb(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A megabyte that becomes a gigabyte."""
    await bomb(reader, writer, b"gzip", gzip_zeros(1024))


@hostile("too_large")
async def gzip_in_gzip_bomb(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await bomb(reader, writer, b"gzip, gzip", gzip.compress(gzip_zeros(1024)))


@hostile("too_large")
async def brotli_bomb(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Some hundred bytes that become 64 MB."""
    await bomb(reader, writer, b"br", brotli_zeros(64))


# Connections that break


@hostile("reset")
async def reset_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    reset(writer)


@hostile("reset")
async def close_without_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)


@hostile("reset")
async def reset_in_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: appl")
    await asyncio.sleep(0.05)
    reset(writer)


@hostile("reset")
async def reset_in_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(JSON_HEAD + b'Content-Length: 1000\r\n\r\n{"half": ')
    await asyncio.sleep(0.05)
    reset(writer)


@hostile("reset")
async def short_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Closes politely before Content-Length is reached."""
    await read_request(reader)
    writer.write(JSON_HEAD + b'Content-Length: 1000\r\n\r\n{"half": ')


@hostile("reset")
async def cut_between_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A stream that closes without its last, empty chunk."""
    await read_request(reader)
    writer.write(SSE_HEAD + chunked(b'data: {"token":"a"}\n\n'))


@hostile("reset")
async def cut_in_chunk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(SSE_HEAD + b'100\r\ndata: {"token":"a"}\n\n')


@hostile("reset")
async def cut_in_chunk_size(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(SSE_HEAD + chunked(b'data: {"token":"a"}\n\n') + b"1f")


# Redirects


def redirect(target: bytes) -> bytes:
    return b"HTTP/1.1 307 Temporary Redirect\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % target


@hostile("redirect_loop")
async def redirect_to_itself(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    target = (await read_request(reader)).split(b" ")[1]
    writer.write(redirect(target))


@hostile("redirect_loop")
async def redirect_onwards(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Always to another path."""
    target = (await read_request(reader)).split(b" ")[1]
    writer.write(redirect(target + b"x"))


@hostile("redirect_refused")
async def redirect_to_another_host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.2:9/\r\nContent-Length: 0\r\n\r\n"
    )


@hostile("redirect_refused")
async def redirect_to_a_file(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"
    )


# Not HTTP


@hostile("protocol")
async def not_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    await until_left(reader)


@hostile("protocol")
async def bad_chunk_size(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(SSE_HEAD + chunked(b'data: {"token":"a"}\n\n') + b"xyz\r\nabc\r\n")
    await until_left(reader)


@hostile("protocol")
async def chunk_longer_than_its_size(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(SSE_HEAD + b"3\r\nabcdefgh\r\n0\r\n\r\n")
    await until_left(reader)


@hostile("protocol")
async def two_content_lengths(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(JSON_HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ")
    await until_left(reader)


# Complete responses that are not what was asked for


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


async def start(name: str, port: int = 0) -> asyncio.Server:
    """Listen on 127.0.0.1; port 0 takes a free one."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await SERVERS[name].handler(reader, writer)
            await writer.drain()
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", port)


async def main(name: str, port: int) -> None:
    servers = {n: await start(n, port) for n in (SERVERS if name == "all" else [name])}
    ports = {n: s.sockets[0].getsockname()[1] for n, s in servers.items()}
    print(json.dumps(ports), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1] == "list":
        print("\n".join(SERVERS))
    elif len(sys.argv) == 3 and (sys.argv[1] in SERVERS or sys.argv[1] == "all") and sys.argv[2].isdigit():
        with suppress(KeyboardInterrupt):
            asyncio.run(main(sys.argv[1], int(sys.argv[2])))
    else:
        print(f"usage: {Path(sys.argv[0]).name} NAME|all PORT, or list", file=sys.stderr)
        sys.exit(2)
