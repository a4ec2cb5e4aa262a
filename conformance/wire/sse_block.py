"""The lines of a stream between two blank ones, while they come in."""

from __future__ import annotations

from conformance.wire.transcript import SseBlock, SseEvent

MAX_FIELDS = 100


class Block:
    """What the fields of one block have said so far. ``size`` counts bytes of data."""

    __slots__ = ("comments", "data", "fields", "id", "offset", "retry", "size", "t_first", "type")

    def __init__(self) -> None:
        self.data: list[str] = []
        self.size = 0
        self.fields: list[str] = []
        self.comments = False
        self.type: str | None = None
        self.id: str | None = None
        self.retry: int | None = None
        self.offset = 0
        self.t_first = 0.0

    def add_data(self, value: str, size: int) -> None:
        if not self.data:
            self.fields.append("data")
        self.data.append(value)
        self.size += size + 1

    def set(self, name: str, value: str) -> bool:
        """Process a field other than ``data``; False if WHATWG knows no such field."""
        if len(self.fields) < MAX_FIELDS:
            self.fields.append(name[:100])
        match name:
            case "event":
                self.type = value
            case "id" if "\0" not in value:
                self.id = value
            case "retry" if value.isascii() and value.isdigit() and len(value) <= 18:
                self.retry = int(value)
            case _:
                return name in ("id", "retry")
        return True

    def event(self, t: float, end: int) -> SseEvent:
        return SseEvent(
            self.type or "message",
            "\n".join(self.data),
            t,
            self.t_first,
            self.offset,
            end,
            len(self.data),
            bool(self.type),
            self.id,
            self.retry,
        )

    def without_data(self, t: float, end: int) -> SseBlock:
        return SseBlock(tuple(self.fields), t, self.offset, end, self.type, self.id, self.retry)
