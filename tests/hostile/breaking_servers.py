"""Servers whose connections break, at each class of byte offsets."""

from __future__ import annotations

import asyncio

from hostile_kit import (
    JSON_HEAD,
    SERVERS,
    SSE_HEAD,
    Handler,
    Hostile,
    chunked,
    hostile,
    read_request,
    reset,
)


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


PIECES = {
    "status_line": b"HTTP/1.1 2",
    "header_name": b"HTTP/1.1 200 OK\r\nContent-Ty",
    "head_end": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r",
    "after_head": SSE_HEAD,
    "field_name": SSE_HEAD + chunked(b"da"),
    "character": SSE_HEAD + chunked(b'data: {"token":"\xe6\x97'),
    "before_blank_line": SSE_HEAD + chunked(b'data: {"token":"a"}\n'),
    "between_events": SSE_HEAD + chunked(b'data: {"token":"a"}\n\n') * 3,
    "after_done": SSE_HEAD + chunked(b'data: {"token":"a"}\n\ndata: [DONE]\n\n'),
    "last_chunk": SSE_HEAD + chunked(b"data: [DONE]\n\n") + b"0\r\n",
}
"""What has been sent when the connection is reset, one for each class of byte offsets."""


def _reset_after(sent: bytes) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(sent)
        await writer.drain()
        await asyncio.sleep(0.05)
        reset(writer)

    return handler


for _name, _sent in PIECES.items():
    SERVERS[f"reset_in_{_name}"] = Hostile(_reset_after(_sent), frozenset({"reset"}))
