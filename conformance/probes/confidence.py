"""Classification: clear and ambiguous texts, and the threshold below which the caller wants no answer."""

from __future__ import annotations

import asyncio

from conformance.calibration import is_share, settled
from conformance.probes.labelled_texts import (
    CATEGORIES,
    FIRST,
    LABELLED,
    NONSENSE,
    SPACED,
    SPACED_TWIN,
)
from conformance.reading import Reading, member_of
from conformance.registry import probe
from conformance.session import ProbeSkipped, Session

CLEAR = "My invoice is wrong: you charged my credit card twice, please refund the payment."
AMBIGUOUS = "It does not work and I want my money back."
FIRST_TEXTS = tuple(f"classify:{n}" for n in range(len(FIRST)))
FEWEST = 10
"""Labelled texts that are asked in any case, to see how their confidences differ."""

STEP = 2
"""So many more at a time, until they settle the matter."""

ANY = 0
THRESHOLDS = (0.5,)
INVALID_THRESHOLDS = (1.5, -0.1, "high")


@probe(calls=0, operations=("classify",), tokens=200, shares=FIRST_TEXTS)
async def classified(session: Session) -> None:
    """Texts of different clearness, without a threshold, one after the other."""
    for n, (_, text) in enumerate(FIRST):
        await session.shared("classify", f"text_{n}", text=text)


@probe(calls=len(THRESHOLDS) + 1, operations=("classify",), tokens=200, shares=("classify:nonsense",))
async def classify_thresholds(session: Session) -> None:
    """A text without meaning with ``min_confidence`` 0; an ambiguous one with more, and with more than it can honestly
    reach."""
    await asyncio.gather(
        _nonsense(session, f"at_{ANY}", 0),
        *(
            session.call("classify", f"at_{value}", text=AMBIGUOUS, min_confidence=value)
            for value in (*THRESHOLDS, 0.999)
        ),
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
    calls=len(LABELLED) - len(FIRST) + len(NONSENSE) + 2,
    operations=("classify", "capabilities"),
    tokens=500,
    shares=("capabilities", "classify:nonsense", *FIRST_TEXTS),
)
async def classified_labelled(session: Session) -> None:
    """Texts whose category a person has named, texts without meaning, and one text with other white space.

    No more of the first are sent once they settle what all would (:mod:`conformance.calibration`). Only for a server
    that publishes the categories of the labelled texts: others would be asked for categories that they do not have.
    """
    declared = await session.capabilities()
    categories = categories_of(declared.body)
    if categories != CATEGORIES:
        raise ProbeSkipped(
            f"needs a classifier whose published categories are {', '.join(sorted(CATEGORIES))}: "
            "the suite has labelled texts for no others"
        )
    session.notes["labels"] = {f"labelled_{n}_{c}": c for n, (c, _) in enumerate(LABELLED)}
    session.notes["spaced_twin"] = f"labelled_{SPACED_TWIN}_{LABELLED[SPACED_TWIN][0]}"
    session.notes["planned"] = len(LABELLED)
    sent = 0
    while sent < len(LABELLED) and not _is_settled(session):
        texts = LABELLED[sent : sent + (FEWEST if not sent else STEP)]
        await asyncio.gather(
            *(
                (session.shared if n < len(FIRST) else session.call)(
                    "classify", f"labelled_{n}_{category}", text=text
                )
                for n, (category, text) in enumerate(texts, sent)
            )
        )
        sent += len(texts)
    await asyncio.gather(
        *(_nonsense(session, f"nonsense_{n}", n) for n in range(len(NONSENSE))),
        session.call("classify", "spaced", text=SPACED),
    )


async def _nonsense(session: Session, role: str, n: int) -> Reading:
    """A text without meaning. For the first any confidence is enough, by the caller's word; where it is not, it is
    asked again without a word of that."""
    text = NONSENSE[n]
    if n:
        return await session.call("classify", role, text=text)
    answer = await session.shared("classify", role, text=text, min_confidence=ANY)
    if answer.ok or role == f"at_{ANY}":
        return answer
    return await session.call("classify", role, text=text)


def _is_settled(session: Session) -> bool:
    """Whether the calibration that the answers declare stands, whatever the texts not yet asked would bring."""
    told = [r for r in session.so_far().all("labelled_") if r.ok and isinstance(r.body, dict)]
    sure = [(r, c) for r in told if is_share(c := r.body.get("confidence"))]
    declared = next((e for r, _ in sure if is_share(e := _declared_error(r))), None)
    if declared is None or len(sure) < FEWEST:
        return False
    labels = session.notes["labels"]
    right = sum(r.body.get("category") == labels[r.role] for r, _ in sure)
    return settled([c for _, c in sure], right, declared, session.notes["planned"])


def _declared_error(reading: Reading) -> object:
    return member_of(reading.body, "metadata", "confidence", "ece")


def categories_of(body: object) -> frozenset[str]:
    """The categories that a capabilities document publishes; none if it is another document."""
    body = member_of(body, "capabilities", "confidence", "categories")
    return frozenset(str(c) for c in body) if isinstance(body, list) else frozenset()
