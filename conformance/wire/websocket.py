"""A WebSocket conversation (RFC 6455) that is recorded frame by frame, in bounded time and memory.

The upgrade request goes out as the caller wrote it; the frames are framed by wsproto, which does no I/O, on our
own connection. Nothing that a server does raises.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Literal

import h11
import httpx
from wsproto.frame_protocol import CloseReason, FrameProtocol, ParseFailed
from wsproto.frame_protocol import Frame as Parsed
from wsproto.frame_protocol import Opcode as Kind

from conformance.evidence import FailureKind, Frame, Sent
from conformance.target import Limits
from conformance.wire.connection import ConnectError, Connection, explain
from conformance.wire.http import Recorded, Wire
from conformance.wire.recording import Recording, Stop
from conformance.wire.request import complete_headers, head, parse_url
from conformance.wire.roundtrip import HEAD_CAP, MAX_INFORMATIONAL

MAX_FRAMES = 20_000
_ACCEPT_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
Opcode = Literal["text", "binary", "ping", "pong", "close"]
Script = Callable[["Conversation"], Awaitable[None]]


class Conversation:
    """An open socket as a script has it in hand. Every frame of both sides is kept."""

    def __init__(self, connection: Connection, started: float, cap: int, early: bytes) -> None:
        self._connection, self._started, self._cap = connection, started, cap
        self._framing = FrameProtocol(client=True, extensions=[])
        self._framing.receive_bytes(early)
        self._size = 0
        self._parts: list[bytes] = []
        self._seen = 0
        self._replies: set[asyncio.Future[None]] = set()
        self.frames: list[Frame] = []
        self.events: list[dict[str, Any]] = []
        self.ended = False

    async def say(self, message: object) -> None:
        """A JSON text frame; a string is sent as it is, bytes as a binary frame."""
        if isinstance(message, bytes):
            await self._send(self._framing.send_data(message), "binary", message)
            return
        text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
        await self._send(self._framing.send_data(text), "text", text.encode())

    async def ping(self, payload: bytes) -> None:
        """A ping frame; `pong` frames are recorded as they come."""
        await self._send(self._framing.ping(payload), "ping", payload)

    async def close(self, code: int = 1000) -> None:
        """Close, and read until the server has answered or hung up."""
        await self._send(self._framing.close(code), "close", code.to_bytes(2, "big"))
        await self.until(lambda _: False, 5.0)

    async def until(self, enough: Callable[[dict[str, Any]], bool], within: float) -> bool:
        """Read until a JSON text message satisfies ``enough``, for at most so many seconds."""
        return await self.reading(lambda: self._next(enough), within)

    async def reading(self, enough: Callable[[], bool], within: float) -> bool:
        """Read until ``enough`` holds, asked after each arrival; False if time or connection ended first."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not self.ended:
                    self._drain()
                    if enough():
                        return True
                    if not self.ended:
                        await self._receive()
        return False

    def _next(self, enough: Callable[[dict[str, Any]], bool]) -> bool:
        """Whether a message that no earlier call has looked at satisfies it."""
        while self._seen < len(self.events):
            self._seen += 1
            if enough(self.events[self._seen - 1]):
                return True
        return False

    async def _send(self, data: bytes | bytearray, opcode: Opcode, payload: bytes) -> None:
        if self.ended:
            return
        self._note("client", opcode, payload, True)
        try:
            await self._connection.send(bytes(data))
        except OSError as error:
            self.ended = True
            raise Stop("reset", f"the connection ended while a message was sent: {explain(error)}") from None

    async def _receive(self) -> None:
        try:
            data = await self._connection.receive()
        except OSError as error:
            raise Stop("reset", f"the connection ended without a close frame: {explain(error)}") from None
        self._size += len(data)
        if self._size > self._cap:
            raise Stop("too_large", f"more than {self._cap} bytes of frames")
        if not data:
            self.ended = True
            if not any(f.opcode == "close" and f.sender == "server" for f in self.frames):
                raise Stop("reset", "the connection ended without a close frame")
            return
        self._framing.receive_bytes(data)
        await asyncio.sleep(0)  # a socket that always has data never suspends, and no deadline would fire

    def _drain(self) -> None:
        """Note the frames at hand. Pings and a close are answered, as every client does."""
        try:
            for frame in self._framing.received_frames():
                self._take(frame)
        except ParseFailed as error:
            self.ended = True
            raise Stop("protocol", f"not valid WebSocket frames: {error}") from None

    def _take(self, frame: Parsed) -> None:
        if frame.opcode is Kind.PING:
            payload = _raw(frame)
            self._note("server", "ping", payload, True)
            self._answer(self._framing.pong(payload), "pong", payload)
        elif frame.opcode is Kind.PONG:
            self._note("server", "pong", _raw(frame), True)
        elif frame.opcode is Kind.CLOSE:
            payload = _close_payload(frame)
            self._note("server", "close", payload, True)
            if not any(f.opcode == "close" and f.sender == "client" for f in self.frames):
                code = int.from_bytes(payload[:2], "big") if payload else None
                self._answer(self._framing.close(code), "close", payload[:2])
            self.ended = True
        else:
            self._note(
                "server",
                "text" if frame.opcode is Kind.TEXT else "binary",
                _raw(frame),
                frame.message_finished,
            )
            self._parts.append(_raw(frame))
            if frame.message_finished:
                whole, self._parts = b"".join(self._parts), []
                with suppress(ValueError, RecursionError):
                    if isinstance(value := json.loads(whole), dict):
                        self.events.append(value)

    def _answer(self, data: bytes | bytearray, opcode: Opcode, payload: bytes) -> None:
        self._note("client", opcode, payload, True)
        reply = asyncio.ensure_future(_send_quietly(self._connection, bytes(data)))
        self._replies.add(reply)
        reply.add_done_callback(self._replies.discard)

    def _note(self, sender: Literal["client", "server"], opcode: Opcode, payload: bytes, fin: bool) -> None:
        if len(self.frames) >= MAX_FRAMES:
            raise Stop("too_large", f"more than {MAX_FRAMES} frames")
        self.frames.append(Frame(time.perf_counter() - self._started, sender, opcode, payload, fin))


