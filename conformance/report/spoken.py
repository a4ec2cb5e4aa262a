"""A WebSocket conversation as text, one frame a line, so that a report shows it like any other body."""

from __future__ import annotations

import re

from conformance.evidence import Exchange

_FRAME = re.compile(r"^frame (\d{1,6})$")
_LONGEST = 2000
"""Bytes of one frame that are shown."""


def body_shown(exchange: Exchange) -> bytes:
    """What was received: the body, or after an upgrade the frames of both sides."""
    return b"".join(_lines(exchange)) if exchange.frames else exchange.content


def place_shown(exchange: Exchange, where: str) -> str:
    """``frame N`` as the ``byte N`` at which its line begins; other places stay as they are."""
    match = _FRAME.match(where)
    if match is None or int(match[1]) >= len(exchange.frames):
        return where
    return f"byte {sum(len(line) for line in _lines(exchange)[: int(match[1])])}"


def _lines(exchange: Exchange) -> list[bytes]:
    lines = []
    for frame in exchange.frames:
        arrow = "->" if frame.sender == "client" else "<-"
        payload = frame.payload[:_LONGEST].replace(b"\n", b" ")
        if frame.opcode == "close" and len(payload) >= 2:
            payload = str(int.from_bytes(payload[:2], "big")).encode() + b" " + payload[2:]
        more = f" ... {len(frame.payload)} bytes" if len(frame.payload) > _LONGEST else ""
        part = "" if frame.fin else " (goes on)"
        head = f"{frame.t:8.3f} s {arrow} {frame.opcode}{part} "
        lines.append(head.encode() + payload + more.encode() + b"\n")
    return lines
