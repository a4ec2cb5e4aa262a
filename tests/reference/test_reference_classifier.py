"""Row "Confidence": the classifier is a real one, and what it publishes about itself was measured."""

from __future__ import annotations

import asyncio
import json
import sys
from importlib.resources import files
from subprocess import run

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl.engine.classifier import PARAMETERS, TrainedClassifier, probabilities, shipped_parameters

SHIPPED = shipped_parameters()


@given(st.text(max_size=300))
def test_any_text_gets_shares_of_one_whole(text: str) -> None:
    shares = probabilities(SHIPPED, text)
    assert sum(shares.values()) == pytest.approx(1)
    assert all(0 <= share <= 1 for share in shares.values())
    assert probabilities(SHIPPED, f"  {text.upper() if text.isascii() else text}\n ") == pytest.approx(shares)


def test_candidates_come_sorted() -> None:
    ranked = asyncio.run(TrainedClassifier().rank("Where is my parcel?"))
    assert ranked[0].category == "shipping"
    confidences = [c.confidence for c in ranked]
    assert confidences == sorted(confidences, reverse=True)
    assert {c.category for c in ranked} == set(SHIPPED.categories)


def test_only_the_training_needs_scikit_learn() -> None:
    """It is no part of `[server]`: a server without it, and without numpy, classifies."""
    program = (
        "import sys, asyncio\n"
        "sys.modules['sklearn'] = sys.modules['numpy'] = sys.modules['scipy'] = None\n"
        "from reference_impl.app import create_app\n"
        "app = create_app()\n"
        "print(asyncio.run(app.services.classifier.rank('Where is my parcel?'))[0].category)\n"
    )
    done = run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("shipping", 0), done.stderr


def test_training_again_gives_the_shipped_file_and_the_same_probabilities() -> None:
    from reference_impl.engine.train import divided, fit, texts, trained

    shipped = json.loads(files("reference_impl.engine").joinpath(PARAMETERS).read_text("utf-8"))
    again = trained()
    # Another build of the linear algebra may differ in the last digit that is kept.
    assert again["categories"] == shipped["categories"]
    assert again["calibration"]["ece"] == pytest.approx(shipped["calibration"]["ece"], abs=0.002)
    assert again["temperature"] == pytest.approx(shipped["temperature"], abs=0.001)
    assert again["weights"].keys() == shipped["weights"].keys()
    for stem, numbers in again["weights"].items():
        assert numbers == pytest.approx(shipped["weights"][stem], abs=0.001)
    fitting, held_out = divided(texts())
    model = fit(fitting)
    for row, (_, text) in zip(model.predict_proba([t for _, t in held_out]), held_out, strict=True):
        assert list(probabilities(SHIPPED, text).values()) == pytest.approx(list(row), abs=0.005)


def test_the_published_error_is_that_of_the_held_out_texts() -> None:
    from reference_impl.engine.train import calibration_error, divided, texts

    fitting, held_out = divided(texts())
    assert not {t for _, t in fitting} & {t for _, t in held_out}
    best = [max(probabilities(SHIPPED, text).items(), key=lambda item: item[1]) for _, text in held_out]
    right = [category == label for (category, _), (label, _) in zip(best, held_out, strict=True)]
    assert SHIPPED.calibration.samples == len(held_out)
    assert SHIPPED.calibration.accuracy == pytest.approx(sum(right) / len(right), abs=0.001)
    measured = calibration_error([share for _, share in best], right)
    assert SHIPPED.calibration.ece == pytest.approx(measured, abs=0.002)


def test_inference_loads_no_scientific_library() -> None:
    code = "import sys, reference_impl.engine.classifier as c; c.TrainedClassifier(); print('numpy' in sys.modules)"
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_answers_and_capabilities_disclose_the_same(client: httpx.Client) -> None:
    answer = client.post("/classify", json={"text": "I was charged twice"}).json()
    told = client.get("/capabilities").json()["capabilities"]["confidence"]
    block = answer["metadata"]["confidence"]
    assert block.pop("threshold") == told["review_threshold"]
    assert {k: told[k] for k in block} == block
    assert block["calibrated"] is True
    assert answer["category"] == "billing"


def test_below_min_confidence_nothing_is_answered_and_nothing_charged(client: httpx.Client) -> None:
    refused = client.post("/classify", json={"text": "hm", "min_confidence": 0.9})
    assert refused.status_code == 422
    error = refused.json()["error"]
    assert error["code"] == "INSUFFICIENT_CONFIDENCE"
    assert error["details"]["best_candidate"]["confidence"] == error["details"]["confidence"] < 0.9
