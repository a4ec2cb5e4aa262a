"""``aiconform load calibrate``: the client's own error, measured against a server whose schedule is known."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import configargparse

from load.errors import INVALID, OK, UNREACHABLE
from load.histogram import Histogram

FIRST, GAP, TOKENS = 0.050, 0.010, 32
"""The schedule: seconds to the first token and between tokens, and how many."""

Times = Sequence[tuple[float, int]]


def errors(times: Times, true: float) -> tuple[float, float]:
    """p50 and p99 of the distance of ``(seconds, how often)`` from the truth, in milliseconds."""
    away = sorted((abs(t - true), n) for t, n in times)
    total = sum(n for _, n in away)
    found = []
    for share in (0.5, 0.99):
        seen = 0
        for distance, n in away:
            seen += n
            if seen >= share * total:
                found.append(distance * 1000)
                break
        else:
            found.append(float("nan"))
    return found[0], found[1]


@contextmanager
def truth_server(*arguments: str, prefix: Sequence[str] = ()) -> Generator[str]:
    """The ground-truth server as a process of its own; yields its base URL."""
    command = [*prefix, sys.executable, "-m", "load.ground_truth", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip().removeprefix("ready ")
        finally:
            process.terminate()


def calibrate_command(arguments: list[str]) -> int:
    """Run the load that was asked for against the known schedule; INVALID if our own error is beyond the budget."""
    parser = configargparse.ArgumentParser(
        prog="aiconform load calibrate",
        allow_abbrev=False,
        description="Measure the client itself: run the requested load against a server whose schedule is known "
        f"(first token {FIRST * 1000:g} ms, then {TOKENS} tokens every {GAP * 1000:g} ms).",
        epilog="Exit codes: 0 within the error budget, 4 beyond it.",
    )
    parser.add_argument("--users", type=int, default=None, help="closed loop (default 64)")
    parser.add_argument("--rate", default=None, metavar="N/s", help="open loop")
    parser.add_argument("--duration", type=float, default=10.0, metavar="S")
    parser.add_argument("--processes", type=int, default=1, metavar="N")
    parser.add_argument("--error-budget-ms", type=float, default=20.0, metavar="MS")
    options = parser.parse_args(arguments)
    loop = [f"--rate={options.rate}"] if options.rate else [f"--users={options.users or 64}"]
    with tempfile.TemporaryDirectory() as out, truth_server() as url:
        command = [
            sys.executable, "-m", "load", url, *loop, f"--duration={options.duration}", f"--out={out}",
            f"--processes={options.processes}", f"--error-budget-ms={options.error_budget_ms}", "--warmup=1",
        ]  # fmt: skip
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        file = Path(out) / "load.json"
        if not file.is_file():
            sys.stderr.write(run.stderr)
            return run.returncode or UNREACHABLE
        document = json.loads(file.read_text("utf-8"))
    text, good = describe(document, options.error_budget_ms)
    sys.stdout.write(text)
    return OK if good else INVALID


def describe(document: dict[str, Any], budget: float) -> tuple[str, bool]:
    """The calibration in words, and whether it is within the budget (milliseconds)."""
    operation, client = document["operations"].get("chat_stream", {}), document["client"]
    times = {n: Histogram.of_plain(h).points() for n, h in operation.get("histograms", {}).items()}
    first, gap = errors(times.get("ttft", ()), FIRST), errors(times.get("itl", ()), GAP)
    doubts = list(client["doubts"])
    for name, (_, p99) in (("time to first token", first), ("inter-token latency", gap)):
        if not p99 <= budget:
            doubts.append(f"the error of the {name} is {p99:.2f} ms (p99); the budget is {budget:g} ms")
    lines = [
        document["load"]["label"],
        f"error of the time to first token: p50 {first[0]:.2f} ms, p99 {first[1]:.2f} ms",
        f"error of the inter-token latency: p50 {gap[0]:.2f} ms, p99 {gap[1]:.2f} ms",
        (
            f"{client['completed_per_second']:,.1f} streams/s, at most {client['busiest']:,} open, loop lag p99 "
            f"{client['loop_lag']['p99']:.2f} ms, CPU {client['cpu']:.0%} of a core"
        ),
        *(f"INVALID: {doubt}" for doubt in doubts),
        "beyond the error budget" if doubts else f"within the error budget of {budget:g} ms",
    ]
    return "\n".join(lines) + "\n", not doubts
