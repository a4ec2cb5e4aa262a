"""Classification: clear and ambiguous texts, and the threshold below which the caller wants no answer."""

from __future__ import annotations

import asyncio

from conformance.probes.labelled_texts import (
    CATEGORIES,
    FIRST_LABELLED,
    LABELLED,
    NONSENSE,
    SPACED,
    SPACED_TWIN,
)
from conformance.registry import probe
from conformance.session import ProbeSkipped, Session

CLEAR = "My invoice is wrong: you charged my credit card twice, please refund the payment."
AMBIGUOUS = "It does not work and I want my money back."
THRESHOLDS = (0, 0.5)
INVALID_THRESHOLDS = (1.5, -0.1, "high")


@probe(calls=len(FIRST_LABELLED), operations=("classify",), tokens=200)
async def classified(session: Session) -> None:
    """Texts of different clearness, without a threshold, one after the other, so that each is timed on its own.

    The notes say which category a person gave each of them.
    """
    for n, (_, text) in enumerate(FIRST_LABELLED):
        await session.call("classify", f"text_{n}", text=text)
    session.notes["labels"] = {f"text_{n}": category for n, (category, _) in enumerate(FIRST_LABELLED)}


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


@probe(
    calls=len(LABELLED) + len(NONSENSE) + 1,
    operations=("classify", "capabilities"),
    tokens=500,
    shares=("capabilities",),
)
async def classified_labelled(session: Session) -> None:
    """Texts whose category a person has named, texts without meaning, and one text with other white space.

    Only for a server that publishes the categories of the labelled texts: others would be asked for categories
    that they do not have.
    """
    declared = await session.capabilities()
    categories = categories_of(declared.body)
    if categories != CATEGORIES:
        raise ProbeSkipped(
            f"needs a classifier whose published categories are {', '.join(sorted(CATEGORIES))}: "
            "the suite has labelled texts for no others"
        )
    await asyncio.gather(
        *(
            session.call("classify", f"labelled_{n}_{category}", text=text)
            for n, (category, text) in enumerate(LABELLED)
        ),
        *(session.call("classify", f"nonsense_{n}", text=text) for n, text in enumerate(NONSENSE)),
        session.call("classify", "spaced", text=SPACED),
    )
    session.notes["labels"] = {f"labelled_{n}_{c}": c for n, (c, _) in enumerate(LABELLED)}
    session.notes["spaced_twin"] = f"labelled_{SPACED_TWIN}_{LABELLED[SPACED_TWIN][0]}"


def categories_of(body: object) -> frozenset[str]:
    """The categories that a capabilities document publishes; none if it is another document."""
    for name in ("capabilities", "confidence", "categories"):
        body = body.get(name) if isinstance(body, dict) else None
    return frozenset(str(c) for c in body) if isinstance(body, list) else frozenset()
