"""JSON as RFC 8259 has it: what a server sent is either JSON or the sentinel ``NOT_JSON``."""

from __future__ import annotations

import json
from typing import Any, NoReturn


class _NotJson:
    """Stands for text that is not JSON; falsy, so that ``event.json or {}`` works."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "NOT_JSON"

    def __copy__(self) -> _NotJson:
        return self

    def __deepcopy__(self, memo: object) -> _NotJson:
        return self

    def __reduce__(self) -> str:
        return "NOT_JSON"


NOT_JSON = _NotJson()


def parse_json(text: str | bytes) -> Any:
    """The parsed value, or ``NOT_JSON``; never raises.

    Bytes must be UTF-8 without a BOM (RFC 8259 section 8.1). ``NaN`` and ``Infinity`` are not JSON (6).
    """
    try:
        return _parse(text)
    except (ValueError, RecursionError):
        return NOT_JSON


def json_fault(text: str | bytes) -> str:
    """Why a text is not JSON, in one line with the place if that is known; empty if it is."""
    try:
        _parse(text)
    except RecursionError:
        return "nested too deeply"
    except ValueError as error:
        return str(error)
    return ""


def _parse(text: str | bytes) -> Any:
    return json.loads(text.decode("utf-8") if isinstance(text, bytes) else text, parse_constant=_refuse)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
