"""Servers that send too much: bodies, streams, heads, and bombs of three encodings."""

from __future__ import annotations

import asyncio
import functools
import gzip
import zlib

import brotli
from hostile_kit import (
    JSON_HEAD,
    SSE_HEAD,
    chunked,
    for_ever,
    hostile,
    read_request,
    until_left,
)


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
    engine = brotli.Compressor(quality=1)
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
