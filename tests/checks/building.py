"""Evidence from literal bytes: what a server might have sent, without a server.

    reading = answer({"id": "chat_1", …})                        # one JSON answer, dialect `contract`
    reading = stream(b"data: {…}\\n\\n", b"data: [DONE]\\n\\n")  # one stream, a chunk every 50 ms
    bench = gathered("stream_twin", reading, reading_2)          # the Probed that a check gets

What a server or a network may do is said by keyword: ``status``, ``headers``, ``failure``, ``left_at``, ….
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from conformance.dialects.model import Dialect, load_dialect
from conformance.evidence import Chunk, Exchange, Failure, FailureKind, Outcome, ProbeRecord, Sent
from conformance.reading import Probed, Reading

BASE_URL = "http://127.0.0.1:8000"
STEP = 0.05
"""Seconds between two chunks whose time is not given."""

_ids = itertools.count(1)
Body = bytes | str | Mapping[str, Any] | list[Any] | None
Headers = Mapping[str, str] | Iterable[tuple[str, str]]


@cache
def dialect(name: str = "contract") -> Dialect:
    """A dialect that ships with the suite: ``contract`` or ``openai-chat``."""
    return load_dialect(name)


def answer(
    body: Body = None,
    *,
    status: int | None = 200,
    headers: Headers = (),
    content_type: str | None = "application/json",
    operation: str = "chat",
    role: str = "role",
    **more: Any,
) -> Reading:
    """A reading of one answer that is not a stream. ``body``: raw bytes or text, else it is sent as JSON."""
    raw = _bytes(body)
    given = _pairs(headers)
    if content_type is not None and not any(k.lower() == "content-type" for k, _ in given):
        given = (("Content-Type", content_type), *given)
    t_end = more.pop("t_end", 0.2)
    chunks = more.pop("chunks", (Chunk(t_end, raw),) if raw else ())
    return exchange(
        status=status, headers=given, operation=operation, role=role, chunks=chunks, t_end=t_end, **more
    )


def stream(
    *chunks: bytes | str | tuple[float, bytes],
    status: int = 200,
    headers: Headers = (),
    content_type: str | None = "text/event-stream",
    operation: str = "chat_stream",
    role: str = "stream",
    step: float = STEP,
    **more: Any,
) -> Reading:
    """A reading of one streamed answer. A chunk without a time arrives ``step`` seconds after the last."""
    timed: list[Chunk] = []
    for chunk in chunks:
        before = timed[-1].t if timed else 0.0
        t, data = chunk if isinstance(chunk, tuple) else (before + step, chunk)
        timed.append(Chunk(t, data.encode() if isinstance(data, str) else data))
    given = _pairs(headers)
    if content_type is not None:
        given = (("Content-Type", content_type), *given)
    t_end = more.pop("t_end", timed[-1].t if timed else 0.0)
    return exchange(
        status=status, headers=given, operation=operation, role=role, chunks=tuple(timed), t_end=t_end, **more
    )


def exchange(
    *,
    speaks: str = "contract",
    probe: str = "probe",
    role: str = "role",
    operation: str = "chat",
    method: str = "POST",
    path: str = "/",
    sent_headers: Headers = (),
    sent_body: Body = b"",
    params: Mapping[str, Any] | None = None,
    failure: FailureKind | Failure | None = None,
    t_end: float | None = 0.2,
    **more: Any,
) -> Reading:
    """A reading of any exchange; ``speaks`` names the dialect, ``more`` are fields of :class:`Exchange`."""
    if isinstance(failure, str):
        failure = Failure(failure, "as the test says", t_end or 0.0)
    fields: dict[str, Any] = {
        "id": f"x{next(_ids):04d}",
        "principal": "main",
        "started_at": 1_800_000_000.0,
        "status": 200,
        "http_version": "HTTP/1.1",
        "t_headers": 0.01,
    }
    recorded = Exchange(
        **(fields | more),
        probe=probe,
        role=role,
        operation=operation,
        params=params or {},
        sent=Sent(method, BASE_URL + path, _pairs(sent_headers), _bytes(sent_body)),
        failure=failure,
        t_end=t_end,
    )
    return Reading(recorded, dialect(speaks))


def no_answer(kind: FailureKind = "reset", **more: Any) -> Reading:
    """A reading of a call to which no response head came."""
    return exchange(**({"status": None, "t_headers": None, "failure": kind} | more))


def gathered(
    name: str,
    *readings: Reading,
    outcome: Outcome = "done",
    reason: str = "",
    notes: Mapping[str, Any] | None = None,
) -> Probed:
    """What a check gets for a probe's name."""
    return Probed(ProbeRecord(name, outcome, reason, notes or {}), readings)


def event(data: Body, name: str | None = None) -> bytes:
    """One server-sent event as the contract writes it: LF, one space, one line of data."""
    line = b"" if name is None else f"event: {name}\n".encode()
    return line + b"data: " + _bytes(data) + b"\n\n"


def _bytes(body: Body) -> bytes:
    if body is None:
        return b""
    if isinstance(body, bytes):
        return body
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def _pairs(headers: Headers) -> tuple[tuple[str, str], ...]:
    return tuple(headers.items() if isinstance(headers, Mapping) else headers)
