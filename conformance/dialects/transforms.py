"""The closed set of conversions a dialect may ask for.

Each takes one value. One that it cannot convert is refused with :class:`Refused`; the rule then goes on to
its next alternative.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

import http_sf

Convert = Callable[[Any, float], Any]
"""``(value, now)``; ``now`` is the Unix time of the answer, for conversions of an instant to a delay."""


class Refused(ValueError):  # noqa: N818 - a signal between a conversion and its rule
    """The value is not of the form that this conversion reads."""


def to_text(value: Any, now: float = 0.0) -> str:
    """A string stays; everything else is refused."""
    if isinstance(value, str):
        return value
    raise Refused(value)


def to_last_segment(value: Any, now: float = 0.0) -> str:
    """What follows the last ``/`` of a resource name such as ``models/gemini-2.0-flash`` (AIP-122)."""
    return to_text(value).rpartition("/")[2]


def to_int(value: Any, now: float = 0.0) -> int:
    """An integer, or a string of decimal digits with an optional sign, as HTTP fields carry it."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", value.strip(" \t")):
        return int(value)
    raise Refused(value)


def to_number(value: Any, now: float = 0.0) -> float:
    """A finite JSON number, or a string holding a decimal one."""
    if isinstance(value, str):
        if not re.fullmatch(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?", value.strip(" \t")):
            raise Refused(value)
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(value)
    try:
        number = float(value)
    except OverflowError:
        raise Refused(value) from None
    if not math.isfinite(number):
        raise Refused(value)
    return number


def to_boolean(value: Any, now: float = 0.0) -> bool:
    """A boolean, or the words ``true``/``false`` in any case, or the structured booleans ``?1``/``?0``."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        found = {"true": True, "?1": True, "false": False, "?0": False}.get(value.strip().lower())
        if found is not None:
            return found
    raise Refused(value)


def from_ms(value: Any, now: float = 0.0) -> float:
    """Milliseconds."""
    return to_number(value) / 1000.0


_GO_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
_GO_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})(ms|us|µs|μs|ns|h|m|s)")


def from_go_duration(value: Any, now: float = 0.0) -> float:
    """A Go duration such as ``6m0s``, ``1h2m3.5s``, ``120ms`` or ``0`` (pkg.go.dev/time#ParseDuration)."""
    text = to_text(value).strip()
    if text == "0":
        return 0.0
    total, at = 0.0, 0
    for part in _GO_PART.finditer(text):
        if part.start() != at:
            raise Refused(value)
        total += float(part[1]) * _GO_UNITS[part[2]]
        at = part.end()
    if at == 0 or at != len(text):
        raise Refused(value)
    return total


def from_proto_duration(value: Any, now: float = 0.0) -> float:
    """A protobuf JSON duration such as ``45.837906927s``."""
    text = to_text(value)
    if not re.fullmatch(r"-?[0-9]{1,12}(\.[0-9]{1,9})?s", text):
        raise Refused(value)
    return float(text[:-1])


def from_rfc3339_delta(value: Any, now: float = 0.0) -> float:
    """Seconds from the answer to an RFC 3339 instant, which must carry its offset."""
    text = to_text(value).strip()
    if not re.fullmatch(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", text, re.ASCII):
        raise Refused(value)
    try:
        return datetime.fromisoformat(text.upper()).timestamp() - now
    except (ValueError, OverflowError):
        raise Refused(value) from None


def from_epoch_delta(value: Any, now: float = 0.0) -> float:
    """Seconds from the answer to a Unix time in seconds."""
    return to_number(value) - now


def http_date(value: Any) -> float:
    """An HTTP-date (RFC 9110 section 5.6.7) as Unix time."""
    text = to_text(value)
    try:
        parsed = parsedate_to_datetime(text)
        if parsed.tzinfo is None:  # "-0000": the parser leaves it naive, HTTP means UTC
            parsed = parsed.replace(tzinfo=UTC)
        return parsed.timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        raise Refused(value) from None


def from_http_date_delta(value: Any, now: float = 0.0) -> float:
    """Seconds from the answer to an HTTP-date."""
    return http_date(value) - now


CONVERSIONS: Mapping[str, Convert] = {
    "text": to_text,
    "int": to_int,
    "number": to_number,
    "boolean": to_boolean,
    "last_segment": to_last_segment,
}
SECONDS: Mapping[str, Convert] = {
    "number": to_number,
    "ms": from_ms,
    "go_duration": from_go_duration,
    "proto_duration": from_proto_duration,
    "rfc3339_delta": from_rfc3339_delta,
    "epoch_delta": from_epoch_delta,
    "http_date_delta": from_http_date_delta,
}


@lru_cache(maxsize=4096)
def _policies(field_value: str) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """The members of a RateLimit or RateLimit-Policy field: an RFC 9651 List of Items with parameters."""
    try:
        members: Any = http_sf.parse(field_value.encode("latin-1"), tltype="list")
    except (ValueError, UnicodeError):
        return ()
    found: list[tuple[str, Mapping[str, Any]]] = []
    for member in members:
        item, parameters = member
        if isinstance(item, str | http_sf.Token):  # the drafts before 08 named a policy by a Token
            found.append((str(item), parameters))
    return tuple(found)


def rate_limit_parameter(field_value: str, policy: str, parameter: str) -> Any:
    """Parameter of the first member named ``policy`` of a RateLimit(-Policy) field, or refused."""
    for name, parameters in _policies(field_value):
        if name == policy and parameter in parameters:
            value = parameters[parameter]
            return float(value) if isinstance(value, Decimal) else value
    raise Refused(field_value)
