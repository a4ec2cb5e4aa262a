"""A WebSocket conversation in a report: every frame on a line of its own, the faulty one marked."""

from __future__ import annotations

from conformance.evidence import Exchange, Frame, Sent
from conformance.report.exhibit import show
from conformance.report.spoken import body_shown, place_shown

FRAMES = (
    Frame(0.1, "client", "text", b'{"type": "chat"}'),
    Frame(0.2, "server", "text", b'{"type":\n "err', False),
    Frame(0.3, "server", "text", b'or"}'),
    Frame(0.4, "server", "binary", b"x" * 5000),
    Frame(0.5, "server", "close", (1009).to_bytes(2, "big") + b"too big"),
)
TALK = Exchange(
    id="x0001", probe="p", role="r", operation="chat_socket", principal="main", params={},
    sent=Sent("GET", "http://127.0.0.1/ws"), started_at=1.0, status=101, frames=FRAMES,
)  # fmt: skip


def test_each_frame_has_a_line() -> None:
    lines = body_shown(TALK).decode().splitlines()
    assert len(lines) == len(FRAMES)
    assert lines[0] == '   0.100 s -> text {"type": "chat"}'
    assert lines[1].endswith('<- text (goes on) {"type":  "err')
    assert lines[3].endswith("... 5000 bytes")
    assert lines[4] == "   0.500 s <- close 1009 too big"


def test_the_place_of_a_frame_is_marked() -> None:
    place = place_shown(TALK, "frame 4")
    marked = [p.text for p in show(body_shown(TALK), [place]).pieces if p.marked]
    assert "".join(marked) == "   0.500 s <- close 1009 too big"
    assert place_shown(TALK, "frame 99") == "frame 99"
    assert place_shown(TALK, "/error/code") == "/error/code"
