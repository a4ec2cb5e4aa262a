"""The events of a stream, from its receives: fast for a stream in plain form, by the wire layer for any other.

Almost every stream under load is in plain form: LF only, one ``data: `` line per event, perhaps an ``event: ``
line before it. That form is split by ``bytes.split``; a Hypothesis test holds the result equal to the wire
layer's parser, which reads everything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from conformance.wire.sse import MAX_EVENTS, parse_sse
from conformance.wire.transcript import SseTranscript

Piece = tuple[float, bytes]


@dataclass(slots=True)
class Events:
    """``names``, ``data``, ``times`` and ``ends`` (byte offsets behind the blank line) of all events.

    ``transcript`` is the wire layer's, with all that a browser throws away; None for a stream in plain form,
    in which there is nothing of the kind.
    """

    names: list[str]
    data: list[str]
    times: list[float]
    ends: list[int]
    size: int
    transcript: SseTranscript | None = None


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
        [e.end for e in events],
        transcript.size,
        transcript,
    )


def _plain(pieces: Sequence[Piece]) -> Events | None:
    body = pieces[0][1] if len(pieces) == 1 else b"".join([data for _, data in pieces])
    if not body.endswith(b"\n\n") or b"\r" in body:
        return None
    blocks = body.split(b"\n\n")
    blocks.pop()
    if len(blocks) > MAX_EVENTS:
        return None
    names: list[str] = []
    data: list[str] = []
    ends: list[int] = []
    end = 0
    try:
        for block in blocks:
            end += len(block) + 2
            if block[:6] == b"data: ":
                value = block[6:].decode()
                name = "message"
            elif block[:7] == b"event: ":
                head, line_end, line = block.partition(b"\n")
                name = head[7:].decode()
                if not line_end or line[:6] != b"data: " or not name:
                    return None
                value = line[6:].decode()
            else:
                return None
            if not value or value[0] == " " or "\n" in value:
                return None
            names.append(name)
            data.append(value)
            ends.append(end)
    except UnicodeDecodeError:
        return None
    return Events(names, data, _times(pieces, ends), ends, len(body))


def _times(pieces: Sequence[Piece], ends: list[int]) -> list[float]:
    """When each event was complete: the arrival of the receive that holds its last byte."""
    if len(pieces) == 1:
        return [pieces[0][0]] * len(ends)
    times: list[float] = []
    index, arrived = 0, len(pieces[0][1])
    for end in ends:
        while arrived < end:
            index += 1
            arrived += len(pieces[index][1])
        times.append(pieces[index][0])
    return times
