"""What a finished run amounts to, and what the dashboard says of one under way."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from types import SimpleNamespace

from load.command import parser
from load.ledger import Broken
from load.live import Dashboard, describe
from load.observation import Observation
from load.options import read_config
from load.outcome import Outcome
from load.report.console import summary
from load.report.document import document_of
from load.slo import Objective
from load.tally import Tally
from load.verdicts import verdicts_of

URL = "http://127.0.0.1:9/v1"


def outcome(
    *arguments: str, tally: Tally | None = None, objectives: tuple[Objective, ...] = (), **own: object
) -> Outcome:
    config = read_config(parser().parse_args([URL, *arguments]), URL, 10.0)
    whole = Outcome(config, objectives, tally or good(), 0.0, 10.0, 4)
    return replace(whole, **own)


def good(times: int = 50, e2e: float = 0.1) -> Tally:
    tally = Tally()
    for _ in range(times):
        tally.add(
            Observation("chat_stream", e2e, status=200, ttft=e2e / 2, judged=("SSE-04", "SSE-34")),
            0,
            True,
            "x",
        )
    return tally


def test_a_good_run_passes() -> None:
    assert outcome().exit_code == 0
    assert outcome().reasons == []


def test_a_broken_must_counts_also_in_an_invalid_run() -> None:
    tally = good()
    tally.ledger.broken(Broken("SSE-04", "an end", "none"), "x")
    tally.loop_lag.add(9.0)
    run = outcome(tally=tally)
    assert not run.valid
    assert run.exit_code == 1


def test_a_missed_objective_does_not_count_in_an_invalid_run() -> None:
    tally = good(e2e=5.0)
    strict = (Objective("e2e", 1.0),)
    assert outcome(tally=tally, objectives=strict).exit_code == 1
    tally.loop_lag.add(9.0)
    assert outcome(tally=tally, objectives=strict).exit_code == 4


def test_a_lost_worker_and_a_busy_core_are_doubts() -> None:
    assert "worker lost: w1" in outcome(lost=("w1",)).doubts[0]
    tally = good()
    tally.own.update(cpu_us=1_990_000, watched_us=2_000_000)
    assert "more processes are needed" in outcome(tally=tally).doubts[0]


def test_arrivals_that_began_too_late_are_a_doubt() -> None:
    tally = good()
    tally.own.update({"planned": 100, "scheduled": 90, "span_ms": 10_000})
    assert outcome("--rate=10", tally=tally).doubts == ["9.0 of the 10.0 arrivals/s asked for were begun"]
    tally.lag.add(0.5)
    assert any("began 500.0 ms late" in d for d in outcome("--rate=10", tally=tally).doubts)


def test_one_broken_connection_of_many_decides_nothing() -> None:
    tally = good()
    tally.ledger.broken(Broken("SSE-34", "an end", "a reset"), "x")
    assert {v["id"]: v["verdict"] for v in verdicts_of(outcome(tally=tally))}["SSE-34"] == "INCONCLUSIVE"
    tally.ledger.broken(Broken("SSE-34", "an end", "a reset"), "y")
    assert {v["id"]: v["verdict"] for v in verdicts_of(outcome(tally=tally))}["SSE-34"] == "FAIL"


def test_a_should_is_a_warning() -> None:
    tally = good()
    tally.ledger.judged(("SSE-11",))
    tally.ledger.broken(Broken("SSE-11", "one kind of line end", "CRLF, LF"), "x")
    run = outcome(tally=tally)
    assert {v["id"]: v["verdict"] for v in verdicts_of(run)}["SSE-11"] == "WARN"
    assert run.exit_code == 0


def test_an_objective_without_a_measurement_is_missed() -> None:
    run = outcome(objectives=(Objective("job_run", 5.0, operation="chat_stream"),))
    assert run.exit_code == 1
    assert "nothing measured" in run.reasons[0]
    assert outcome(objectives=(Objective("e2e", 1.0, operation="classify"),)).exit_code == 0  # never called


def test_the_dashboard_tells_how_far_and_how_well() -> None:
    lines = describe(good(), 5.0, 20.0)
    assert "5 of 20 s" in lines[0]
    assert lines[0].count("█") == 7
    assert "50 done" in lines[1]
    assert "ttft p50 50.0" in lines[2]
    out = StringIO()
    session = SimpleNamespace(tally=good, elapsed=5.0, seconds_asked=20.0)
    board = Dashboard(session, out)
    board.draw()
    board.draw()
    assert "\x1b[3F" in out.getvalue()  # drawn over the three lines before
    board.start()  # not a terminal: nothing happens


def stepped(*steps: tuple[int, float]) -> Outcome:
    """Steps of three seconds, 10/s more each time; ``(answered per second, end to end)`` in each."""
    tally = Tally()
    for number, (answered, e2e) in enumerate(steps):
        for second in range(3):
            for _ in range(answered):
                tally.add(Observation("chat", e2e, status=200), 3 * number + second, True, "x")
    return outcome("--rate=10", "--shape=step:10:3", tally=tally)


def test_the_knee_is_where_the_rate_or_the_latency_is_not_kept() -> None:
    lines = {
        "knee: not reached; 30/s was kept": stepped((10, 0.1), (20, 0.1), (30, 0.12)),
        "knee: between 20/s and 30/s": stepped((10, 0.1), (20, 0.15), (22, 0.15)),
        "knee: between 10/s and 20/s": stepped((10, 0.1), (20, 0.25), (30, 0.1)),
        "knee: below 10/s": stepped((5, 0.1), (5, 0.1), (5, 0.1)),
    }
    for line, run in lines.items():
        assert line in summary(document_of(run), "out").splitlines()
