"""The types of saved evidence: what others hand over is checked once here, so that no check or report meets a text
where a time should be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

LATEST = 2.0**34
"""Seconds, as a time or a span: far beyond any run, and still a date."""

Is = Callable[[Any], bool]


def text(value: Any) -> bool:
    return isinstance(value, str)


def seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LATEST


def table(value: Any) -> bool:
    return isinstance(value, dict)


def integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def maybe(kind: Is) -> Is:
    return lambda value: value is None or kind(value)


def rows(*kinds: Is) -> Is:
    """A list of lists whose items are of these kinds."""

    def fits(row: Any) -> bool:
        return (
            isinstance(row, list | tuple)
            and len(row) == len(kinds)
            and all(k(v) for k, v in zip(kinds, row, strict=True))
        )

    return lambda value: isinstance(value, list | tuple) and all(map(fits, value))


def texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(text, value))


def names(value: Any) -> bool:
    """A table of texts."""
    return isinstance(value, dict) and all(map(text, value.values()))


def target(value: Any) -> bool:
    """The public description; what the tester declared is looked up in it by name."""
    declared = (value.get("declared") or {}) if isinstance(value, dict) else None
    return isinstance(declared, dict) and all(
        isinstance(declared.get(part) or {}, dict) for part in ("capabilities", "provocations")
    )


RUN: Mapping[str, Is] = {
    "target": target, "dialect": text, "started_at": seconds, "duration": seconds, "probes": table,
    "suite_version": text, "contract_version": text,
}  # fmt: skip
PROBE: Mapping[str, Is] = {"name": text, "outcome": text, "reason": text, "notes": table, "shared": names}
EXCHANGE: Mapping[str, Is] = {
    "id": text, "probe": text, "role": text, "operation": text, "principal": text, "params": table,
    "started_at": seconds,
}  # fmt: skip
REQUEST: Mapping[str, Is] = {"method": text, "url": text, "headers": rows(text, text)}
RESPONSE: Mapping[str, Is] = {
    "status": maybe(integer), "http_version": text, "headers": rows(text, text), "t_headers": maybe(seconds),
    "chunks": rows(seconds, integer), "t_end": maybe(seconds), "left_at": maybe(seconds), "redirects": texts,
    "lag": seconds,
}  # fmt: skip
FAILURE: Mapping[str, Is] = {"kind": text, "detail": text, "t": seconds}


def checked(found: Mapping[str, Any], kinds: Mapping[str, Is], where: str) -> Mapping[str, Any]:
    """The same, if each of these keys is there and of its kind.

    Raises:
        KeyError: one is missing.
        ValueError: one is of another kind; names it.
    """
    for key, kind in kinds.items():
        if not kind(found[key]):
            raise ValueError(f"{where} has no valid {key}")
    return found
