"""``python -m reference_impl.engine.train``: fit the classifier anew and write its parameters.

It needs scikit-learn (extra `dev`); the server does not.

The texts are divided by their place in the file, so that the same texts give the same file: every third of a
category is held out. On the others, weights are fitted and a temperature is fitted to out-of-fold scores (Guo
et al. 2017). The held-out third then tells how far the probabilities are from the share of right answers.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline

from reference_impl.engine.classifier import PARAMETERS
from reference_impl.engine.features import stems

TEXTS = "data/support_texts.tsv"
CALIBRATED_AT = "2026-11-24T00:00:00Z"
_BINS = 5
_DIGITS = 4
_INVERSE_REGULARISATION = 3.0

Labelled = list[tuple[str, str]]


def texts() -> Labelled:
    """The (category, text) pairs of the package."""
    lines = files("reference_impl.engine").joinpath(TEXTS).read_text("utf-8").splitlines()
    return [(category, text) for category, _, text in (line.partition("\t") for line in lines)]


def divided(pairs: Labelled) -> tuple[Labelled, Labelled]:
    """Those to fit on, and every third of each category, which is held out."""
    seen: dict[str, int] = defaultdict(int)
    fitting: Labelled = []
    held_out: Labelled = []
    for category, text in pairs:
        seen[category] += 1
        (fitting if seen[category] % 3 else held_out).append((category, text))
    return fitting, held_out


def fit(pairs: Labelled) -> Any:
    """A calibrated scikit-learn model."""
    model = make_pipeline(
        TfidfVectorizer(analyzer=stems),
        LogisticRegression(C=_INVERSE_REGULARISATION, max_iter=5000, tol=1e-8),
    )
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    calibrated = CalibratedClassifierCV(model, method="temperature", ensemble=False, cv=folds)
    return calibrated.fit([text for _, text in pairs], [category for category, _ in pairs])


def calibration_error(confidences: Sequence[float], right: Sequence[bool], bins: int = _BINS) -> float:
    """Expected calibration error over bins of equal mass: the mean distance of confidence and accuracy."""
    sure, correct = np.asarray(confidences, float), np.asarray(right, float)
    parts = np.array_split(np.argsort(sure, kind="stable"), bins)
    return float(sum(len(p) / len(sure) * abs(sure[p].mean() - correct[p].mean()) for p in parts if len(p)))


def trained() -> dict[str, Any]:
    """The content of the parameter file."""
    fitting, held_out = divided(texts())
    model = fit(fitting)
    shares = model.predict_proba([text for _, text in held_out])
    right = [
        model.classes_[row.argmax()] == category for row, (category, _) in zip(shares, held_out, strict=True)
    ]
    inner = model.calibrated_classifiers_[0]
    vectorizer, regression = (step for _, step in inner.estimator.steps)
    names = vectorizer.get_feature_names_out()
    return {
        "categories": [str(c) for c in model.classes_],
        "temperature": round(float(inner.calibrators[0].beta_), _DIGITS),
        "intercepts": _rounded(regression.intercept_),
        "calibration": {
            "ece": round(calibration_error(shares.max(axis=1), right), _DIGITS),
            "accuracy": round(float(np.mean(right)), _DIGITS),
            "samples": len(held_out),
            "calibration_set": f"support texts, every third of {len(fitting) + len(held_out)} held out",
            "calibrated_at": CALIBRATED_AT,
        },
        "weights": {
            str(name): _rounded([vectorizer.idf_[n], *regression.coef_[:, n]]) for n, name in enumerate(names)
        },
    }


def written(parameters: dict[str, Any]) -> str:
    """The file's text: one stem a line, so that a change can be read."""
    head = {k: v for k, v in parameters.items() if k != "weights"}
    lines = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(parameters["weights"].items())]
    return json.dumps(head, indent=1)[:-2] + ',\n "weights": {\n  ' + ",\n  ".join(lines) + "\n }\n}\n"


def main() -> int:
    """Write the file beside the texts."""
    parameters = trained()
    path = Path(__file__).parent / PARAMETERS
    path.write_text(written(parameters), "utf-8")
    sys.stdout.write(f"{path}: {json.dumps(parameters['calibration'])}\n")
    return 0


def _rounded(numbers: Any) -> list[float]:
    return [round(float(n), _DIGITS) for n in numbers]


if __name__ == "__main__":
    sys.exit(main())
