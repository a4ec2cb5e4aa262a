"""The events of a stream, from its receives: fast for a stream in plain form, by the wire layer for any other.

Almost every stream under load is in plain form: LF only, one ``data: `` line per event, perhaps an ``event: ``
line before it. That form is read by one pass of a regular expression; a Hypothesis test holds the result equal to
the wire layer's parser, which reads everything else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from conformance.wire.sse import MAX_EVENTS, parse_sse
from conformance.wire.transcript import SseTranscript

Piece = tuple[float, bytes]

_EVENT = re.compile(r"(?:event: ([^\n ][^\n]*)\n)?data: ([^\n ][^\n]*)\n\n")
_DATA, _NAME = len("data: \n\n"), len("event: \n")
_END = re.compile(rb"\n\n")


@dataclass(slots=True)
class Events:
    """``names``, ``data`` and ``times`` of all events; ``size`` of the body in bytes.

    ``transcript`` is the wire layer's, with all that a browser throws away; None for a stream in plain form,
    in which there is nothing of the kind.
    """

    names: list[str]
    data: list[str]
    times: list[float]
    body: bytes
    size: int
    transcript: SseTranscript | None = None

    @property
    def ends(self) -> list[int]:
        """Byte offsets behind the blank line of each event. Only a violation asks for them."""
        if self.transcript is not None:
            return [e.end for e in self.transcript.events]
        return [found.end() for found in _END.finditer(self.body)]


def read_events(pieces: Sequence[Piece]) -> Events:
    """The events of a body, given as ``(arrival, bytes)`` per receive."""
    plain = _plain(pieces)
    if plain is not None:
        return plain
    transcript = parse_sse(pieces)
    events = transcript.events
    return Events(
        [e.event for e in events],
        [e.data for e in events],
        [e.t for e in events],
        b"",
        transcript.size,
        transcript,
    )


def _plain(pieces: Sequence[Piece]) -> Events | None:
    body = pieces[0][1] if len(pieces) == 1 else b"".join([data for _, data in pieces])
    if b"\r" in body:
        return None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    found: list[Any] = _EVENT.findall(text)
    if not found or len(found) > MAX_EVENTS:
        return None
    names, data = map(list, zip(*found, strict=True))
    named = len(names) - names.count("")
    if sum(map(len, data)) + sum(map(len, names)) + len(data) * _DATA + named * _NAME != len(text):
        return None  # there is something besides
    names = [name or "message" for name in names] if named else ["message"] * len(names)
    return Events(names, data, _times(pieces, body, len(data)), body, len(body))


def _times(pieces: Sequence[Piece], body: bytes, number: int) -> list[float]:
    """When each event was complete: the arrival of the receive that holds its last byte."""
    if len(pieces) == 1:
        return [pieces[0][0]] * number
    times: list[float] = []
    begun = 0
    for t, data in pieces:
        end = begun + len(data)
        complete = body.count(b"\n\n", begun and begun - 1, end)  # a blank line may be cut in two
        if complete == 1:
            times.append(t)
        elif complete:
            times += [t] * complete
        begun = end
    return times
