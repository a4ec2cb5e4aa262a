"""How improbable it is, under an honest claim, that so many answers are wrong or late."""

from __future__ import annotations

import math


def lower_tail(n: int, share: float, successes: int) -> float:
    """P(X <= successes) for X binomial of ``n`` trials with this share."""
    return math.fsum(
        math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(min(successes, n) + 1)
    )


def upper_tail(n: int, share: float, successes: int) -> float:
    """P(X >= successes)."""
    return lower_tail(n, 1 - share, n - successes)
