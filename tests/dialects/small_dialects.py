"""Small dialects and literal answers, for tests of one feature of the language at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conformance.dialects.model import Dialect, load_dialect
from conformance.dialects.yaml_file import merge_patch
from conformance.evidence import Chunk, Exchange, Sent

SMALL: dict[str, Any] = {
    "dialect": "small",
    "version": "1.0.0",
    "title": "A small dialect",
    "written_for": {"vendor": "Nobody", "api": "/v0", "checked": "2026-11-24"},
    "auth": {"header": "Authorization", "value": "Bearer {key}"},
    "capabilities": {"core": "offered"},
    "operations": {"chat": {"method": "POST", "path": "/chat", "body": {"messages": "{messages}"}}},
    "answer": {},
    "headers": {},
    "error": {"message": "$.message"},
    "stream": {"framing": "sse", "terminal": {"data": "[DONE]"}, "facts": {"text_delta": "$.t"}},
}
NOW = 1_795_508_273.0
"""2026-11-24T08:17:53Z, when every answer of :func:`exchange` was started; its head came at once."""


def write_dialect(folder: Path, changes: Mapping[str, Any], name: str = "small.yaml") -> Path:
    """The small dialect with changes (RFC 7396), as a file; JSON is YAML."""
    path = folder / name
    path.write_text(json.dumps(merge_patch(SMALL, dict(changes))), "utf-8")
    return path


def small(folder: Path, **changes: Any) -> Dialect:
    return load_dialect(str(write_dialect(folder, changes)))


def exchange(
    body: Any = None,
    *,
    raw: bytes | None = None,
    status: int | None = 200,
    headers: Mapping[str, str] | None = None,
    content_type: str = "application/json",
) -> Exchange:
    """An answer with a JSON body (or raw bytes) that arrived at once."""
    data = json.dumps(body).encode() if raw is None else raw
    return Exchange(
        id="x0001",
        probe="probe",
        role="role",
        operation="chat",
        principal="main",
        params={},
        sent=Sent("POST", "http://127.0.0.1/chat"),
        started_at=NOW,
        status=status,
        headers=(("Content-Type", content_type), *(headers or {}).items()),
        t_headers=0.0,
        chunks=(Chunk(0.1, data),),
        t_end=0.1,
    )


def events(*data: Any, names: Mapping[int, str] | None = None) -> Exchange:
    """A stream of events; what is no text is sent as JSON. ``names`` gives events by index a name."""
    parts = []
    for index, item in enumerate(data):
        name = f"event: {names[index]}\n" if names and index in names else ""
        parts.append(f"{name}data: {item if isinstance(item, str) else json.dumps(item)}\n\n")
    return exchange(raw="".join(parts).encode(), content_type="text/event-stream")
