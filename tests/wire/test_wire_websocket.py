"""Conversations over a WebSocket: everything is recorded, and nothing a server does hangs or raises."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.evidence import Evidence, Exchange, Frame, Sent
from conformance.target import Limits
from conformance.wire.http import Recorded, Wire
from conformance.wire.redact import redact_exchange
from conformance.wire.store import EvidenceError, load, save
from conformance.wire.websocket import Conversation, converse

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LIMITS = Limits(connect=2, headers=2, total=2, body=100_000)


async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str | None = None) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    asked = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
    digest = hashlib.sha1(asked.split(b": ")[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Request-Id: req_1\r\n"
        b"Sec-WebSocket-Accept: " + (key.encode() if key else base64.b64encode(digest)) + b"\r\n\r\n"
    )
    return head


def frame(payload: bytes, opcode: int = 1, fin: bool = True) -> bytes:
    """An unmasked server frame of at most 125 bytes."""
    return bytes([opcode | (0x80 if fin else 0), len(payload)]) + payload


async def until_done(talk: Conversation) -> None:
    await talk.until(lambda e: e.get("type") == "done", 5)


def met(peer: Peer, script: Any = until_done, limits: Limits = LIMITS) -> tuple[Recorded, tuple[Frame, ...]]:
    async def run() -> tuple[Recorded, tuple[Frame, ...]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await peer(reader, writer)
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            async with Wire() as wire:
                return await converse(wire, Sent("GET", f"http://127.0.0.1:{port}/chat/ws"), limits, script)
        finally:
            server.close()

    return asyncio.run(asyncio.wait_for(run(), 10))


def test_a_flood_before_the_upgrade_is_bounded() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 1000)
                await writer.drain()

    recorded, frames = met(peer)
    failure = recorded.recording.failure
    assert failure is not None
    assert (failure.kind, frames) == ("protocol", ())
    assert "more than 20 informational responses" in failure.detail


def server_frames(frames: tuple[Frame, ...]) -> list[tuple[str, bytes, bool]]:
    return [(f.opcode, f.payload, f.fin) for f in frames if f.sender == "server"]


def test_frames_of_both_sides_are_kept_with_their_times() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await accept(reader, writer)
        assert b"Upgrade: websocket" in head
        await reader.read(100)
        writer.write(frame(b'{"type":', fin=False) + frame(b' "done"}', 0) + frame(b"", 9))
        await reader.read(100)

    async def script(talk: Conversation) -> None:
        await talk.say({"type": "chat"})
        await until_done(talk)

    recorded, frames = met(peer, script)
    assert recorded.response()["status"] == 101
    assert recorded.response()["failure"] is None
    assert ("X-Request-Id", "req_1") in recorded.response()["headers"]
    assert server_frames(frames) == [
        ("text", b'{"type":', False),
        ("text", b' "done"}', True),
        ("ping", b"", True),
    ]
    assert [(f.opcode, f.payload) for f in frames if f.sender == "client"] == [
        ("text", b'{"type": "chat"}'),
        ("pong", b""),
    ]
    assert [f.t for f in frames] == sorted(f.t for f in frames)


def test_frames_that_come_with_the_101_are_kept() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        writer.write(frame(b'{"type": "done"}'))
        await writer.drain()
        await reader.read()

    assert server_frames(met(peer)[1]) == [("text", b'{"type": "done"}', True)]


def test_a_close_is_answered_and_its_code_kept() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        writer.write(frame((4408).to_bytes(2, "big") + b"idle", 8))
        await reader.read()

    recorded, frames = met(peer)
    assert server_frames(frames) == [("close", (4408).to_bytes(2, "big") + b"idle", True)]
    assert recorded.response()["failure"] is None
    assert frames[-1].sender == "client"


def test_a_refused_upgrade_is_an_ordinary_exchange() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"
        )

    recorded, frames = met(peer)
    response = recorded.response()
    assert (response["status"], response["failure"], frames) == (401, None, ())
    assert b"".join(c.data for c in response["chunks"]) == b"{}"
    assert not any(k == "Authorization" for k, _ in recorded.sent.headers)


@pytest.mark.parametrize(
    ("sends", "kind"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "protocol"),
        (b"", "reset"),
        (b"HTTP/1.1 200", "reset"),
    ],
)
def test_what_is_no_http_is_a_failure(sends: bytes, kind: str) -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(sends)

    failure = met(peer)[0].response()["failure"]
    assert failure is not None
    assert failure.kind in (kind, "protocol")


def test_an_accept_that_does_not_fit_the_key_is_a_failure() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer, key="nonsense")
        await reader.read()

    assert met(peer)[0].response()["failure"].kind == "protocol"


@pytest.mark.parametrize(
    ("sends", "kind"),
    [
        (b"\x83\x01x", "protocol"),  # a reserved opcode
        (b"\x81\x81\0\0\0\0x", "protocol"),  # masked by a server
        (b"\x81\x02\xff\xff", "protocol"),  # text that is not UTF-8
        (frame(b"half", fin=False), "reset"),
        (b"", "reset"),
        (frame(b"x" * 125) * 2000, "too_large"),
    ],
)
def test_broken_frames_are_a_failure_and_what_came_before_is_kept(sends: bytes, kind: str) -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        writer.write(frame(b'{"n": 1}') + sends)
        await writer.drain()

    recorded, frames = met(peer)
    assert recorded.response()["failure"].kind == kind
    assert recorded.response()["status"] == 101
    assert server_frames(frames)[:1] in ([("text", b'{"n": 1}', True)], [])


def test_silence_ends_with_the_deadline() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        await reader.read()

    async def script(talk: Conversation) -> None:
        await talk.reading(lambda: False, 60)

    recorded, _ = met(peer, script, Limits(connect=1, headers=1, total=0.3, body=1000))
    assert recorded.response()["failure"].kind == "timeout_body"


def test_no_server_is_a_failure() -> None:
    async def run() -> Recorded:
        async with Wire() as wire:
            return (await converse(wire, Sent("GET", "http://127.0.0.1:1/ws"), LIMITS, until_done))[0]

    assert asyncio.run(run()).response()["failure"].kind == "connect"


@settings(max_examples=15, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_after_the_upgrade_end_in_bounded_time(noise: bytes) -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await accept(reader, writer)
        writer.write(noise)
        await writer.drain()

    recorded, frames = met(peer)
    assert recorded.response()["status"] == 101
    assert all(f.sender in ("client", "server") for f in frames)


def spoken(*frames: Frame) -> Exchange:
    return Exchange(
        id="x0001", probe="p", role="r", operation="chat_socket", principal="main", params={},
        sent=Sent("GET", "http://127.0.0.1/ws"), started_at=1.0, status=101, frames=frames,
    )  # fmt: skip


FRAMES = (
    Frame(0.1, "client", "text", b'{"key": "sk-secret-1"}'),
    Frame(0.2, "server", "text", b"it was sk-sec", False),
    Frame(0.25, "server", "ping", b""),
    Frame(0.3, "server", "text", b"ret-1, they say"),
    Frame(0.4, "server", "close", (1000).to_bytes(2, "big")),
)


def test_secrets_are_taken_out_of_frames_also_across_them() -> None:
    clean = redact_exchange(spoken(*FRAMES), ["sk-secret-1"]).frames
    told = b"".join(f.payload for f in clean)
    assert b"secret" not in told
    assert told.count(b"[redacted]") == 2
    assert [(f.t, f.sender, f.opcode, f.fin) for f in clean] == [
        (f.t, f.sender, f.opcode, f.fin) for f in FRAMES
    ]


def test_frames_are_saved_and_read_again(tmp_path: Path) -> None:
    evidence = Evidence({}, "contract", 1.0, 1.0, {}, (spoken(*FRAMES),))
    save(evidence, tmp_path / "e", [])
    assert load(tmp_path / "e").exchanges[0].frames == FRAMES
    (tmp_path / "e" / "exchanges" / "x0001.frames").write_bytes(b"short")
    with pytest.raises(EvidenceError, match="damaged"):
        load(tmp_path / "e")


def test_evidence_from_before_there_were_frames_can_still_be_read(tmp_path: Path) -> None:
    save(Evidence({}, "contract", 1.0, 1.0, {}, (spoken(),)), tmp_path / "e", [])
    path = tmp_path / "e" / "exchanges" / "x0001.json"
    old = {k: v for k, v in json.loads(path.read_bytes()).items() if k != "frames"}
    path.write_text(json.dumps(old))
    assert load(tmp_path / "e").exchanges[0].frames == ()
