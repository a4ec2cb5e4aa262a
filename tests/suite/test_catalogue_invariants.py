"""The catalogue, the checks and the mutants agree."""

from __future__ import annotations

from conformance.gather import SECRETS
from conformance.registry import BROAD, CHECKS, PROBES, load_all
from reference_impl.mutants import SUBJECTS
from spec.catalogue import requirements

load_all()


def test_the_catalogue_holds_at_least_a_hundred_requirements() -> None:
    assert len(requirements()) >= 100


def test_every_requirement_has_a_check_or_a_written_reason() -> None:
    assert [r.id for r in requirements().values() if r.id not in CHECKS and not r.unchecked] == []


def test_no_requirement_has_both() -> None:
    assert [r.id for r in requirements().values() if r.id in CHECKS and r.unchecked] == []


def test_every_check_names_an_existing_requirement() -> None:
    assert [c for c in CHECKS if c not in requirements()] == []


def test_every_check_asks_for_evidence_that_exists() -> None:
    known = set(PROBES) | BROAD | {SECRETS}
    assert {c.requirement: set(c.needs) - known for c in CHECKS.values() if set(c.needs) - known} == {}


def test_every_probe_is_asked_for_or_feeds_the_passive_checks() -> None:
    assert all(p.function.__doc__ for p in PROBES.values())


def test_every_check_says_what_it_asserts() -> None:
    assert [c.name for c in CHECKS.values() if not c.function.__doc__] == []


def test_mutants_name_requirements_that_have_checks() -> None:
    named = {i for s in SUBJECTS for i in s.violates}
    assert named - set(CHECKS) == set()
    assert all(s.violates for s in SUBJECTS if s.kind == "mutant")


def test_subject_names_are_unique_and_fit_a_path() -> None:
    names = [s.name for s in SUBJECTS]
    assert len(set(names)) == len(names)
    assert all(n.replace("-", "").isalnum() for n in names)
