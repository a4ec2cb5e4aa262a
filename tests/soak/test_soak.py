"""The counting of changed verdicts; the soak itself is `make soak`."""

from __future__ import annotations

from soak import SOAKED, changes

from reference_impl.mutants import SUBJECTS


def test_a_flip_is_a_change_between_judgements() -> None:
    seen = {
        "SSE-01": ["PASS", "PASS", "PASS"],
        "SSE-02": ["PASS", "FAIL", "PASS"],
        "SSE-15": ["WARN", "INCONCLUSIVE", "WARN"],
        "SSE-16": ["PASS", "INCONCLUSIVE", "WARN"],
        "CTX-01": ["NOT_TESTED", "NOT_TESTED", "NOT_TESTED"],
    }
    told = changes(seen)
    assert set(told["flips"]) == {"SSE-02", "SSE-16"}
    assert set(told["wavers"]) == {"SSE-15"}


def test_the_soak_names_the_reference_and_ten_mutants() -> None:
    known = {s.name: s.kind for s in SUBJECTS}
    assert [known[n] for n in SOAKED].count("mutant") == 10
    assert [known[n] for n in SOAKED].count("variant") == 1
