"""When two answers came from one execution, and when from two."""

from __future__ import annotations

from conformance.checks.refusals import decisive
from conformance.reading import Reading
from conformance.verdict import Inconclusive, expect


def answered(reading: Reading) -> Reading:
    """The reading, if it is a 2xx answer; without one there is nothing to compare: INCONCLUSIVE."""
    if not reading.ok:
        raise Inconclusive(
            f"'{reading.role}' was answered {reading.status} ({reading.exchange.id}), nothing to compare"
        )
    return reading


def identity(reading: Reading) -> str:
    """What tells one execution from another: the answer's id, or its bytes where the format has no id.

    Equal text alone proves nothing: two executions may well say the same.
    """
    if reading.exchange.is_sse:
        ids = reading.stream.response_ids
        return str(ids[0].value) if ids else reading.exchange.content.hex()
    found = reading.facts["response_id"]
    return str(found.value) if found else reading.exchange.content.hex()


def expect_replay(first: Reading, again: Reading, what: str) -> None:
    """``again`` has the status and the JSON body of ``first``."""
    answered(first)
    expect(
        again.status == first.status,
        expected=f"{what} is answered with the stored status {first.status}",
        seen=f"status {again.status}",
        at=again,
    )
    expect(
        again.body == first.body,
        expected=f"{what} is answered with the stored body ({identity(first)})",
        seen=f"another body ({identity(again)})",
        at=again,
    )


def expect_own_execution(first: Reading, other: Reading, what: str) -> None:
    """``other`` is answered by an execution of its own."""
    answered(first)
    expect(
        other.ok,
        expected=f"{what} is answered by an execution of its own",
        seen=f"status {other.status}",
        at=other,
    )
    expect(
        identity(other) != identity(first) and not replayed(other),
        expected=f"{what} is answered by an execution of its own",
        seen=f"the answer {identity(first)} of {first.exchange.id}",
        at=other,
    )


def replayed(reading: Reading) -> bool:
    """Whether the answer says of itself that it is a replay."""
    return (reading.header("Idempotency-Replayed") or "").strip().lower() in ("true", "?1")


def error_status(reading: Reading, status: int, code: str, what: str) -> None:
    """The answer is the error ``code`` with ``status``, unless a limit or an overload answered instead."""
    decisive(reading)
    expect(
        reading.status == status and reading.error.code == code,
        expected=f"{what} is refused with {status} {code}",
        seen=f"{reading.status} {reading.error.code or ''}".strip(),
        at=reading,
        where="/error/code",
    )
