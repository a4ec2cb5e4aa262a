"""What a gate asks of a run, as its user sets it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from conformance.gate.baseline import Baseline
from conformance.verdict import Result
from spec.catalogue import requirements

LEVELS = ("MUST", "SHOULD", "MAY")
UNJUDGED = {"inconclusive": Result.INCONCLUSIVE, "not-tested": Result.NOT_TESTED}
WORDS = ("must", "should", "may", *UNJUDGED, "nothing")


class GateError(ValueError):
    """A gate is described wrongly; the message is one line that says what to change."""


@dataclass(frozen=True)
class Profile:
    """A named set of capabilities that a gate demands: each must be offered, and something of it judged."""

    name: str
    capabilities: tuple[str, ...]


BUILT_IN: Mapping[str, Profile] = {
    "core": Profile("core", ("core",)),
    "enterprise": Profile(
        "enterprise",
        (
            "core", "deprecation", "description", "idempotency", "jobs", "models", "rate_limits", "scopes",
            "streaming", "trace", "usage", "versioning",
        ),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class FailOn:
    """The levels whose violation fails the gate, and the verdicts short of a judgement that fail it too."""

    levels: tuple[str, ...] = ("MUST",)
    unjudged: tuple[Result, ...] = ()

    @classmethod
    def parse(cls, words: Iterable[str]) -> FailOn:
        """From ``must``, ``should`` (includes must), ``may`` (all), ``inconclusive``, ``not-tested``, ``nothing``.

        Raises:
            GateError: another word, or ``nothing`` beside one.
        """
        given = [w.strip().lower() for w in words if w.strip()]
        for word in given:
            if word not in WORDS:
                raise GateError(f"--fail-on {word}: choose of {', '.join(WORDS)}")
        if "nothing" in given:
            if len(set(given)) > 1:
                raise GateError("--fail-on nothing stands alone")
            return cls((), ())
        deepest = max((i for i, level in enumerate(LEVELS) if level.lower() in given), default=0)
        return cls(LEVELS[: deepest + 1], tuple(r for w, r in UNJUDGED.items() if w in given))

    def fails(self, level: str, result: Result, check: str) -> bool:
        """Whether a verdict fails the gate. What no check of the suite can see is nobody's failure."""
        if level not in self.levels:
            return False
        return result in (Result.FAIL, Result.WARN) or (result in self.unjudged and bool(check))

    def words(self) -> tuple[str, ...]:
        """As :meth:`parse` takes them."""
        if not self.levels:
            return ("nothing",)
        return (self.levels[-1].lower(), *(w for w, r in UNJUDGED.items() if r in self.unjudged))


@dataclass(frozen=True)
class Waiver:
    """A known failure that the user accepts until the end of the day ``expires``. The check is still executed."""

    requirement: str
    reason: str
    expires: date


def today() -> date:
    """The date that waivers are held against, in UTC, so that a gate decides alike everywhere."""
    return datetime.now(UTC).date()


@dataclass(frozen=True)
class Policy:
    """What one run is held to. Without a profile no capability is demanded."""

    profile: Profile | None = None
    fail_on: FailOn = FailOn()
    waivers: tuple[Waiver, ...] = ()
    baseline: Baseline | None = None
    day: date = field(default_factory=today)


def known_capabilities() -> tuple[str, ...]:
    """Every capability that a requirement of the catalogue belongs to."""
    return tuple(sorted({r.capability for r in requirements().values()}))
