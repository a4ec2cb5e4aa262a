"""One stream on its schedule, with its defect."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from load.ground_truth.answers import envelope
from load.ground_truth.schedule import Wire, chunk, event
from load.ground_truth.state import DONE

if TYPE_CHECKING:
    from load.ground_truth.server import Protocol


class Playback:
    """One stream on its schedule: every event has an absolute time, so that delays do not add up."""

    def __init__(self, protocol: Protocol, wire: Wire, defect: str, begun: float) -> None:
        self.protocol, self.wire, self.defect = protocol, wire, defect
        self.schedule, self.begun = protocol.state.schedule, begun
        self.index = 0
        self.shift = 0.0

    def start(self) -> None:
        self._at(self.schedule.first)

    def _at(self, offset: float) -> None:
        self.protocol.timers[:] = [self.protocol.loop.call_at(self.begun + offset + self.shift, self._step)]

    def _step(self) -> None:
        wire, index, protocol, defect = self.wire, self.index, self.protocol, self.defect
        middle = index == len(wire.tokens) // 2
        if middle and defect == "stall" and not self.shift:
            self.shift = self.schedule.stall
            self._at(self.schedule.first + index * self.schedule.gap)
            return
        if middle and defect == "hang":
            return
        if middle and defect == "cut":
            protocol.transport.close()
            return
        if middle and defect == "error_event":
            failed = {"type": "error", **envelope("UPSTREAM_ERROR", "The model failed.", retryable=True)}
            self._end((chunk(event(failed, "error")), b"0\r\n\r\n"))
            return
        parts = [self._before(), wire.tokens[index]] if index == 0 else [self._token(middle)]
        self.index += 1
        if self.index == len(wire.tokens):
            self._end((*parts, wire.after, *self._ending(), b"0\r\n\r\n"))
            return
        protocol.write(parts)
        self._at(self.schedule.first + self.index * self.schedule.gap)

    def _before(self) -> bytes:
        return chunk(b"\xef\xbb\xbf") + self.wire.before if self.defect == "bom" else self.wire.before

    def _token(self, middle: bool) -> bytes:
        if middle and self.defect == "bad_utf8":
            return chunk(b'data: {"type":"token","token":"\xff\xfe"}\n\n')
        if middle and self.defect == "bad_json":
            return chunk(b'data: {"type":"token","tok\n\n')
        return self.wire.tokens[self.index]

    def _ending(self) -> tuple[bytes, ...]:
        times = {"no_terminal": 0, "two_terminals": 2}.get(self.defect, 1)
        return (chunk(DONE),) * times

    def _end(self, parts: Iterable[bytes]) -> None:
        self.protocol.write(parts)
        self.protocol.state.truth.whole += 1
        self.protocol.left()
