"""The embedded classifier: a logistic regression over word stems, with calibrated probabilities.

Its parameters are numbers in a JSON file, fitted by ``python -m reference_impl.engine.train``; evaluating them
takes no library. The file also holds how well the probabilities fit: the expected calibration error, measured
on texts that neither the weights nor the calibration have seen.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from operator import mul

from reference_impl.engine.base import Calibration, Candidate
from reference_impl.engine.features import stems

PARAMETERS = "data/classifier.json"


@dataclass(frozen=True)
class Parameters:
    """A fitted model. ``weights`` hold for each stem its inverse document frequency, then one coefficient per
    category; ``temperature`` multiplies the scores before the softmax."""

    categories: tuple[str, ...]
    weights: Mapping[str, tuple[float, ...]]
    intercepts: tuple[float, ...]
    temperature: float
    calibration: Calibration


@cache
def shipped_parameters() -> Parameters:
    """The parameters in the package; they are read once per process."""
    raw = json.loads(files("reference_impl.engine").joinpath(PARAMETERS).read_text("utf-8"))
    return Parameters(
        categories=tuple(raw["categories"]),
        weights={stem: tuple(numbers) for stem, numbers in raw["weights"].items()},
        intercepts=tuple(raw["intercepts"]),
        temperature=raw["temperature"],
        calibration=Calibration(**raw["calibration"]),
    )


def probabilities(parameters: Parameters, text: str) -> dict[str, float]:
    """The share of each category; they add up to 1. Without a known word, what the intercepts say."""
    counted = Counter(stem for stem in stems(text) if stem in parameters.weights)
    scores: Sequence[float] = parameters.intercepts
    if counted:
        frequencies, *coefficients = zip(*(parameters.weights[stem] for stem in counted), strict=True)
        terms = list(map(mul, counted.values(), frequencies))
        norm = math.hypot(*terms)
        shares = [term / norm for term in terms]
        scores = [
            sum(map(mul, shares, column), intercept)
            for intercept, column in zip(scores, coefficients, strict=True)
        ]
    top = max(scores)
    odds = [math.exp(parameters.temperature * (score - top)) for score in scores]
    total = math.fsum(odds)
    return {c: share / total for c, share in zip(parameters.categories, odds, strict=True)}


class TrainedClassifier:
    """Ranks by the shipped parameters."""

    method = "classifier"
    calibrated = True

    def __init__(self) -> None:
        self._parameters = shipped_parameters()
        self.categories = self._parameters.categories
        self.calibration: Calibration | None = self._parameters.calibration

    async def rank(self, text: str) -> tuple[Candidate, ...]:
        """All categories, most probable first; ties keep the published order."""
        ranked = sorted(probabilities(self._parameters, text).items(), key=lambda item: -item[1])
        return tuple(Candidate(category, share) for category, share in ranked)
