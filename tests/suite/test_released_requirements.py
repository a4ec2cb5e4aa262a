"""What is released stays: an id keeps its level and meaning, or is retired, and never means something else.

``spec/requirement_sets/1.0.0.json`` holds the requirements of that release, by id. A released file is never edited; the set of
a new release is a new file. A requirement that is gone is listed in ``spec/requirement_sets/retired.json`` with the reason.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest

from spec.catalogue import requirements
from spec.releases import meaning

RELEASED = files("spec").joinpath("requirement_sets")
SETS = sorted(f.name for f in RELEASED.iterdir() if f.name[0].isdigit())


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(RELEASED.joinpath(name).read_text("utf-8"))
    return content


def test_there_is_a_released_set() -> None:
    assert "1.0.0.json" in SETS
    assert len(read("1.0.0.json")) >= 200


@pytest.mark.parametrize("name", SETS)
def test_a_released_requirement_keeps_its_meaning_or_is_retired(name: str) -> None:
    current, retired = requirements(), read("retired.json")
    for id_, told in read(name).items():
        if id_ in retired:
            continue
        assert id_ in current, f"{id_} is gone: list it in spec/requirement_sets/retired.json with the reason"
        found = current[id_]
        assert meaning(found) == told, (
            f"{id_} has changed since {name}: retire it and give the new sentence a new id"
        )


def test_no_retired_id_is_used_again() -> None:
    assert set(read("retired.json")) & set(requirements()) == set()
    assert all(isinstance(reason, str) and reason for reason in read("retired.json").values())
