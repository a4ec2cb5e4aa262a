"""Verdicts, and the signals by which a check gives one.

``Violation`` (an ``AssertionError``) is FAIL or WARN, by the requirement's level. ``NotTested``, ``Inconclusive`` and
``NotOffered`` mean what they say. Any other exception is ERROR: the suite's own fault, never the vendor's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from conformance.reading import Reading


class Result(StrEnum):
    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    WARN = "WARN"
    NOT_OFFERED = "NOT_OFFERED"
    NOT_TESTED = "NOT_TESTED"
    INCONCLUSIVE = "INCONCLUSIVE"
    ERROR = "ERROR"

    @property
    def judged(self) -> bool:
        """True for the verdicts that say something about the target."""
        return self in (Result.PASS, Result.FAIL, Result.WARN)


class Violation(AssertionError):  # noqa: N818 - a signal
    """The evidence contradicts the requirement.

    ``where`` is a JSON Pointer (``/error/code``), ``header NAME``, or ``byte N`` of the response body.
    """

    def __init__(self, expected: str, seen: str, at: str | None = None, where: str = "") -> None:
        self.expected, self.seen, self.at, self.where = expected, seen, at, where
        place = f" ({' '.join(p for p in (at, where) if p)})" if at or where else ""
        super().__init__(f"expected {expected}; seen {seen}{place}")


class NotTested(Exception):  # noqa: N818 - a signal, not an error
    """The evidence was never gathered: names the missing provocation, key or budget."""


class Inconclusive(Exception):  # noqa: N818
    """Evidence was gathered and cannot decide."""


class NotOffered(Exception):  # noqa: N818
    """The target does not declare, and does not show, this capability."""


def expect(
    condition: object, *, expected: str, seen: object, at: Reading | None = None, where: str = ""
) -> None:
    """Raise a :class:`Violation` unless ``condition`` holds. ``seen`` is shortened to 300 characters."""
    if not condition:
        fail(expected=expected, seen=seen, at=at, where=where)


def fail(*, expected: str, seen: object, at: Reading | None = None, where: str = "") -> NoReturn:
    text = seen if isinstance(seen, str) else repr(seen)
    raise Violation(
        expected, text if len(text) <= 300 else text[:297] + "...", at.exchange.id if at else None, where
    )


@dataclass(frozen=True)
class Verdict:
    """One requirement's result. ``evidence`` are exchange ids, most telling first."""

    id: str
    level: str
    capability: str
    result: Result
    detail: str
    expected: str = ""
    seen: str = ""
    where: str = ""
    evidence: tuple[str, ...] = ()
    check: str = ""
    duration: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "level": self.level,
            "capability": self.capability,
            "verdict": str(self.result),
            "detail": self.detail,
            "expected": self.expected,
            "seen": self.seen,
            "where": self.where,
            "evidence": list(self.evidence),
            "check": self.check,
        }
