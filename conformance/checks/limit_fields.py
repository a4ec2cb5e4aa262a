"""``RateLimit-Policy`` and ``RateLimit`` (draft-ietf-httpapi-ratelimit-headers-10) as RFC 9651 lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import http_sf

from conformance.reading import Reading

#: Operations that need no credential, so no principal's limit applies to them.
OPEN_OPERATIONS = frozenset({"health", "description", "errors", "error", "capabilities", "raw"})


class FieldError(ValueError):
    """The field is not the list that the draft describes; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One item of ``RateLimit-Policy``: ``quota`` units per ``window`` seconds."""

    name: str
    quota: int
    window: int | None
    unit: str


@dataclass(frozen=True, slots=True)
class Level:
    """One item of ``RateLimit``: ``remaining`` units, and ``reset`` seconds until more are granted."""

    name: str
    remaining: int
    reset: int | None


def policies(reading: Reading) -> dict[str, Policy]:
    """The policies by name; empty without the field.

    Raises:
        FieldError: bad syntax, an item that is no string, a repeated name, or a parameter of the wrong type.
    """
    return {
        name: Policy(name, _integer(name, p, "q"), _optional(name, p, "w"), _unit(name, p))
        for name, p in _items(reading, "RateLimit-Policy")
    }


def levels(reading: Reading) -> dict[str, Level]:
    """The service levels by policy name; empty without the field. Raises like :func:`policies`."""
    return {
        name: Level(name, _integer(name, p, "r"), _optional(name, p, "t"))
        for name, p in _items(reading, "RateLimit")
    }


def limited_operations(readings: Iterable[Reading]) -> list[Reading]:
    """Complete answers of operations that count against a principal's limits: authenticated, not 401."""
    return [
        r
        for r in readings
        if r.exchange.operation not in OPEN_OPERATIONS
        and r.exchange.principal != "none"
        and r.exchange.failure is None
        and r.status not in (None, 401)
    ]


def too_many(readings: Iterable[Reading]) -> list[Reading]:
    """The complete 429 answers."""
    return [r for r in readings if r.status == 429 and r.exchange.failure is None]


def _items(reading: Reading, field: str) -> list[tuple[str, dict[str, Any]]]:
    value = reading.header(field)
    if value is None:
        return []
    try:
        parsed: Any = http_sf.parse(value.encode("latin-1", "replace"), tltype="list")
    except http_sf.StructuredFieldError as error:
        raise FieldError(f"{field} is no structured list: {error}") from None
    items: list[tuple[str, dict[str, Any]]] = []
    for name, parameters in parsed:
        if not isinstance(name, str):
            raise FieldError(f"{field} has an item that is not a quoted string: {name}")
        if any(name == known for known, _ in items):
            raise FieldError(f"{field} names {name!r} twice")
        items.append((name, parameters))
    return items


def _integer(name: str, parameters: dict[str, Any], key: str) -> int:
    value = parameters.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise FieldError(f"{name!r} has no non-negative integer {key}")
    return value


def _optional(name: str, parameters: dict[str, Any], key: str) -> int | None:
    return _integer(name, parameters, key) if key in parameters else None


def _unit(name: str, parameters: dict[str, Any]) -> str:
    unit = parameters.get("qu", "requests")
    if not isinstance(unit, str):
        raise FieldError(f"{name!r} has a unit qu that is not a quoted string")
    return unit
