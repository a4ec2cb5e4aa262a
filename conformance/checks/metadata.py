"""Where the contract's metadata block is, and which answers have one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from conformance.checks.stream_evidence import byte_of, is_whole, typed
from conformance.reading import Reading
from conformance.verdict import NotTested

AI_OPERATIONS = ("chat", "chat_stream", "turn_stream", "classify")


@dataclass(frozen=True)
class Described:
    """An answer and its metadata block, empty if there is none. ``place``: a JSON Pointer to the block, or
    for a stream ``byte N`` of the ``done`` event."""

    reading: Reading
    metadata: Mapping[str, Any]
    place: str

    def where(self, name: str) -> str:
        """The place of one of its members, for a violation."""
        return f"{self.place}/{name}" if self.place.startswith("/") else self.place

    @property
    def replayed(self) -> bool:
        """Whether the block may be that of an earlier request."""
        return (
            self.reading.header("idempotency-replayed") is not None
            or self.reading.exchange.operation == "turn_stream"
        )


def ai_answers(exchanges: Iterable[Reading]) -> list[Reading]:
    """Complete 2xx AI answers. A stream counts if it is whole.

    Raises:
        NotTested: there is none.
    """
    found = [
        r
        for r in exchanges
        if r.ok
        and r.status != 202
        and r.exchange.left_at is None
        and r.exchange.operation in AI_OPERATIONS
        and (not r.exchange.is_sse or is_whole(r))
    ]
    if not found:
        raise NotTested("the run holds no complete AI answer")
    return found


def described(exchanges: Iterable[Reading]) -> list[Described]:
    """Every complete AI answer with its metadata block."""
    return [_describe(r) for r in ai_answers(exchanges)]


def is_count(value: object) -> TypeGuard[int]:
    """An integer of at least 0; ``true`` is none."""
    return type(value) is int and value >= 0


def _describe(reading: Reading) -> Described:
    body: Any = reading.body
    place = "/metadata"
    if reading.exchange.is_sse:
        done = typed(reading, "done")
        body = done[-1][1] if done else {}
        place = byte_of(reading, done[-1][0]) if done else f"byte {reading.exchange.sse.size}"
    block = body.get("metadata") if isinstance(body, dict) else None
    return Described(reading, block if isinstance(block, dict) else {}, place)
