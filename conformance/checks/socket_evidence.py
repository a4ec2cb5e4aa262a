"""What the checks of WebSockets share: the messages of a recorded conversation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from conformance.evidence import Frame
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotTested
from conformance.wire.strict_json import NOT_JSON, parse_json


@dataclass(frozen=True)
class Said:
    """One whole message. ``index`` is the place of its last frame in ``exchange.frames``; ``value`` is its JSON,
    or the sentinel ``NOT_JSON``."""

    index: int
    t: float
    sender: str
    opcode: str
    raw: bytes
    value: Any

    @property
    def type(self) -> str:
        return str(self.value.get("type")) if isinstance(self.value, dict) else ""


def conversation(probe: Probed, role: str) -> Reading:
    """The open socket of that role: a conversation that broke in the middle is judged as far as it went.

    Raises:
        NotTested: it was not sent. Inconclusive: the upgrade was not accepted.
    """
    reading = probe.get(role)
    if reading is None:
        raise NotTested(probe.record.reason or f"probe {probe.record.name} did not send '{role}'")
    if reading.status != 101:
        why = reading.exchange.failure.detail if reading.exchange.failure else f"status {reading.status}"
        raise Inconclusive(f"the WebSocket was not opened: {why} ({reading.exchange.id})")
    return reading


def said(reading: Reading) -> list[Said]:
    """Every whole message of both sides in order; control frames are no messages."""
    return list(_messages(reading.exchange.frames))


def from_server(reading: Reading) -> list[Said]:
    """The server's messages."""
    return [m for m in said(reading) if m.sender == "server"]


def after(reading: Reading, message_id: str) -> list[Said]:
    """The server's messages from the client's message of that id on, until the client spoke again."""
    messages = said(reading)
    starts = [n for n, m in enumerate(messages) if m.sender == "client" and _id(m) == message_id]
    return before_the_client_speaks(messages[starts[0] + 1 :]) if starts else []


def before_the_client_speaks(messages: list[Said]) -> list[Said]:
    """The server's messages up to the first of the client."""
    return list(takewhile(lambda m: m.sender == "server", messages))


def close_code(reading: Reading) -> int | None:
    """The code of the server's close frame: 1005 if it had none, None if no close frame came."""
    frame = next((f for f in reading.exchange.frames if f.opcode == "close" and f.sender == "server"), None)
    if frame is None:
        return None
    return int.from_bytes(frame.payload[:2], "big") if len(frame.payload) >= 2 else 1005


def _messages(frames: tuple[Frame, ...]) -> Iterator[Said]:
    parts: dict[str, list[bytes]] = {"client": [], "server": []}
    for index, frame in enumerate(frames):
        if frame.opcode in ("text", "binary"):
            parts[frame.sender].append(frame.payload)
            if frame.fin:
                raw, parts[frame.sender] = b"".join(parts[frame.sender]), []
                value = parse_json(raw) if frame.opcode == "text" else NOT_JSON
                yield Said(index, frame.t, frame.sender, frame.opcode, raw, value)


def _id(message: Said) -> object:
    return message.value.get("message_id") if isinstance(message.value, dict) else None
