"""Servers that send the client round in circles, or away."""

from __future__ import annotations

import asyncio

from hostile_kit import (
    hostile,
    read_request,
)


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