async def converse(
    wire: Wire, sent: Sent, limits: Limits, script: Script
) -> tuple[Recorded, tuple[Frame, ...]]:
    """Upgrade, run ``script`` on the open socket, and give back the exchange and its frames.

    An upgrade that is refused is an exchange like any other, and the script is not run.
    """
    recording = Recording(limits.body)
    url = parse_url(sent.url)
    if url is None:
        recording.fail("connect", "the URL is not an absolute http:// or https:// URL", 0.0)
        return Recorded(sent, recording, 0.0), ()
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    sent = replace(sent, headers=complete_headers(replace(sent, headers=_upgrade(sent.headers, key)), url))
    frames: list[Frame] = []
    started = time.perf_counter()
    with wire.watching() as watch:
        try:
            async with asyncio.timeout(limits.total):
                await _talk(wire, sent, url, key, limits, script, recording, frames)
        except (Stop, ConnectError) as stop:
            recording.fail(stop.kind, str(stop), time.perf_counter() - started)
        except TimeoutError:
            late: FailureKind = "timeout_headers" if recording.status is None else "timeout_body"
            recording.fail(
                late, f"the conversation did not end within {limits.total:g} s", time.perf_counter() - started
            )
    return Recorded(sent, recording, watch.worst), tuple(frames)


async def _talk(
    wire: Wire, sent: Sent, url: httpx.URL, key: str, limits: Limits, script: Script, recording: Recording,
    frames: list[Frame],
) -> None:  # fmt: skip
    async with asyncio.timeout(limits.connect):
        connection = await wire.open(url)
    try:
        started = time.perf_counter()
        await connection.send(head(sent.method, url.raw_path.decode("ascii"), sent.headers))
        early = await _handshake(connection, recording, started, key)
        if early is None:
            return
        talk = Conversation(connection, started, limits.body, early)
        talk.frames = frames
        await script(talk)
        recording.t_end = time.perf_counter() - started
    except OSError as error:
        raise Stop("reset", f"the connection ended: {explain(error)}") from None
    finally:
        connection.close()


async def _handshake(connection: Connection, recording: Recording, started: float, key: str) -> bytes | None:
    """Read the answer to the upgrade: None after an ordinary response, else the bytes that came after it."""
    framing = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_CAP)
    request = h11.Request(
        method="GET", target="/", headers=[("Host", "x"), ("Upgrade", "websocket"), ("Connection", "Upgrade")]
    )
    framing.send(request)
    framing.send(h11.EndOfMessage())
    informational = 0
    while True:
        try:
            event = framing.next_event()
        except h11.RemoteProtocolError as error:
            raise Stop("protocol", f"not valid HTTP: {error}") from None
        now = time.perf_counter() - started
        if event is h11.NEED_DATA:
            data = await connection.receive()
            if not data and recording.status is None:
                raise Stop("reset", "the connection ended without a response")
            framing.receive_data(data)
            await asyncio.sleep(0)  # a socket that always has data never suspends, and no deadline would fire
        elif isinstance(event, h11.InformationalResponse | h11.Response):
            recording.head(
                event.status_code,
                f"HTTP/{event.http_version.decode('ascii')}",
                event.headers.raw_items(),
                now,
            )
            if event.status_code == 101:
                _check_accept(recording, key)
                return framing.trailing_data[0]
            informational += isinstance(event, h11.InformationalResponse)
            if informational > MAX_INFORMATIONAL:
                raise Stop("protocol", f"more than {MAX_INFORMATIONAL} informational responses")
        elif isinstance(event, h11.Data):
            recording.add(now, event.data)
        elif isinstance(event, h11.EndOfMessage):
            recording.t_end = now
            return None
        else:
            raise Stop("protocol", "the response to the upgrade cannot be read")


def _check_accept(recording: Recording, key: str) -> None:
    """RFC 6455 section 4.1: the server proves that it has read the key."""
    expected = base64.b64encode(
        hashlib.sha1(key.encode() + _ACCEPT_KEY, usedforsecurity=False).digest()
    ).decode()
    given = next((v.strip() for k, v in recording.headers if k.lower() == "sec-websocket-accept"), "")
    if given != expected:
        raise Stop("protocol", "the Sec-WebSocket-Accept header does not fit the key of the request")


def _upgrade(headers: tuple[tuple[str, str], ...], key: str) -> tuple[tuple[str, str], ...]:
    own = (
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", key),
    )
    given = {name.lower() for name, _ in headers}
    return (*headers, *((k, v) for k, v in own if k.lower() not in given))


async def _send_quietly(connection: Connection, data: bytes) -> None:
    with suppress(OSError):
        await connection.send(data)


def _raw(frame: Parsed) -> bytes:
    return frame.payload.encode() if isinstance(frame.payload, str) else bytes(frame.payload)  # type: ignore[arg-type]


def _close_payload(frame: Parsed) -> bytes:
    """Code and reason as they were on the wire; empty if there was no code."""
    assert isinstance(frame.payload, tuple)
    code, reason = frame.payload
    return (
        b"" if code == CloseReason.NO_STATUS_RCVD else int(code).to_bytes(2, "big") + (reason or "").encode()
    )
