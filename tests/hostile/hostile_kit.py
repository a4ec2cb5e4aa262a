"""What the hostile servers are made of: the registry, reading a request, breaking a connection."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Hostile:
    """``ends``: the failure kinds a client with limits may report, ``""`` for none; empty if there is never one."""

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
