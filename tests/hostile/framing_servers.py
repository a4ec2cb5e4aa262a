"""Servers that speak no HTTP, or HTTP that two parsers understand differently."""

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
    until_left,
)


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


def _answers(raw: bytes) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(raw)
        await writer.drain()
        await until_left(reader)

    return handler


# Shapes by which two parsers can be made to see different messages (RFC 9112 11.2). Refused, or read as RFC 9112
# 6.3 says, with the rest of the connection thrown away: never a second response.
CHUNKED_JSON = b"2\r\n{}\r\n0\r\n\r\n"
SMUGGLING: dict[str, tuple[bytes, set[str]]] = {
    "length_and_chunks": (JSON_HEAD + b"Content-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED_JSON, {"protocol", ""}),
    "space_before_colon": (JSON_HEAD + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNKED_JSON, {"protocol"}),
    "unknown_coding": (JSON_HEAD + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKED_JSON, {"protocol"}),
    "chunked_twice": (JSON_HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + CHUNKED_JSON, {"protocol"}),
    "negative_length": (JSON_HEAD + b"Content-Length: -2\r\n\r\n{}", {"protocol"}),
    "signed_length": (JSON_HEAD + b"Content-Length: +2\r\n\r\n{}", {"protocol"}),
    "enormous_length": (JSON_HEAD + b"Content-Length: " + b"9" * 400 + b"\r\n\r\n{}", {"protocol", "too_large"}),
    "second_response": (JSON_HEAD + b"Content-Length: 2\r\n\r\n{}" + JSON_HEAD + b'Content-Length: 9\r\n\r\n{"no": 1}', {""}),
    "zero_byte_in_header": (JSON_HEAD + b"X-Odd: a\x00b\r\nContent-Length: 2\r\n\r\n{}", {"protocol"}),
    "bytes_in_header": (JSON_HEAD + b"X-Odd: \xff\xfe\r\nContent-Length: 2\r\n\r\n{}", {"protocol", ""}),
    "folded_header": (JSON_HEAD + b"X-Odd: a\r\n Content-Length: 40\r\nContent-Length: 2\r\n\r\n{}", {"protocol", ""}),
    "endless_chunk_extension": (SSE_HEAD + b"5;" + b"a=b;" * 50_000, {"protocol", "too_large", "header_too_large"}),
    "version_of_tomorrow": (b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\n{}", {"protocol", ""}),
    "status_of_four_digits": (b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n{}", {"protocol"}),
}  # fmt: skip
for _name, (_raw, _ends) in SMUGGLING.items():
    SERVERS[_name] = Hostile(_answers(_raw), frozenset(_ends))
