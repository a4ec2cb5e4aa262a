"""``[gate]``, ``[profiles.*]`` and ``[[waivers]]`` of aiconform.toml: what is read, and what is refused in one line."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from conformance.gate.file import read_gate
from conformance.gate.policy import GateError
from conformance.report.saved import read_report
from conformance.target import TargetError
from conformance.verdict import Result

ROOT = Path(__file__).parents[2]

GOOD = """
[gate]
profile = "acme"
fail_on = ["should", "inconclusive"]
baseline = "last.json"

[profiles.acme]
capabilities = ["core", "streaming"]

[[waivers]]
requirement = "SSE-04"
reason = "vendor ticket 4711"
expires = 2026-12-31

[[waivers]]
requirement = "ERR-07"
reason = "only staging"
expires = "2027-01-31"
target = "staging"

[targets.staging]
url = "http://127.0.0.1:1/v1"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "aiconform.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_whole_gate_is_read(tmp_path: Path) -> None:
    (tmp_path / "last.json").write_bytes((ROOT / "docs" / "results" / "litellm.json").read_bytes())
    file = read_gate(written(tmp_path, GOOD))
    policy = file.policy(target="staging")
    assert policy.profile is not None
    assert policy.profile.capabilities == ("core", "streaming")
    assert policy.fail_on.levels == ("MUST", "SHOULD")
    assert policy.fail_on.unjudged == (Result.INCONCLUSIVE,)
    assert [(w.requirement, w.expires) for w in policy.waivers] == [
        ("SSE-04", date(2026, 12, 31)),
        ("ERR-07", date(2027, 1, 31)),
    ]
    assert [w.requirement for w in file.policy().waivers] == ["SSE-04"]
    assert policy.baseline is not None
    assert policy.baseline.verdicts["CON-10"].result is Result.FAIL


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    text = GOOD.replace('baseline = "last.json"', "")
    policy = read_gate(written(tmp_path, text)).policy(profile="enterprise", fail_on=["may"])
    assert policy.profile is not None
    assert policy.profile.name == "enterprise"
    assert policy.fail_on.levels == ("MUST", "SHOULD", "MAY")


def _waiver(**changes: str) -> str:
    fields = {"requirement": '"SSE-04"', "reason": '"r"', "expires": "2026-12-31"} | changes
    return "[[waivers]]\n" + "\n".join(f"{k} = {v}" for k, v in fields.items() if v) + "\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (_waiver(requirement='"SSE-99"'), "names no requirement 'SSE-99'"),
        (_waiver(requirement='"SSE-*"'), "is not the id of one requirement"),
        (_waiver(reason=""), "the key 'reason' is missing"),
        (_waiver(reason='""'), "is not a text of at least one character"),
        (_waiver(expires=""), "the key 'expires' is missing"),
        (_waiver(expires='"soon"'), "is not a date such as 2026-12-31"),
        (_waiver(expires='"2026-02-30"'), "expires on no day of the calendar"),
        (_waiver(target='"prod"'), "names no target 'prod'"),
        (_waiver() + _waiver(), "SSE-04 is waived twice"),
        ('[profiles.x]\ncapabilities = ["strming"]', "no capability 'strming'; there are"),
        ("[profiles.x]\ncapabilities = []", "is not a list of at least one capability"),
        ('[gate]\nfail_on = ["musst"]', '"musst" is not one of must'),
        ('[gate]\nprofil = "core"', "unknown key 'profil'; known here: profile, fail_on, baseline"),
    ],
)
def test_a_wrong_gate_is_refused_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises((GateError, TargetError)) as caught:
        read_gate(written(tmp_path, text))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_profile_and_an_unreadable_baseline_are_named(tmp_path: Path) -> None:
    file = read_gate(written(tmp_path, ""))
    with pytest.raises(GateError, match=r"no profile 'acme': choose core, enterprise"):
        file.policy(profile="acme")
    with pytest.raises(GateError, match="cannot be read: no such file"):
        file.policy(baseline=tmp_path / "none.json")
    (tmp_path / "other.json").write_text("{}", "utf-8")
    with pytest.raises(GateError, match="is no report of this version"):
        file.policy(baseline=tmp_path / "other.json")


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "results").glob("*.json")), ids=lambda p: p.stem)
def test_the_published_reports_can_be_read_again(path: Path) -> None:
    saved = read_report(path)
    assert len(saved.results) == json.loads(path.read_text("utf-8"))["summary"]["total"]
