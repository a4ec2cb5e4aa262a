"""What the checks of streams share: which exchanges are streams, and where in them something is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from conformance.evidence import Chunk
from conformance.reading import Reading
from conformance.verdict import Inconclusive, NotTested
from conformance.wire.strict_json import NOT_JSON

STREAM_OPERATIONS = ("chat_stream", "turn_stream")


def asked_for_stream(exchanges: Iterable[Reading]) -> list[Reading]:
    """Requests for a stream that accept one."""
    return [r for r in exchanges if r.exchange.operation in STREAM_OPERATIONS and _accepts_stream(r)]


def begun(exchanges: Iterable[Reading]) -> list[Reading]:
    """Streams of which at least the head came, whole or not, that the probe did not hang up on.

    Raises:
        NotTested: there is none.
    """
    found = [
        r
        for r in exchanges
        if r.status is not None
        and 200 <= r.status < 300
        and r.exchange.is_sse
        and r.exchange.left_at is None
        and r.exchange.operation != "job_events"
    ]
    if not found:
        raise NotTested("no stream was recorded: SSE-01 and SSE-19 tell why")
    return found


def ended(streams: Iterable[Reading]) -> list[Reading]:
    """The streams, of which there must be one. ``streams`` of a run are those that ended cleanly.

    Raises:
        Inconclusive: there is none.
    """
    found = list(streams)
    if not found:
        raise Inconclusive("no stream ended cleanly: SSE-01, SSE-19 and SSE-34 tell why")
    return found


def whole(streams: Iterable[Reading]) -> list[Reading]:
    """The streams that reached their terminal, report no error and parse: nothing of their answers is lost.

    Raises:
        Inconclusive: there is none.
    """
    found = [r for r in streams if is_whole(r)]
    if not found:
        raise Inconclusive("no stream reached its terminal whole: SSE-02, SSE-04 and SSE-34 tell why")
    return found


def is_whole(reading: Reading) -> bool:
    """Whether a stream reached its terminal, reports no error and parses."""
    return bool(reading.stream.terminals) and not reading.stream.errors and not reading.stream.invalid


def byte_of(reading: Reading, event: int) -> str:
    """The place of an event, by its index, for a violation."""
    return f"byte {reading.exchange.sse.events[event].offset}"


def objects(reading: Reading) -> list[tuple[int, dict[str, Any]]]:
    """Index and data of every event whose data is a JSON object."""
    found = ((i, e.json) for i, e in enumerate(reading.exchange.sse.events))
    return [(i, data) for i, data in found if data is not NOT_JSON and isinstance(data, dict)]


def typed(reading: Reading, kind: str) -> list[tuple[int, dict[str, Any]]]:
    """The contract's events of one ``type``."""
    return [(i, data) for i, data in objects(reading) if data.get("type") == kind]


def is_paced(reading: Reading) -> bool:
    """Whether a provocation made this stream slow on purpose."""
    return "sandbox" in reading.exchange.params


def encoding_of(reading: Reading) -> str:
    """The Content-Encoding, empty if there is none."""
    encoding = (reading.header("content-encoding") or "").strip().lower()
    return "" if encoding == "identity" else encoding


def arrivals(reading: Reading) -> tuple[Chunk, ...]:
    """The chunks that hold bytes."""
    return tuple(c for c in reading.exchange.chunks if c.data)


def _accepts_stream(reading: Reading) -> bool:
    accept = (reading.exchange.sent_header("accept") or "*/*").lower()
    return "text/event-stream" in accept or "*/*" in accept or "text/*" in accept
