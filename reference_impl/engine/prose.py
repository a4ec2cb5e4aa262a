"""Text for the builtin engine: grammatical, harmless, of varied length, and a pure function of its seed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

from reference_impl.engine.base import Message

_SUBJECTS = (
    "The service",
    "A careful client",
    "The first answer",
    "This contract",
    "A short test",
    "The operator",
    "Every caller",
    "The second request",
    "A good default",
    "The slow path",
)
_VERBS = (
    "explains",
    "keeps",
    "measures",
    "returns",
    "describes",
    "repeats",
    "separates",
    "checks",
    "records",
    "prefers",
)
_OBJECTS = (
    "the result in plain words",
    "one promise at a time",
    "a limit that is easy to read",
    "the cost before the work",
    "what happened and why",
    "an honest number",
    "the whole story",
    "the time each step needs",
    "a stable identifier",
    "only what was asked for",
)
_ENDINGS = ("and stops there", "without surprises", "so that nobody has to guess",
            "even when the network is slow", "before anything else", "and says so clearly",
            "for every reader", "as the document promises")  # fmt: skip
_MARKS = (".", ".", ".", "!", ";", "?")


def seed_of(messages: Sequence[Message], model: str, seed: int | None) -> int:
    """A number that depends on nothing but its arguments, on any machine and in any process."""
    digest = hashlib.sha256(f"{model}\x00{seed}".encode())
    for message in messages:
        digest.update(f"\x00{message.role}\x00{message.content}".encode())
    return int.from_bytes(digest.digest()[:8], "big")


def write(seed: int) -> str:
    """Four to twelve sentences."""
    dice = random.Random(seed)  # noqa: S311 - prose, not secrets
    return " ".join(
        f"{dice.choice(_SUBJECTS)} {dice.choice(_VERBS)} {dice.choice(_OBJECTS)} {dice.choice(_ENDINGS)}"
        f"{dice.choice(_MARKS)}"
        for _ in range(dice.randint(4, 12))
    )
