"""Content negotiation (RFC 9110 section 12): which media types a client takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

JSON = "application/json"
EVENT_STREAM = "text/event-stream"
PROBLEM = "application/problem+json"


class Negotiation(Protocol):
    """Decides whether an answer of some media type may be sent."""

    def accepts(self, accept: Sequence[str], media_type: str) -> bool:
        """Whether a client that sent these Accept headers takes `media_type`."""
        ...


class AcceptHeader:
    """The Accept header, taken at its word; absent means anything."""

    def accepts(self, accept: Sequence[str], media_type: str) -> bool:
        """Whether the media type has a quality above zero.

        A client that asks for problem documents takes the JSON they are written in, so
        `Accept: application/problem+json` alone is no reason to refuse it a JSON answer.
        """
        if not accept or accept == ["*/*"]:
            return True
        ranges = parse(accept)
        if quality(ranges, media_type) > 0:
            return True
        return media_type == JSON and ranges.get(PROBLEM, 0.0) > 0


def parse(accept: Iterable[str]) -> dict[str, float]:
    """Media ranges and their qualities; malformed members count for nothing."""
    ranges: dict[str, float] = {}
    for member in ",".join(accept).split(","):
        name, *parameters = (part.strip().lower() for part in member.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                weight = _weight(parameter[2:])
        if name.count("/") == 1:
            ranges[name] = weight
    return ranges


def quality(ranges: dict[str, float], media_type: str) -> float:
    """The quality of a media type: the most specific range that matches decides."""
    kind = media_type.partition("/")[0]
    for name in (media_type, f"{kind}/*", "*/*"):
        if name in ranges:
            return ranges[name]
    return 0.0


def prefers_problem(accept: Sequence[str]) -> bool:
    """Whether problem documents were asked for by name, and not less than plain JSON."""
    if not any(PROBLEM in value.lower() for value in accept):
        return False
    ranges = parse(accept)
    return ranges.get(PROBLEM, 0.0) > 0 and ranges[PROBLEM] >= ranges.get(JSON, 0.0)


def _weight(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0
