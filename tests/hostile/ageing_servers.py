"""Servers that change in the course of a run: one that dies, one that recovers, one that fails now and then."""

from __future__ import annotations

import asyncio
import json
from itertools import count

from hostile_kit import SERVERS, SSE_HEAD, Handler, Hostile, chunked, reset

USAGE = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
HEAD = {"id": "chatcmpl-1", "model": "m", "created": 1}
LIFE = 8
"""Calls."""


async def _healthy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A small chat server in OpenAI's format that is sound as far as it goes."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (int(n.split(b":")[1]) for n in head.split(b"\r\n") if n.lower().startswith(b"content-length:")), 0
    )
    body = await reader.readexactly(length)
    if b'"stream": true' in body or b'"stream":true' in body:
        writer.write(SSE_HEAD)
        for delta, reason in (({"content": "Yes."}, None), ({}, "stop")):
            chunk = {
                **HEAD,
                "object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
            }
            writer.write(chunked(b"data: " + json.dumps(chunk).encode() + b"\n\n"))
        writer.write(chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n")
        return
    message = {"role": "assistant", "content": "Yes."}
    answer = {
        **HEAD,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    text = json.dumps(answer).encode()
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(text) + text
    )


def _ageing(sound: range, every: int = 1) -> Handler:
    """Resets each ``every``-th connection whose number is not in ``sound``."""
    number = count()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at = next(number)
        if at in sound or at % every:
            await _healthy(reader, writer)
        else:
            await reader.readuntil(b"\r\n\r\n")
            reset(writer)

    return handler


for _name, _handler in {
    "dies_midway": _ageing(range(LIFE)),
    "recovers": _ageing(range(LIFE, 1_000_000)),
    "fails_now_and_then": _ageing(range(2), every=3),
}.items():
    SERVERS[_name] = Hostile(_handler, frozenset({"reset", ""}))
