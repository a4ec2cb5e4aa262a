"""A deterministic keyword scorer with a softmax: small, explainable, and honestly uncalibrated."""

from __future__ import annotations

import math
import re
from collections import Counter

from reference_impl.engine.base import Candidate

_WORDS = {
    "billing": """
        invoice invoices bill billed billing charge charged charges payment payments pay paid refund refunds
        refunded price prices cost costs subscription card credit fee fees tax vat receipt twice
    """,
    "technical": """
        error errors bug bugs crash crashes crashed broken fails failed failing fail timeout slow api install
        installation update upgrade screen server code exception freeze freezes connect connection app
    """,
    "account": """
        account accounts password passwords login log sign signin username email profile reset locked lock
        access user users verify verification two-factor authentication delete
    """,
    "shipping": """
        ship shipped shipping shipment deliver delivered delivery package packages parcel parcels courier
        tracking track arrive arrived late address warehouse order lost
    """,
}
_KEYWORDS = {category: frozenset(words.split()) for category, words in _WORDS.items()}
_BASE = {"billing": 0.0, "technical": 0.0, "account": 0.0, "shipping": 0.0, "other": 0.6}
_WEIGHT = 1.6
_WORD = re.compile(r"[\w-]+")

CATEGORIES = tuple(_BASE)


class KeywordClassifier:
    """Counts each category's words, with diminishing returns for a word that repeats."""

    method = "softmax"
    calibrated = False

    async def rank(self, text: str) -> tuple[Candidate, ...]:
        """All categories, most probable first; ties keep the published order."""
        words = Counter(word.lower() for word in _WORD.findall(text))
        scores = {
            category: base
            + _WEIGHT
            * math.fsum(1 + math.log(words[word]) for word in _KEYWORDS.get(category, ()) if word in words)
            for category, base in _BASE.items()
        }
        top = max(scores.values())
        weights = {category: math.exp(score - top) for category, score in scores.items()}
        total = sum(weights.values())
        ranked = sorted(weights.items(), key=lambda item: -item[1])
        return tuple(Candidate(category, weight / total) for category, weight in ranked)
