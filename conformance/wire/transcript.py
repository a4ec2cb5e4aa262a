"""What a ``text/event-stream`` body said, with the place and the arrival time of everything in it.

Offsets are byte offsets into the body, a BOM included. Times are those given with the bytes (seconds).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from conformance.wire.strict_json import parse_json

LineEnding = Literal["LF", "CR", "CRLF"]
Spacing = Literal["none", "one", "more"]


@dataclass(frozen=True)
class SseEvent:
    """One dispatched event (WHATWG HTML 9.2.6).

    ``event`` is the type, ``message`` unless the block named one (``named``); ``id`` and ``retry`` are of
    this very block. ``t`` is the arrival of the byte that completed it, ``t_first`` of its first byte.
    ``offset``..``end`` spans first field to terminating blank line; comments before it do not belong to it.
    """

    event: str
    data: str
    t: float
    t_first: float
    offset: int
    end: int
    data_lines: int
    named: bool = False
    id: str | None = None
    retry: int | None = None

    @cached_property
    def json(self) -> Any:
        """The data as JSON, or ``conformance.wire.strict_json.NOT_JSON``."""
        return parse_json(self.data)


@dataclass(frozen=True, slots=True)
class SseComment:
    """A comment line. ``own_block``: a blank line follows directly and the block holds nothing but comments,
    so that a parser which dispatches on every blank line sees an empty event there."""

    text: str
    t: float
    offset: int
    own_block: bool


@dataclass(frozen=True, slots=True)
class SseBlock:
    """A block with fields but no data: WHATWG dispatches nothing, several clients crash."""

    fields: tuple[str, ...]
    t: float
    offset: int
    end: int
    event: str | None = None
    id: str | None = None
    retry: int | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """How often something was seen, and the offset of the first time."""

    count: int
    offset: int

    def again(self, times: int = 1) -> Noted:
        return Noted(self.count + times, self.offset)


@dataclass(frozen=True)
class SseTranscript:
    """A whole stream.

    ``line_endings``: every style used, keyed ``LF``, ``CR``, ``CRLF``.
    ``spacing``: spaces between ``data:`` and a non-empty value, keyed ``none``, ``one``, ``more``.
    ``invalid_utf8``: offset of the first bad byte of each line that is not UTF-8 (the first thousand).
    ``stray_blank_lines``: blank lines that end nothing.
    ``unterminated``: what the bytes after the last blank line would have been, had one followed (WHATWG drops
    them); its data may be empty.
    ``overflow``: which bound of the parser was passed, and where; the bytes after that were not parsed.
    ``size``, ``t_last``: bytes in all, and the arrival of the last (0.0 if there was none).
    """

    events: tuple[SseEvent, ...]
    comments: tuple[SseComment, ...] = ()
    empty_blocks: tuple[SseBlock, ...] = ()
    line_endings: Mapping[LineEnding, Noted] = field(default_factory=dict)
    spacing: Mapping[Spacing, Noted] = field(default_factory=dict)
    unknown_fields: Mapping[str, Noted] = field(default_factory=dict)
    invalid_utf8: tuple[int, ...] = ()
    bom: bool = False
    stray_blank_lines: int = 0
    unterminated: SseEvent | None = None
    overflow: str | None = None
    size: int = 0
    t_last: float = 0.0

    def trailing(self, event: SseEvent) -> int:
        """Number of bytes after an event, its blank line not counted."""
        return self.size - event.end
