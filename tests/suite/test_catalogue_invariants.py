"""The catalogue, the checks and the mutants agree."""

from __future__ import annotations

import json
from importlib.resources import files

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
        "CACHE-01",
        "CACHE-02",
        "CACHE-03",
        "CACHE-04",
        "CACHE-05",
        "CACHE-06",
        "CON-03",
        "CON-04",
        "CON-07",
        "CON-08",
        "CON-10",
        "CON-11",
        "CON-12",
        "CON-13",
        "CON-16",
        "CON-17",
        "CON-18",
        "CON-19",
        "CON-20",
        "CON-21",
        "CON-22",
        "CON-24",
        "CON-25",
        "CON-27",
        "CON-29",
        "CON-30",
        "CON-31",
        "CON-32",
        "CON-33",
        "CON-34",
        "CON-35",
        "CON-36",
        "CON-37",
        "CON-38",
        "CONF-03",
        "CONF-04",
        "CONF-05",
        "CONF-07",
        "CONF-08",
        "CONF-13",
        "DOC-01",
        "DOC-03",
        "DOC-07",
        "DOC-09",
        "ERR-04",
        "ERR-06",
        "ERR-08",
        "ERR-12",
        "ERR-16",
        "ERR-17",
        "ERR-18",
        "ERR-19",
        "ERR-20",
        "ERR-21",
        "ERR-22",
        "ERR-23",
        "GEN-01",
        "GEN-02",
        "GEN-03",
        "GEN-04",
        "IDEM-07",
        "IDEM-13",
        "IDEM-17",
        "IDEM-18",
        "IDEM-19",
        "RATE-05",
        "RATE-11",
        "RATE-13",
        "RATE-15",
        "RATE-16",
        "RATE-17",
        "RATE-19",
        "RATE-20",
        "RATE-22",
        "RATE-24",
        "RATE-25",
        "RATE-26",
        "SSE-08",
        "SSE-14",
        "SSE-15",
        "SSE-17",
        "SSE-18",
        "SSE-21",
        "SSE-22",
        "SSE-23",
        "SSE-24",
        "SSE-29",
        "SSE-30",
        "SSE-31",
        "SSE-33",
        "SSE-34",
        "SSE-35",
        "SSE-36",
        "SSE-37",
        "SSE-38",
        "SSE-40",
        "SSE-41",
        "SSE-42",
        "SSE-43",
        "SYNC-01",
        "SYNC-02",
        "SYNC-03",
        "SYNC-05",
        "SYNC-06",
        "SYNC-07",
        "SYNC-08",
        "SYNC-09",
        "TRC-01",
        "TRC-07",
        "TRC-08",
        "TRC-12",
        "TRC-18",
        "TRC-19",
        "TRC-20",
        "TRC-21",
        "VER-01",
        "VER-03",
        "VER-06",
        "VER-08",
        "VER-09",
        "VER-11",
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
