"""Whole runs against a server whose behaviour is known: counts, verdicts and exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import LAX, counts, load, truth

FAST = ("--first-ms=5", "--token-ms=1", "--tokens=8")
SHORT = ("--users=8", "--duration=20", "--max-calls=120")
"""Ended by the number of its calls: short on a fast machine, and enough on a busy one."""


def test_a_good_server_passes_and_both_sides_count_the_same(tmp_path: Path) -> None:
    with truth(*FAST) as url:
        run = load(tmp_path, url, *SHORT, *LAX)
        seen = counts(url)
    assert run.code == 0, run.out + run.err
    operation = run.document["operations"]["chat_stream"]
    assert operation["requests"] == operation["ok"] == seen["whole"] == seen["requests"]["chat"]
    assert operation["tokens_out"] == 8 * operation["ok"]
    assert set(run.verdicts.values()) == {"PASS"}
    assert {"SSE-03", "SSE-04", "SSE-34"} <= set(run.verdicts)
    assert "closed loop" in run.out


# What breaks each requirement is shown on bytes (test_load_checks.py); here, that it gets from a socket to the gate.
@pytest.mark.parametrize(
    ("defect", "requirement", "code"),
    [("no_terminal", "SSE-04", "no terminal"), ("cut", "SSE-34", "reset"), ("bad_utf8", "SSE-09", "")],
)
def test_a_defect_in_a_quarter_of_the_streams_is_found(
    defect: str, requirement: str, code: str, tmp_path: Path
) -> None:
    with truth(*FAST, f"--defect={defect}", "--share=0.25") as url:
        run = load(tmp_path, url, *SHORT, *LAX)
    assert run.code == 1, run.out
    assert run.verdicts[requirement] == "FAIL"
    operation = run.document["operations"]["chat_stream"]
    sample = run.document["samples"][requirement][0]
    assert "excerpt" in sample
    if code:
        assert operation["errors"][code] == pytest.approx(operation["requests"] / 4, abs=9)
        assert operation["truncated"] == operation["errors"][code]


def test_an_error_event_counts_as_an_error_and_not_as_a_violation(tmp_path: Path) -> None:
    with truth(*FAST, "--defect=error_event", "--share=0.5") as url:
        run = load(tmp_path, url, *SHORT, *LAX)
    assert run.verdicts["SSE-20"] == "PASS"
    assert run.document["operations"]["chat_stream"]["errors"].keys() == {"UPSTREAM_ERROR"}
    assert run.document["operations"]["chat_stream"]["truncated"] == 0


def test_one_stall_shows_in_the_worst_gap_and_not_in_the_mean(tmp_path: Path) -> None:
    with truth("--first-ms=5", "--token-ms=5", "--tokens=16", "--defect=stall", "--stall-ms=400") as url:
        run = load(tmp_path, url, "--users=2", "--duration=20", "--max-calls=6", *LAX)
    operation = run.document["operations"]["chat_stream"]
    assert operation["stalls"] >= operation["ok"] > 0
    assert operation["times"]["itl_worst"]["p50"] > 390
    assert operation["times"]["itl"]["p50"] < 100


def test_a_hang_ends_at_the_deadline(tmp_path: Path) -> None:
    with truth(*FAST, "--defect=hang") as url:
        run = load(tmp_path, url, "--users=2", "--duration=1", "--timeout=1", *LAX)
    assert run.document["operations"]["chat_stream"]["errors"].keys() == {"timeout_body"}
    assert run.document["operations"]["chat_stream"]["truncated"] > 0


def test_nobody_there_is_code_3_and_one_line(tmp_path: Path) -> None:
    run = load(tmp_path, "http://127.0.0.1:9/api/v1", "--users=1", "--duration=1")
    assert run.code == 3
    assert "the target cannot be reached: http://127.0.0.1:9/api/v1" in run.out


def test_a_client_that_is_late_makes_the_run_invalid(tmp_path: Path) -> None:
    with truth(*FAST) as url:
        run = load(tmp_path, url, *SHORT, "--error-budget-ms=0.001")
    assert run.code == 4
    assert "INVALID: our own loop was" in run.out
    assert run.document["client"]["valid"] is False


def test_arrivals_that_were_not_sent_make_the_run_invalid(tmp_path: Path) -> None:
    with truth("--first-ms=900", "--token-ms=0", "--tokens=2") as url:
        run = load(tmp_path, url, "--rate=100", "--duration=1", "--max-in-flight=5", *LAX)
    assert run.code == 4
    assert run.document["client"]["not_sent"] > 50
    assert "--max-in-flight was reached" in run.out


def test_an_objective_missed_is_code_1(tmp_path: Path) -> None:
    slo = tmp_path / "slo.yaml"
    slo.write_text(
        "objectives:\n"
        "  - {operation: chat_stream, metric: ttft, percentile: 95, max_ms: 10}\n"
        "  - {metric: error_rate, max: 0.01}\n"
    )
    with truth("--first-ms=60", "--token-ms=1", "--tokens=4") as url:
        run = load(tmp_path / "out", url, *SHORT, *LAX, f"--slo={slo}")
    assert run.code == 1
    assert "MISSED chat_stream ttft p95 ≤ 10ms" in run.out
    assert "met    all error_rate" in run.out
    assert run.document["operations"]["chat_stream"]["goodput"] == 0


def test_the_contract_has_objectives_of_its_own(tmp_path: Path) -> None:
    with truth(*FAST) as url:
        run = load(tmp_path, url, *SHORT, *LAX)
    assert {o["name"] for o in run.document["objectives"]} == {
        "chat_stream ttft p95", "chat_stream itl p99", "chat_stream truncated_rate",
    }  # fmt: skip


def test_an_open_loop_counts_from_the_intended_start(tmp_path: Path) -> None:
    """One connection's worth of server: with a capacity of one call at a time a closed loop would see no wait."""
    with truth("--first-ms=100", "--token-ms=0", "--tokens=2") as url:
        run = load(tmp_path, url, "--rate=40", "--duration=1", *LAX)
        seen = counts(url)
    document = run.document
    assert document["load"]["loop"] == "open"
    assert "open loop" in run.out
    assert document["client"]["sent"] == seen["whole"]
    assert document["client"]["requested_per_second"] == pytest.approx(40, abs=2)
    assert seen["busiest"] >= 3  # a call begins although others have not ended
    assert document["client"]["lag"]["count"] == document["client"]["sent"]


