"""A vendor's stream from literal bytes, sent with small deviations, and read by us and by the vendor's SDK."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Stream = list[bytes]
"""The blocks of a stream, each with the blank line that ends it."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
TRANSCRIPTS = Path(__file__).parents[1] / "dialects" / "transcripts"
_MIDDLE = 2


@dataclass(frozen=True)
class Variant:
    """``change`` gives the blocks to send."""

    change: Callable[[Stream], Stream]
    bytewise: bool = False


def _each(change: Callable[[bytes], bytes]) -> Callable[[Stream], Stream]:
    return lambda blocks: [change(block) for block in blocks]


def _before(at: int, extra: bytes) -> Callable[[Stream], Stream]:
    return lambda blocks: [*blocks[:at], extra, *blocks[at:]]


def _with_ids(blocks: Stream) -> Stream:
    return [b"id: %d\n" % n + block for n, block in enumerate(blocks)]


VARIANTS: Mapping[str, Variant] = {
    "as the vendor sends it": Variant(lambda blocks: blocks),
    "CRLF": Variant(_each(lambda b: b.replace(b"\n", b"\r\n"))),
    "one byte at a time": Variant(lambda blocks: blocks, bytewise=True),
    "no space after the colon": Variant(_each(lambda b: b.replace(b"data: ", b"data:"))),
    "a comment line, no blank line": Variant(_before(_MIDDLE, b": ka\n")),
    "a comment line and a blank line": Variant(_before(_MIDDLE, b": ka\n\n")),
    "ids": Variant(_with_ids),
    "ids, a comment line": Variant(lambda b: _before(_MIDDLE, b": ka\n")(_with_ids(b))),
    "ids, a comment line and a blank line": Variant(lambda b: _before(_MIDDLE, b": ka\n\n")(_with_ids(b))),
    "a lone retry first": Variant(_before(0, b"retry: 3000\n\n")),
    "a ping without data": Variant(_before(_MIDDLE, b"event: ping\n\n")),
    "a byte order mark": Variant(lambda blocks: [b"\xef\xbb\xbf" + blocks[0], *blocks[1:]]),
    "no blank line at the end": Variant(lambda blocks: [*blocks[:-1], blocks[-1].rstrip(b"\n") + b"\n"]),
    "no end": Variant(lambda blocks: blocks[:-1]),
    "cut in half": Variant(lambda blocks: blocks[: len(blocks) // 2]),
    "an event that is not JSON": Variant(lambda b: [*b[:_MIDDLE], b[_MIDDLE].rstrip()[:-3] + b"\n\n", *b[_MIDDLE + 1 :]]),
}  # fmt: skip


def written_stream(name: str) -> bytes:
    """The body of a transcript of ``tests/dialects``."""
    return (TRANSCRIPTS / f"{name}.http").read_bytes().partition(b"\n\n")[2]


def blocks_of(body: bytes) -> Stream:
    """The body as blocks."""
    return [block + b"\n\n" for block in body.strip(b"\n").split(b"\n\n")]


@contextmanager
def serving(blocks: Stream, bytewise: bool) -> Iterator[str]:
    """The base URL of a server that answers every request with this stream, block by block."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                continue
            with connection, suppress(OSError):  # an SDK that raises hangs up
                connection.settimeout(5.0)
                _answer(connection, blocks, bytewise)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        thread.join(5.0)
        listener.close()


def _answer(connection: socket.socket, blocks: Stream, bytewise: bool) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.recv(65536)
    head, _, body = request.partition(b"\r\n\r\n")
    length = next((int(v) for k, _, v in (line.partition(b":") for line in head.split(b"\r\n")) if k.lower() == b"content-length"), 0)  # fmt: skip
    while len(body) < length:
        body += connection.recv(65536)
    connection.sendall(HEAD)
    for block in blocks:
        for part in (block[n : n + 1] for n in range(len(block))) if bytewise else (block,):
            connection.sendall(part)
        time.sleep(0.005)


# ---- the SDKs


def read_openai_chat(base: str) -> str:
    from openai import OpenAI

    client = OpenAI(api_key="sk-test", base_url=f"{base}/v1", max_retries=0, timeout=5)
    chunks = client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def read_openai_responses(base: str) -> str:
    from openai import OpenAI

    client = OpenAI(api_key="sk-test", base_url=f"{base}/v1", max_retries=0, timeout=5)
    events: Any = client.responses.create(model="m", input="Hi", stream=True)
    return "".join(e.delta for e in events if e.type == "response.output_text.delta")


def read_anthropic(base: str) -> str:
    from anthropic import Anthropic

    client = Anthropic(api_key="sk-test", base_url=base, max_retries=0, timeout=5)
    events: Any = client.messages.create(
        model="m", max_tokens=16, messages=[{"role": "user", "content": "Hi"}], stream=True
    )
    return "".join(
        e.delta.text for e in events if e.type == "content_block_delta" and e.delta.type == "text_delta"
    )


def read_gemini(base: str) -> str:
    from google import genai
    from google.genai import types

    options = types.HttpOptions(base_url=base, api_version="v1beta", timeout=5000)
    client = genai.Client(api_key="sk-test", http_options=options)
    parts = client.models.generate_content_stream(model="m", contents="Hi")
    return "".join(
        p.text
        for chunk in parts
        for c in chunk.candidates or ()
        for p in (c.content.parts if c.content and c.content.parts else ())
        if p.text and not p.thought
    )


SDKS: Mapping[str, tuple[Callable[[str], str], str, str]] = {
    "openai-chat": (read_openai_chat, "openai-stream", "/v1"),
    "openai-responses": (read_openai_responses, "responses-stream-full", "/v1"),
    "anthropic-messages": (read_anthropic, "anthropic-stream-full", "/v1"),
    "gemini": (read_gemini, "gemini-stream-full", "/v1beta"),
}
"""By dialect: how its SDK reads a stream, a transcript of the format, and the end of the base URL."""


def heard_by_sdk(read: Callable[[str], str], base: str, whole: str) -> str:
    """``whole``, ``truncated`` (in silence), or ``raises``."""
    try:
        text = read(base)
    except Exception:
        return "raises"
    return "whole" if text == whole else "truncated"
