"""The kill matrix as a page: every subject is on it, and what servers sent stays text."""

from __future__ import annotations

from conformance.report.kill_matrix import render_kill_matrix
from conformance.selftest import Outcome, Subject
from conformance.verdict import Result, Verdict


def outcome(name: str, kind: str, detail: str, says: str = "") -> Outcome:
    subject = Subject(
        name, kind, "http://127.0.0.1:1", "contract", ("ERR-01",), f"story of {name}", says=says
    )  # type: ignore[arg-type]
    verdict = Verdict("ERR-01", "MUST", "core", Result.FAIL, detail)
    return Outcome(subject, (verdict,), (verdict,) if kind == "mutant" else (), calls=1, seconds=1.0)


def test_each_subject_is_named_with_what_caught_it() -> None:
    page = render_kill_matrix(
        [outcome("broken", "mutant", "seen <script>x</script>"), outcome("odd", "variant", "why")]
    )
    assert "1 of 1 mutants killed, 1 of 1 variants flagged" in " ".join(page.split())
    assert "story of broken" in page
    assert "story of odd" in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_verdict_that_points_elsewhere_does_not_kill() -> None:
    assert outcome("a", "mutant", "seen 404 somewhere", says="404").killed
    assert not outcome("b", "mutant", "seen 200 somewhere", says="404").killed
    assert "survived" in render_kill_matrix([outcome("b", "mutant", "seen 200", says="404")])