def test_steps_find_the_knee(tmp_path: Path) -> None:
    with truth(*FAST) as url:
        run = load(tmp_path, url, "--rate=10", "--shape=step:10:1", "--duration=2", "--poisson", *LAX)
    assert [s["rate"] for s in run.document["steps"]] == [10, 20]
    assert "step 20/s: " in run.out


def test_a_trace_is_replayed_and_the_time_is_capped(tmp_path: Path) -> None:
    trace = tmp_path / "arrivals.txt"
    trace.write_text("".join(f"{moment / 100}\n" for moment in (*range(0, 60, 2), 900)))
    with truth(*FAST) as url:
        run = load(tmp_path, url, f"--shape=trace:{trace}", "--duration=20", "--max-seconds=1", *LAX)
        seen = counts(url)
    assert run.document["client"]["sent"] == seen["whole"] == 30
    assert run.document["duration_seconds"] < 5
    assert "trace:" in run.out


def test_caps_end_the_run(tmp_path: Path) -> None:
    with truth(*FAST) as url:
        run = load(tmp_path, url, "--users=4", "--duration=20", "--max-calls=25", *LAX)
        seen = counts(url)
    assert seen["requests"]["chat"] == 25
    assert "stopped early: the cap of 25 calls is reached" in run.out


def test_a_session_grows(tmp_path: Path) -> None:
    with truth(*FAST) as url:
        run = load(tmp_path, url, "--mix=session", "--users=2", "--duration=20", "--max-calls=20", *LAX)
    assert run.document["operations"]["session"]["ok"] > 2


def test_a_mix_over_all_operations(tmp_path: Path) -> None:
    mix = "chat=2,chat_stream=2,classify=2,retry,race,session"
    with truth(*FAST) as url:
        run = load(tmp_path, url, f"--mix={mix}", *SHORT, "--think=0:0.01", *LAX)
        assert counts(url)["executed_twice"] == 0
    assert run.code == 0, run.out
    assert run.document["operations"].keys() == {
        "chat",
        "chat_stream",
        "classify",
        "retry",
        "race",
        "session",
    }
    assert {run.verdicts[i] for i in ("IDEM-01", "IDEM-02", "IDEM-06")} == {"PASS"}


def test_retries_that_run_twice_are_found(tmp_path: Path) -> None:
    with truth(*FAST, "--defect=runs_twice") as url:
        run = load(tmp_path, url, "--mix=retry,race", *SHORT, *LAX)
        assert counts(url)["executed_twice"] > 0
    assert run.code == 1
    assert run.verdicts["IDEM-01"] == run.verdicts["IDEM-06"] == "FAIL"


def test_the_openai_dialect(tmp_path: Path) -> None:
    with truth(*FAST) as url:
        run = load(tmp_path, url, "--dialect=openai-chat", *SHORT, *LAX)
    assert run.code == 0, run.out
    assert run.document["operations"]["chat_stream"]["tokens_out"] > 0
    assert "SSE-03" not in run.verdicts
