"""A byte-level, incremental parser of ``text/event-stream`` (WHATWG HTML 9.2.5 and 9.2.6).

It dispatches what a browser would, and keeps what a browser throws away: comments, blocks without data, line
endings, the spelling of ``data:`` lines, invalid UTF-8, and a last block that never ended. No input makes it
raise. Its cost is one scan by ``bytes.splitlines`` per chunk and one short step per line.
"""

from __future__ import annotations

from collections.abc import Iterable

from conformance.wire.sse_block import Block
from conformance.wire.transcript import (
    LineEnding,
    Noted,
    Spacing,
    SseBlock,
    SseComment,
    SseEvent,
    SseTranscript,
)

__all__ = ["SseBlock", "SseComment", "SseEvent", "SseParser", "SseTranscript", "parse_sse"]

BOM = b"\xef\xbb\xbf"
MAX_LINE = 8 * 1024 * 1024
MAX_EVENTS = 100_000
MAX_UTF8_NOTES = 1_000
MAX_UNKNOWN_FIELDS = 100


class SseParser:
    """Feed it bytes as they arrive; it returns the events they complete.

    ``max_line`` bounds one line, and the data of one event, in bytes; ``max_events`` bounds events, comments
    and empty blocks together. When a bound is passed, ``overflow`` says so and later input is ignored.
    """

    def __init__(self, max_line: int = MAX_LINE, max_events: int = MAX_EVENTS) -> None:
        self.max_line, self.max_events = max_line, max_events
        self.comments: list[SseComment] = []
        self.empty_blocks: list[SseBlock] = []
        self.line_endings: dict[LineEnding, Noted] = {}
        self.spacing: dict[Spacing, Noted] = {}
        self.unknown_fields: dict[str, Noted] = {}
        self.invalid_utf8: list[int] = []
        self.bom = False
        self.stray_blank_lines = 0
        self.unterminated: SseEvent | None = None
        self.overflow: str | None = None
        self.size = 0
        self.t_last = 0.0
        self._at_start = True
        self._offset = 0  # of the first byte that no line was made of yet
        self._parts: list[bytes] = []  # of the line whose end has not come
        self._parts_size = 0
        self._t_parts = 0.0  # arrival of the first of them
        self._t_cr: float | None = None  # arrival of a CR at their end: a LF may follow
        self._count = 0
        self._comment: tuple[str, float, int] | None = None  # waits for the next line
        self._block = Block()

    def feed(self, data: bytes, t: float) -> list[SseEvent]:
        """Events completed by ``data``, which arrived at ``t``."""
        if not data:
            return []
        self.size += len(data)
        self.t_last = t
        if self.overflow is not None or (self._at_start and not (data := self._skip_bom(data, t))):
            return []
        if b"\n" not in data and b"\r" not in data and self._t_cr is None:
            self._keep(data, t)
            return []
        t_first = t_done = t
        if self._parts:
            t_first = self._t_parts
            t_done = t if self._t_cr is None else self._t_cr
            data = b"".join((*self._parts, data))
            self._forget_parts()
        lines = data.splitlines(keepends=True)
        # The end of the last line has not come, or is a CR of which nobody knows yet whether a LF follows.
        rest = b"" if data.endswith(b"\n") else lines.pop()
        t_rest = t if lines else t_first
        events: list[SseEvent] = []
        self._note_line_endings(lines, b"\r" in data)
        for line in lines:
            self._line(line, t_first, t_done, events)
            if self._overflown():
                return events
            t_first = t_done = t
        if rest:
            self._keep(rest, t_rest)
            self._t_cr = t if rest.endswith(b"\r") else None
        return events

    def close(self, t: float) -> list[SseEvent]:
        """The stream has ended at ``t``. Returns an event that only a CR at the very end completes; what no
        blank line ended is kept as ``unterminated``."""
        events: list[SseEvent] = []
        if self.overflow is not None:
            return events
        line, t_cr = b"".join(self._parts), self._t_cr
        self._forget_parts()
        if t_cr is not None:
            self._note_line_endings([line], True)
        if line:
            self._line(line, self._t_parts, t if t_cr is None else t_cr, events)
        self._end_comment(False)
        if self._block.fields:
            self.unterminated = self._block.event(self.t_last, self._offset)
        return events

    def transcript(self, events: Iterable[SseEvent]) -> SseTranscript:
        """``events`` together with what was found besides them."""
        return SseTranscript(
            events=tuple(events),
            comments=tuple(self.comments),
            empty_blocks=tuple(self.empty_blocks),
            line_endings=dict(self.line_endings),
            spacing=dict(self.spacing),
            unknown_fields=dict(self.unknown_fields),
            invalid_utf8=tuple(self.invalid_utf8),
            bom=self.bom,
            stray_blank_lines=self.stray_blank_lines,
            unterminated=self.unterminated,
            overflow=self.overflow,
            size=self.size,
            t_last=self.t_last,
        )

    def _skip_bom(self, data: bytes, t: float) -> bytes:
        head = b"".join((*self._parts, data))
        if len(head) < len(BOM) and BOM.startswith(head):
            self._keep(data, t)
            return b""
        self._at_start = False
        if head.startswith(BOM):
            self.bom = True
            self._forget_parts()
            self._offset = len(BOM)
            return head[len(BOM) :]
        return data

    def _keep(self, part: bytes, t: float) -> None:
        if not self._parts:
            self._t_parts = t
        self._parts.append(part)
        self._parts_size += len(part)
        if self._parts_size > self.max_line:
            self._overflow(f"a line is longer than {self.max_line} bytes", self._offset)
            self._forget_parts()

    def _forget_parts(self) -> None:
        self._parts, self._parts_size, self._t_cr = [], 0, None

    def _line(self, line: bytes, t_first: float, t_done: float, events: list[SseEvent]) -> None:
        block, offset = self._block, self._offset
        self._offset = offset + len(line)
        if len(line) > self.max_line:
            self._overflow(f"a line is longer than {self.max_line} bytes", offset)
            return
        text = line.rstrip(b"\r\n")
        if self._comment is not None:
            self._end_comment(not text and not block.fields)
        if not text:
            self._end_block(t_done, events)
            return
        name, colon, value = text.partition(b":")
        if not name:
            start = 2 if value.startswith(b" ") else 1
            self._comment = (self._decode(text[start:], offset + start), t_done, offset)
            block.comments = True
            return
        if not block.fields:
            block.offset, block.t_first = offset, t_first
        start = len(name) + len(colon)
        if value.startswith(b" "):
            value = value[1:]
            start += 1
        decoded = self._decode(value, offset + start)
        if name != b"data":
            field = self._decode(name, offset)
            if not block.set(field, decoded):
                self._note_unknown(field, offset)
            return
        block.add_data(decoded, len(value))
        if block.size > self.max_line:
            self._overflow(f"an event has more than {self.max_line} bytes of data", block.offset)
        if value:
            kind: Spacing = "none" if start == 5 else "more" if value.startswith(b" ") else "one"
            noted = self.spacing.get(kind)
            self.spacing[kind] = Noted(1, offset) if noted is None else noted.again()

    def _note_unknown(self, field: str, offset: int) -> None:
        name = field[:100]
        if (noted := self.unknown_fields.get(name)) is not None:
            self.unknown_fields[name] = noted.again()
        elif len(self.unknown_fields) < MAX_UNKNOWN_FIELDS:
            self.unknown_fields[name] = Noted(1, offset)

    def _end_block(self, t: float, events: list[SseEvent]) -> None:
        block = self._block
        if block.data:
            if self._has_room():
                events.append(block.event(t, self._offset))
        elif block.fields:
            if self._has_room():
                self.empty_blocks.append(block.without_data(t, self._offset))
        elif block.comments:
            block.comments = False
            return
        else:
            self.stray_blank_lines += 1
            return
        self._block = Block()

    def _end_comment(self, own_block: bool) -> None:
        if self._comment is not None:
            text, t, offset = self._comment
            self._comment = None
            if self._has_room():
                self.comments.append(SseComment(text, t, offset, own_block))

    def _decode(self, value: bytes, offset: int) -> str:
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            if len(self.invalid_utf8) < MAX_UTF8_NOTES:
                self.invalid_utf8.append(offset + error.start)
            return value.decode("utf-8", errors="replace")

    def _note_line_endings(self, lines: list[bytes], any_cr: bool) -> None:
        if lines and not any_cr:
            self._note_line_ending("LF", len(lines), self._offset + len(lines[0]) - 1)
            return
        offset = self._offset
        for line in lines:
            offset += len(line)
            if line.endswith(b"\r\n"):
                self._note_line_ending("CRLF", 1, offset - 2)
            else:
                self._note_line_ending("LF" if line.endswith(b"\n") else "CR", 1, offset - 1)

    def _note_line_ending(self, kind: LineEnding, times: int, offset: int) -> None:
        noted = self.line_endings.get(kind)
        self.line_endings[kind] = Noted(times, offset) if noted is None else noted.again(times)

    def _has_room(self) -> bool:
        self._count += 1
        if self._count > self.max_events:
            self._overflow(f"more than {self.max_events} events and comments", self._offset)
        return self._count <= self.max_events

    def _overflow(self, what: str, offset: int) -> None:
        if self.overflow is None:
            self.overflow = f"{what} (byte {offset})"

    def _overflown(self) -> bool:
        return self.overflow is not None


def parse_sse(
    chunks: Iterable[tuple[float, bytes]], max_line: int = MAX_LINE, max_events: int = MAX_EVENTS
) -> SseTranscript:
    """Parse a whole body, given as ``(arrival time, bytes)`` in order of arrival."""
    parser = SseParser(max_line, max_events)
    events: list[SseEvent] = []
    for t, data in chunks:
        events += parser.feed(data, t)
    events += parser.close(parser.t_last)
    return parser.transcript(events)
