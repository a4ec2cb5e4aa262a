"""Servers that take their time: they hang, drip, or never end."""

from __future__ import annotations

import asyncio

from hostile_kit import (
    JSON_HEAD,
    SSE_HEAD,
    chunked,
    for_ever,
    hostile,
    read_request,
    until_left,
)


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
