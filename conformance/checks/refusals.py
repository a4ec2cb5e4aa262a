"""What checks of several areas ask of an answer that should be a refusal."""

from __future__ import annotations

from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, expect

RETRIED = (408, 409, 429)
"""4xx statuses after which official SDKs send again by themselves: no refusal of a request that is wrong."""

OVERLOADED = (503, 529)
_JSON_SUFFIX = "+json"


def brief(reading: Reading) -> str:
    """Status, vendor's error code and media type of an answer, for the `seen` of a verdict."""
    parts = [str(reading.status)]
    if reading.status is not None and reading.status >= 400 and reading.error.raw_code:
        parts.append(str(reading.error.raw_code.value))
    parts.append(reading.exchange.media_type or "no Content-Type")
    return ", ".join(parts)


def decisive(reading: Reading) -> Reading:
    """The reading, unless a limit or an overload answered in place of what was asked for (INCONCLUSIVE)."""
    if reading.status == 429 or reading.status in OVERLOADED:
        raise Inconclusive(
            f"{reading.exchange.id} was answered {reading.status}: try again when the target is idle"
        )
    return reading


def unless_down(reading: Reading, baseline: Probed) -> Reading:
    """The reading, unless it is a 5xx of a server that fails the plainest request as well (INCONCLUSIVE).

    CON-26 names such a server; what it would have said to an odd request, nobody knows.
    """
    plain = baseline.get("chat")
    if (reading.status or 0) >= 500 and plain is not None and (plain.status or 0) >= 500:
        raise Inconclusive(f"the plain request was answered {plain.status} as well (CON-26)")
    return decisive(reading)


def expect_refused(reading: Reading, what: str) -> None:
    """A 4xx that no client sends again by itself."""
    status = decisive(reading).status or 0
    expect(
        400 <= status < 500 and status not in RETRIED,
        expected=f"{what} is refused with a 4xx that clients do not retry",
        seen=brief(reading),
        at=reading,
    )


def expect_error(reading: Reading, status: int, code: str) -> None:
    """The contract's own error: this status with this code."""
    decisive(reading)
    expect(reading.status == status, expected=f"status {status} {code}", seen=brief(reading), at=reading)
    seen = reading.error.raw_code
    expect(
        seen.value == code,
        expected=f"code {code}",
        seen=repr(seen.value),
        at=reading,
        where=seen.where or "/error/code",
    )


def is_json(media_type: str) -> bool:
    return media_type == "application/json" or media_type.endswith(_JSON_SUFFIX)


def is_html(reading: Reading) -> bool:
    start = reading.exchange.content[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return reading.exchange.media_type == "text/html" or start.startswith((b"<!doctype html", b"<html"))


def complete(exchanges: tuple[Reading, ...]) -> list[Reading]:
    """Those that ended in a complete HTTP response."""
    return [
        r
        for r in exchanges
        if r.exchange.failure is None and r.exchange.left_at is None and r.status is not None
    ]


def not_limited(probe: Probed, prefix: str = "") -> list[Reading]:
    """At least one complete response of that prefix that is no 429, 503 or 529, else INCONCLUSIVE."""
    found = [r for r in probe.some(prefix) if r.status != 429 and r.status not in OVERLOADED]
    if not found:
        raise Inconclusive(f"every '{prefix}' call was refused by a limit or an overload")
    return found
