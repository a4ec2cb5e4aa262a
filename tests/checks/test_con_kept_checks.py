"""CON-23 on recorded bytes: a connection after an error."""

from __future__ import annotations

from typing import Any

import pytest
from building import answer, gathered, no_answer

from conformance.checks.test_con_kept import test_a_connection_is_usable_after_an_error as usable
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, Violation

MODELS = {"data": [{"id": "a"}]}
USUAL = gathered("baseline", answer(MODELS, role="models", operation="models"))


def kept(*following: Reading, **refused: Any) -> Probed:
    first = answer({}, role="refused", **{"status": 401, "headers": {"Content-Length": "2"}, **refused})
    return gathered("kept_connection", first, *following)


def following(**more: Any) -> Reading:
    return answer(MODELS, role="next", operation="models", **more)


LOST = no_answer("reset", role="next", operation="models")


def test_con_23_passes_where_the_next_is_answered_or_the_close_is_announced() -> None:
    assert "401, then 200" in usable(kept(following()), USUAL)
    assert "closes" in usable(kept(headers={"Connection": "keep-alive, Close"}), USUAL)
    assert "closes" in usable(kept(headers={}, http_version="HTTP/1.1"), USUAL)
    # Lost once, which may happen to any idle connection, and then kept.
    assert "401, then 200" in usable(kept(LOST, following()), USUAL)


@pytest.mark.parametrize(
    "broken",
    [
        (LOST, LOST),
        (no_answer("protocol", role="next", operation="models"), LOST),
        (following(status=400),),
        (following(status=401),),
    ],
)
def test_con_23_catches_a_connection_that_is_spoilt(broken: tuple[Reading, ...]) -> None:
    with pytest.raises(Violation):
        usable(kept(*broken), USUAL)


@pytest.mark.parametrize(
    "probe",
    [
        kept(LOST),
        kept(following(), status=200),
        kept(following(status=429)),
        kept(),
    ],
)
def test_con_23_is_undecided(probe: Probed) -> None:
    with pytest.raises(Inconclusive):
        usable(probe, USUAL)


def test_con_23_needs_a_usual_answer_to_compare_with() -> None:
    with pytest.raises(Inconclusive):
        usable(kept(following(status=404)), gathered("baseline"))
