"""The decision of a gate, from literal verdicts: levels, waivers, baselines, profiles, claims, exit codes."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.claims import Claim
from conformance.gate.baseline import Baseline, Earlier, compare
from conformance.gate.decide import Demand, Gate, decide
from conformance.gate.policy import (
    BUILT_IN,
    FailOn,
    GateError,
    Policy,
    Profile,
    Waiver,
    known_capabilities,
)
from conformance.verdict import Result, Verdict

DAY = date(2026, 11, 24)
PASS, FAIL, WARN, ERROR = Result.PASS, Result.FAIL, Result.WARN, Result.ERROR


def verdict(
    id_: str, result: Result, level: str = "MUST", capability: str = "core", check: str = "t"
) -> Verdict:
    return Verdict(id_, level, capability, result, "so", check=check)


def gate(*verdicts: Verdict, claims: tuple[Claim, ...] = (), **policy: object) -> Gate:
    return decide(verdicts, claims, Policy(day=DAY, **policy))  # type: ignore[arg-type]


def waiver(id_: str = "A-01", expires: date = DAY) -> Waiver:
    return Waiver(id_, "ticket 7", expires)


@pytest.mark.parametrize(
    ("words", "failing"),
    [
        (("must",), {"A-01"}),
        (("should",), {"A-01", "A-02"}),
        (("may", "must"), {"A-01", "A-02", "A-03"}),
        (("inconclusive",), {"A-01", "A-04"}),
        (("must", "not-tested"), {"A-01", "A-05"}),
        (("nothing",), set()),
    ],
)
def test_what_fails_the_gate_is_chosen(words: tuple[str, ...], failing: set[str]) -> None:
    found = gate(
        verdict("A-01", FAIL),
        verdict("A-02", WARN, "SHOULD"),
        verdict("A-03", WARN, "MAY"),
        verdict("A-04", Result.INCONCLUSIVE),
        verdict("A-05", Result.NOT_TESTED),
        verdict("A-06", Result.NOT_TESTED, check=""),  # no check can see it: nobody's failure
        verdict("A-07", PASS),
        fail_on=FailOn.parse(words),
    )
    assert set(found.failing) == failing
    assert found.exit_code == (1 if failing else 0)


@pytest.mark.parametrize("words", [("musst",), ("nothing", "must"), ("must", "FAIL")])
def test_a_wrong_word_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(GateError, match="--fail-on"):
        FailOn.parse(words)


@pytest.mark.parametrize(
    "words", [("must",), ("should",), ("may",), ("nothing",), ("should", "inconclusive", "not-tested")]
)
def test_the_words_read_back(words: tuple[str, ...]) -> None:
    assert FailOn.parse(FailOn.parse(words).words()) == FailOn.parse(words)


def test_a_waiver_holds_one_failure_back_and_is_named() -> None:
    found = gate(verdict("A-01", FAIL), verdict("A-02", PASS), waivers=(waiver(),))
    assert (found.exit_code, found.waived, found.reasons) == (0, (waiver(),), ())
    assert gate(verdict("A-01", FAIL), verdict("A-02", FAIL), waivers=(waiver(),)).failing == ("A-02",)


def test_an_expired_waiver_fails_the_gate_and_holds_nothing_back() -> None:
    old = waiver(expires=date(2026, 11, 23))
    found = gate(verdict("A-01", FAIL), waivers=(old,))
    assert found.exit_code == 1
    assert found.failing == ("A-01",)
    assert found.reasons == (
        "1 MUST requirement not kept: A-01",
        "the waiver of A-01 expired on 2026-11-23: ticket 7",
    )
    assert gate(verdict("A-01", PASS), waivers=(old,)).exit_code == 1


def test_a_stale_waiver_fails_the_gate() -> None:
    found = gate(verdict("A-01", PASS), waivers=(waiver(),))
    assert found.exit_code == 1
    assert found.reasons == ("the waiver of A-01 is stale: the requirement is kept now; remove it",)


@pytest.mark.parametrize("result", [Result.NOT_TESTED, Result.INCONCLUSIVE, Result.NOT_OFFERED])
def test_a_waiver_of_what_was_not_judged_waits(result: Result) -> None:
    found = gate(verdict("A-01", result), verdict("A-02", PASS), waivers=(waiver(),))
    assert (found.exit_code, found.idle) == (0, (waiver(),))


def test_a_waiver_of_what_was_not_selected_is_left_alone() -> None:
    found = gate(verdict("A-02", PASS), waivers=(waiver(expires=date(2020, 1, 1)),))
    assert (found.exit_code, found.idle, found.waived) == (0, (), ())


def test_no_waiver_hides_the_suites_own_fault() -> None:
    assert gate(verdict("A-01", ERROR), verdict("A-02", PASS), waivers=(waiver(),)).exit_code == 3


def baseline(unmet: frozenset[str] = frozenset(), **results: Result) -> Baseline:
    earlier = {k.replace("_", "-"): Earlier("MUST", r, "t") for k, r in results.items()}
    return Baseline("last.json", earlier, unmet)


def test_only_what_is_worse_than_the_baseline_fails() -> None:
    last = baseline(A_01=FAIL, A_02=PASS, A_03=FAIL, A_04=PASS, A_05=FAIL)
    found = gate(
        verdict("A-01", FAIL),
        verdict("A-02", FAIL),
        verdict("A-03", PASS),
        verdict("A-04", Result.INCONCLUSIVE),
        verdict("A-05", Result.NOT_TESTED),
        verdict("A-06", FAIL),  # a requirement that the earlier suite did not know
        baseline=last,
    )
    assert found.change is not None
    assert found.change.known == ("A-01",)
    assert found.change.new == ("A-02", "A-06")
    assert found.change.fixed == ("A-03",)
    assert found.change.lost == ("A-04",)
    assert found.change.open == ("A-05",)
    assert found.failing == ("A-02", "A-06")
    assert found.reasons == ("new since the baseline: 2 MUST requirements not kept: A-02, A-06",)
    assert gate(verdict("A-01", FAIL), baseline=last).exit_code == 0


def test_the_baseline_is_held_to_the_same_words() -> None:
    last = Baseline("last.json", {"A-01": Earlier("SHOULD", WARN, "t")})
    assert gate(verdict("A-01", WARN, "SHOULD"), fail_on=FailOn.parse(["should"]), baseline=last).passed
    worse = Baseline("last.json", {"A-01": Earlier("SHOULD", PASS, "t")})
    assert not gate(verdict("A-01", WARN, "SHOULD"), fail_on=FailOn.parse(["should"]), baseline=worse).passed


def test_a_profile_demands_what_is_not_offered_and_what_was_not_judged() -> None:
    mine = Profile("mine", ("core", "jobs", "usage", "trace", "absent"))
    verdicts = (
        verdict("A-01", PASS),
        verdict("B-01", Result.NOT_OFFERED, capability="jobs"),
        verdict("C-01", Result.NOT_TESTED, capability="usage"),
        verdict("C-02", Result.NOT_OFFERED, capability="usage"),
        verdict("D-01", FAIL, capability="trace"),
    )
    found = gate(*verdicts, profile=mine)
    assert found.demands == (
        Demand("core", "kept"),
        Demand("jobs", "not offered"),
        Demand("usage", "not judged"),
        Demand("trace", "not kept"),
    )  # nothing of "absent" was selected
    assert found.reasons == (
        "1 MUST requirement not kept: D-01",
        "the profile mine demands what is not offered: jobs",
        "the profile mine demands that of which nothing was judged: usage",
    )
    assert gate(*verdicts[:3]).exit_code == 0
    known = Baseline("last.json", {}, frozenset({"jobs", "usage"}))
    assert gate(*verdicts[:4], profile=mine, baseline=known).exit_code == 0


def test_what_is_advertised_and_not_shown_fails_the_gate() -> None:
    claim = Claim("usage", ("GET /capabilities",), "not kept", "no answer reports usage", unshown=True)
    found = gate(verdict("A-01", PASS), claims=(claim,))
    assert found.exit_code == 1
    assert found.reasons == ("advertised, not kept: usage (GET /capabilities): no answer reports usage",)
    # One that fails by its requirements is not counted twice.
    broken = Claim("usage", ("GET /capabilities",), "not kept", "A-02 failed")
    assert gate(verdict("A-01", PASS), claims=(broken,)).exit_code == 0


def test_nothing_judged_is_no_result_whatever_is_demanded() -> None:
    assert gate().exit_code == 3
    assert gate(verdict("A-01", Result.NOT_OFFERED), profile=BUILT_IN["core"]).exit_code == 3


def test_the_built_in_profiles_demand_what_the_catalogue_knows() -> None:
    for profile in BUILT_IN.values():
        assert set(profile.capabilities) <= set(known_capabilities())


RESULTS = st.dictionaries(st.sampled_from([f"A-{i:02}" for i in range(8)]), st.sampled_from(list(Result)))


@given(before=RESULTS, now=RESULTS)
def test_every_failure_is_either_new_or_known(before: dict[str, Result], now: dict[str, Result]) -> None:
    bad = {i for i, r in now.items() if r is FAIL}
    change = compare(before, now, {i for i, r in before.items() if r is FAIL}, bad)
    groups = (change.new, change.known, change.fixed, change.open, change.lost)
    assert set(change.new) | set(change.known) == bad
    listed = [i for group in groups for i in group]
    assert len(listed) == len(set(listed))
    assert set(listed) <= set(now)
