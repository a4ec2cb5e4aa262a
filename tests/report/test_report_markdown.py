"""The comment for a pull request: what it says, and that no server can write into it."""

from __future__ import annotations

import re
from datetime import date

import report_samples as samples
from hypothesis import given
from hypothesis import strategies as st

from conformance.claims import Claim
from conformance.gate.baseline import Baseline, Earlier
from conformance.gate.policy import Policy, Waiver
from conformance.report.markdown import code, plain, render_markdown
from conformance.report.model import Report
from conformance.verdict import Result

DAY = date(2026, 11, 24)


def rendered(policy: Policy | None = None, claims: tuple[Claim, ...] = ()) -> str:
    found = samples.report()
    return render_markdown(
        Report(found.evidence, found.dialect, found.verdicts, found.requirements, claims, policy or Policy())
    )


def test_it_begins_with_the_gate_and_its_reasons() -> None:
    lines = rendered().splitlines()
    assert lines[0] == "### Aiconform: ❌ gate failed"
    assert "8 of 12 applicable requirements judged" in lines[2]
    assert "- 4 MUST requirements not kept: ERR-03, RATE-03, SSE-04, TRC-04" in lines


def test_findings_are_a_table_worst_first() -> None:
    rows = [line.split(" | ") for line in rendered().splitlines() if re.match(r"\| (FAIL|WARN|ERROR) ", line)]
    assert [(r[0].strip("| "), r[1]) for r in rows] == [
        ("FAIL", "ERR-03"), ("FAIL", "RATE-03"), ("FAIL", "SSE-04"), ("FAIL", "TRC-04"), ("ERROR", "SSE-21"),
        ("WARN", "ERR-12"), ("WARN", "SSE-11"),
    ]  # fmt: skip
    assert rows[0][3] == "`none` (`x0003 /error/request_id`) |"


def test_what_changed_and_what_is_waived_is_listed() -> None:
    earlier = {"ERR-03": Earlier("MUST", Result.FAIL, "t"), "ERR-07": Earlier("MUST", Result.FAIL, "t")}
    policy = Policy(
        baseline=Baseline("last.json", earlier), waivers=(Waiver("SSE-04", "ticket_7", DAY),), day=DAY
    )
    text = rendered(policy)
    assert "- New failures: RATE-03, SSE-04, TRC-04\n- Fixed: ERR-07\n- Known failures: ERR-03\n" in text
    assert "- waived until 2026-11-24: **SSE-04**, ticket\\_7" in text


def test_claims_are_told() -> None:
    claims = (
        Claim("usage", ("the tester",), "not kept", "no answer reports usage", unshown=True),
        Claim("trace", (), "not advertised", "kept all the same"),
        Claim("streaming", ("GET /capabilities",), "kept", "36 of 36"),
    )
    text = rendered(claims=claims)
    assert "- advertised, not kept: **usage** (the tester): `no answer reports usage`" in text
    assert "- kept, not advertised: **trace**" in text
    assert "**streaming**" not in text


def test_no_server_text_stands_outside_code() -> None:
    evil = "|x| @octocat #1 https://evil.example <img src=x> ``` `a` [l](u)\n# head"
    verdict = samples.verdict("ERR-03", Result.FAIL, expected="x", seen=evil, evidence=("x0003",))
    text = render_markdown(samples.report((verdict,)))
    without_code = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text)
    for piece in ("@octocat", "evil.example", "<img", "[l]", "# head"):
        assert piece in text
        assert piece not in without_code
    row = next(line for line in text.splitlines() if line.startswith("| FAIL"))
    assert len(re.findall(r"(?<!\\)\|", row)) == 5


@given(st.text())
def test_any_text_stays_on_one_line_inside_its_ticks(text: str) -> None:
    shown = code(text)
    assert "\n" not in shown
    assert re.search(r"(?<!\\)\|", shown) is None
    if shown:
        ticks = len(shown) - len(shown.lstrip("`"))
        inner = shown[ticks:-ticks]
        assert ticks not in {len(run) for run in re.findall("`+", inner)}
    assert "\n" not in plain(text)
