"""The catalogue, the checks and the mutants agree."""

from __future__ import annotations

import json
from importlib.resources import files

import kill_matrix
from typer.testing import CliRunner

from conformance.cli import app
from conformance.gather import SECRETS
from conformance.registry import BROAD, CHECKS, PROBES, load_all
from reference_impl.mutants import SUBJECTS
from reference_impl.mutants.__main__ import index
from spec.catalogue import requirements

load_all()

# Checks that no mutant has failed yet: they are proven on bad evidence in tests/checks only. The list may only
# shrink. A new check comes with a mutant, and who writes a mutant for an old one takes it off the list.
WITHOUT_MUTANT = frozenset(
    [
        # Its broken server needs TLS, which the mutants do not have: tests/suite/test_mutual_tls.py.
        "AUTH-14",
        # Judged by a document that the tester gives, and a mutant has none: broken servers in test_vendor_requests.py.
        *("GEN-05", "GEN-06", "GEN-07", "GEN-08"),
    ]
)


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


def test_every_mutant_names_existing_requirements_that_have_checks() -> None:
    wrong = {s.name: [i for i in s.violates if i not in requirements() or i not in CHECKS] for s in SUBJECTS}
    assert {name: ids for name, ids in wrong.items() if ids} == {}
    assert [s.name for s in SUBJECTS if s.kind == "mutant" and not s.violates] == []
    assert [s.name for s in SUBJECTS if s.kind == "variant" and s.violates] == []


def test_the_checks_without_a_mutant_become_fewer() -> None:
    named = {i for s in SUBJECTS for i in s.violates}
    unproven = set(CHECKS) - named
    assert unproven - WITHOUT_MUTANT == set(), "a new check needs a mutant"
    assert WITHOUT_MUTANT - unproven == set(), "these have a mutant now: take them off WITHOUT_MUTANT"


def test_the_published_index_of_mutants_is_current() -> None:
    published = files("spec").joinpath("mutants.json").read_text("utf-8")
    assert published == index(), "run `make mutants` and commit spec/mutants.json"


def test_the_published_kill_matrix_is_current() -> None:
    assert kill_matrix.FILE.read_text("utf-8") == kill_matrix.table(), "run `make mutants`"


def test_the_catalogue_as_json_names_the_mutants_of_each_requirement() -> None:
    shown = CliRunner().invoke(app, ["requirements", "--json", "--area", "idem"])
    assert shown.exit_code == 0
    mutants = {r["id"]: r["mutants"] for r in json.loads(shown.stdout)}
    assert "idempotency-ignored" in mutants["IDEM-01"]
    expected = {i: sorted(s.name for s in SUBJECTS if i in s.violates) for i in mutants}
    assert mutants == expected


def test_subject_names_are_unique_and_fit_a_path() -> None:
    names = [s.name for s in SUBJECTS]
    assert len(set(names)) == len(names)
    assert all(n.replace("-", "").isalnum() for n in names)
