"""Limits under load: obeying users are served when they were told, others are not, and keys do not share."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import LAX, counts, load, truth

LIMITED = ("--first-ms=2", "--token-ms=1", "--tokens=3", "--limit=10", "--window=1")


def test_obeying_users_are_served_as_they_were_told(tmp_path: Path) -> None:
    with truth(*LIMITED) as url:
        run = load(tmp_path, url, "--users=4", "--duration=20", "--max-calls=35", "--key=sk-a", *LAX)
        seen = counts(url)
    assert run.code == 0, run.out
    assert run.verdicts["RATE-04"] == "PASS"
    assert {run.verdicts[i] for i in ("RATE-02", "RATE-03", "RATE-23", "RATE-26", "RATE-17", "ERR-19")} == {
        "PASS"
    }
    operation = run.document["operations"]["chat_stream"]
    assert operation["refused"] == seen["refused"] <= 4 * 3  # a few per window, not thousands
    assert any(s["retry_after"] for s in run.document["seconds"])


def test_a_dishonest_retry_after_is_found(tmp_path: Path) -> None:
    with truth(*LIMITED[:-1], "--window=5", "--defect=early_retry") as url:
        run = load(tmp_path, url, "--users=3", "--duration=4.5", "--key=sk-a", *LAX)
    assert run.code == 1, run.out
    assert run.verdicts["RATE-04"] == "FAIL"
    assert "refusals in a row" in run.details["RATE-04"]


def test_impatient_users_are_refused_and_blame_nobody(tmp_path: Path) -> None:
    with truth(*LIMITED) as url:
        run = load(
            tmp_path,
            url,
            "--users=4",
            "--duration=20",
            "--max-calls=80",
            "--impatient=1",
            "--think=0.01",
            "--key=sk-a",
            *LAX,
        )
    assert run.document["operations"]["chat_stream"]["refused"] > 20
    assert "FAIL" not in run.verdicts.values()


@pytest.mark.parametrize(
    ("defect", "requirement"),
    [("html_error", "RATE-26"), ("no_retry_after", "RATE-02"), ("error_in_stream", "RATE-17")],
)
def test_a_refusal_of_the_wrong_form(defect: str, requirement: str, tmp_path: Path) -> None:
    with truth(*LIMITED, f"--defect={defect}") as url:
        run = load(tmp_path, url, "--users=2", "--duration=20", "--max-calls=40", "--think=0.01", *LAX)
    assert run.code == 1, run.out
    assert run.verdicts[requirement] == "FAIL"


def test_a_second_key_is_served_while_the_first_is_at_its_limit(tmp_path: Path) -> None:
    with truth(*LIMITED) as url:
        run = load(tmp_path, url, "--users=3", "--duration=4", "--key=sk-a", "--other-key=sk-b", *LAX)
    assert run.verdicts["RATE-14"] == "PASS"
    assert run.code == 0


def test_keys_that_share_a_limit_are_found(tmp_path: Path) -> None:
    with truth(*LIMITED[:-1], "--window=6", "--defect=shared_limit") as url:
        run = load(tmp_path, url, "--users=3", "--duration=5", "--key=sk-a", "--other-key=sk-b", *LAX)
    assert run.code == 1, run.out
    assert run.verdicts["RATE-14"] == "FAIL"


def test_overload_is_graceful_or_found(tmp_path: Path) -> None:
    busy = ("--first-ms=50", "--token-ms=1", "--tokens=3", "--capacity=2")
    with truth(*busy) as url:
        good = load(
            tmp_path / "good", url, "--users=8", "--duration=20", "--max-calls=80", "--think=0.01", *LAX
        )
    with truth(*busy, "--defect=html_error") as url:
        bad = load(
            tmp_path / "bad", url, "--users=8", "--duration=20", "--max-calls=80", "--think=0.01", *LAX
        )
    assert good.document["operations"]["chat_stream"]["overloaded"] > 0
    assert good.verdicts["ERR-19"] == good.verdicts["RATE-20"] == "PASS"
    assert bad.verdicts["ERR-19"] == "FAIL"
    assert bad.verdicts["RATE-20"] == "WARN"
    assert bad.code == 1
