"""A job as it is kept: its words, its facts, its row, and the cursor that points to it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy.engine import Row

from reference_impl.settings import Allowance, Tier

Status = Literal["queued", "processing", "requires_action", "complete", "failed", "cancelled", "expired"]
Kind = Literal["document", "classification"]

OPEN: tuple[Status, ...] = ("queued", "processing", "requires_action")
"""Everything else is terminal, and never changes again."""


@dataclass(frozen=True)
class Origin:
    """Who asked, in which exchange and trace, and under which URL: what later answers have to repeat."""

    principal: str
    tier: Tier
    request_id: str
    trace_id: str
    span_id: str
    origin: str
    prefix: str


@dataclass(frozen=True)
class Job:
    """A job as it stands. Times are seconds since the epoch, `progress` is 0..1."""

    id: str
    kind: Kind
    status: Status
    progress: float
    version: int
    created_at: float
    updated_at: float
    completed_at: float | None
    deadline_at: float
    expires_at: float | None
    request: Mapping[str, Any]
    origin: Origin
    parts: tuple[Any, ...]
    input_tokens: int
    output_tokens: int
    action: Mapping[str, Any] | None
    result: Mapping[str, Any] | None
    error: Mapping[str, Any] | None

    @property
    def open(self) -> bool:
        """Whether it can still change."""
        return self.status in OPEN


@dataclass(frozen=True)
class Page:
    """One page of a list, newest first; `next_cursor` is None on the last."""

    jobs: tuple[Job, ...]
    next_cursor: str | None


def write_cursor(position: int) -> str:
    """An opaque, URL-safe cursor."""
    return base64.urlsafe_b64encode(f"job:{position}".encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> int | None:
    """The position behind a cursor, or None if it is none of ours."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (ValueError, UnicodeError):
        return None
    name, _, number = text.partition(":")
    valid = name == "job" and number.isascii() and number.isdigit() and len(number) < 19
    return int(number) if valid and write_cursor(int(number)) == cursor else None


def write_origin(origin: Origin) -> bytes:
    """An origin as the table keeps it."""
    return as_json(asdict(origin))


def read_origin(stored: bytes) -> Origin:
    """The origin behind such JSON."""
    content = from_json(stored)
    tier = content["tier"]
    allowances = {
        name: None if tier[name] is None else Allowance(**tier[name])
        for name in ("requests", "tokens", "cost")
    }
    return Origin(**{**content, "tier": Tier(**{**tier, **allowances})})


def job_of(row: Row[Any]) -> Job:
    """The job of a row."""
    return Job(
        id=row.id,
        kind=row.kind,
        status=row.status,
        progress=row.progress,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        completed_at=row.completed_at,
        deadline_at=row.deadline_at,
        expires_at=row.expires_at,
        request=from_json(row.request),
        origin=read_origin(row.origin),
        parts=tuple(from_json(row.parts or b"[]")),
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        action=from_json(row.action),
        result=from_json(row.result),
        error=from_json(row.error),
    )


def as_json(value: Any) -> bytes:
    """JSON as the tables keep it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def from_json(value: bytes | None) -> Any:
    """The value behind such JSON; None for NULL."""
    return None if value is None else json.loads(value)
