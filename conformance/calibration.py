"""What a declared calibration error promises of labelled texts, and when fewer texts than planned decide as all would.

The calibration error is at least the distance of mean confidence and accuracy. So under an honest claim the expected
share of right answers is at least (mean confidence - ece - tolerance), and the number of right answers has a lower tail
no heavier than the binomial one (Hoeffding 1956, theorem 4). A claim is only refused if what was seen is less probable
than 0.001 under it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

from conformance.chance import lower_tail

RISK = 0.001
"""The most probable it may be that an honest server is flagged."""

TOLERANCE = 0.02
"""Added to the declared calibration error, which was itself measured on a sample."""


def is_share(value: object) -> TypeGuard[float]:
    """A number from 0 to 1."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def least_share(confidences: Sequence[float], declared: float, planned: int) -> float:
    """The least share of right answers expected of ``planned`` texts; those not yet asked may all be certain."""
    unasked = planned - len(confidences)
    return max(0.0, (sum(confidences) + unasked) / planned - declared - TOLERANCE)


def settled(confidences: Sequence[float], right: int, declared: float, planned: int) -> bool:
    """Whether the claim stands even if all texts not yet asked were answered wrongly and with certainty.

    Each of them can only make more answers right or the expected share smaller, so the whole sample would decide alike.
    """
    return lower_tail(planned, least_share(confidences, declared, planned), right) >= RISK
