"""Classification: clear and ambiguous texts, and the threshold below which the caller wants no answer."""

from __future__ import annotations

import asyncio

from conformance.registry import probe
from conformance.session import Session

CLEAR = "My invoice is wrong: you charged my credit card twice, please refund the payment."
AMBIGUOUS = "Hello, I have a question about something."
TEXTS = (
    CLEAR,
    "The app crashes with an error when I log in.",
    "My parcel has not arrived, where is my delivery?",
    AMBIGUOUS,
    "I cannot reset my password and my invoice is wrong.",
)
THRESHOLDS = (0, 0.2, 0.5, 0.8, 0.95)
INVALID_THRESHOLDS = (1.5, -0.1, "high")


@probe(calls=len(TEXTS), operations=("classify",), tokens=200)
async def classified(session: Session) -> None:
    """Texts of different clearness, without a threshold."""
    await asyncio.gather(*(session.call("classify", f"text_{n}", text=t) for n, t in enumerate(TEXTS)))


@probe(calls=len(THRESHOLDS) + 1, operations=("classify",), tokens=200)
async def classify_thresholds(session: Session) -> None:
    """One ambiguous text with rising ``min_confidence``; the last is more than it can honestly reach."""
    await asyncio.gather(
        *(
            session.call("classify", f"at_{value}", text=AMBIGUOUS, min_confidence=value)
            for value in (*THRESHOLDS, 0.999)
        )
    )


@probe(calls=len(INVALID_THRESHOLDS), operations=("classify",), tokens=0)
async def classify_invalid_thresholds(session: Session) -> None:
    """``min_confidence`` outside 0..1 and of another type."""
    await asyncio.gather(
        *(
            session.call("classify", f"invalid_{value}", text=CLEAR, min_confidence=value)
            for value in INVALID_THRESHOLDS
        )
    )
