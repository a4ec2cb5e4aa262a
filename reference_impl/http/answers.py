"""Answers the handlers return."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from reference_impl.store.ledger import StoredAnswer

JSON = "application/json"

# json.dumps with options builds an encoder per call.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def encode(content: Any) -> bytes:
    """JSON as this server writes it: UTF-8, compact."""
    return _ENCODER.encode(content).encode()


def json_answer(content: Any, status: int = 200, location: str | None = None) -> Response:
    """A JSON answer; `location` is the Location header."""
    return stored_answer(StoredAnswer(status, JSON, encode(content), location))


def stored_answer(answer: StoredAnswer, headers: Mapping[str, str] | None = None) -> Response:
    """The bytes of an answer as a response."""
    extra = dict(headers or {})
    if answer.location is not None:
        extra["Location"] = answer.location
    return Response(answer.body, answer.status, extra, answer.media_type)
