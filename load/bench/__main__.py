"""``python -m load.bench``: all clients against the known schedule and the no-delay server, in one run.

The server has one core to itself, the client another. Each repetition runs every client once, so that a change of
the machine's mood hits all; medians are compared, the spread is shown.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from load.bench.clients import Client, Load, Result, available, ours, start_time, wrk
from load.calibrate import FIRST, GAP, errors, truth_server

SERVER_CORE, CLIENT_CORE = "0", "1"


@dataclass
class Row:
    """All repetitions of one client: milliseconds, streams per second, MB."""

    first_p50: list[float] = field(default_factory=list)
    first_p99: list[float] = field(default_factory=list)
    gap_p50: list[float] = field(default_factory=list)
    gap_p99: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)


def main() -> int:
    options = _options()
    prefix = ["chrt", "-f", "1"] if options.realtime else []
    rows: dict[str, Row] = {}
    clients = available()
    for number in range(options.repeat):
        _say(f"repetition {number + 1} of {options.repeat}")
        with server(prefix, "--first-ms", str(FIRST * 1000), "--token-ms", str(GAP * 1000)) as url:
            for name, client in clients.items():
                _timed(rows.setdefault(name, Row()), name, client, _load(url, 256, options, prefix))
        with server(prefix, "--first-ms", "0", "--token-ms", "0") as url:
            for name, client in {"wrk": wrk, **clients}.items():
                _fast(rows.setdefault(name, Row()), name, client, _load(url, 64, options, prefix))
    pair = [_pair(prefix, options) for _ in range(options.repeat)]
    start = [start_time(["taskset", "-c", CLIENT_CORE, *prefix]) for _ in range(options.repeat)]
    text = report(rows, pair, start, options)
    sys.stdout.write(text)
    if options.out:
        Path(options.out).write_text(text, "utf-8")
    return 0


def server(prefix: list[str], *arguments: str, core: str = SERVER_CORE) -> AbstractContextManager[str]:
    """The ground-truth server on its own core."""
    return truth_server(*arguments, prefix=["taskset", "-c", core, *prefix])


def report(
    rows: dict[str, Row], pair: list[tuple[float, float]], start: list[float], options: argparse.Namespace
) -> str:
    """The table and the ratios, as Markdown."""
    lines = [
        (
            f"Median of {options.repeat} repetitions (smallest … largest), {options.seconds:g} s each after "
            f"{options.warmup:g} s of warm-up; 256 streams at once for the errors, 64 for streams/s."
        ),
        "",
        "| client | TTFT error p50 ms | p99 ms | gap error p50 ms | p99 ms | streams/s | memory MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        cells = [row.first_p50, row.first_p99, row.gap_p50, row.gap_p99, row.rate, row.memory]
        lines.append(f"| {name} | " + " | ".join(_cell(c) for c in cells) + " |")
    us, base = rows["aiconform load"], rows["bare uvloop client"]
    lines += ["", "| demand | seen |", "|---|---|"]
    for what in ("first_p50", "first_p99", "gap_p50", "gap_p99"):
        ratio = _median(getattr(us, what)) / max(1e-9, _median(getattr(base, what)))
        name = what.replace("first", "TTFT error").replace("gap", "gap error").replace("_", " ")
        lines.append(f"| {name} at most 3 × the bare client | {ratio:.2f} × |")
    wrks = rows["wrk"].rate
    pairs = [mine / theirs for mine, theirs in zip(us.rate, wrks, strict=True)]
    lines.append(
        f"| at least 0.65 × wrk's streams/s | {_median(us.rate) / _median(wrks):.2f} × ({_spread(pairs)}) |"
    )
    if "AIPerf" in rows and rows["AIPerf"].rate:
        lines.append(
            f"| at least 5 × AIPerf's streams/s | {_median(us.rate) / _median(rows['AIPerf'].rate):.1f} × |"
        )
    ratios = [two / one for one, two in pair]
    lines.append(
        f"| two processes on two cores, at least 1.7 × one | {median(ratios):.2f} × ({_spread(ratios)}) |"
    )
    lines.append(f"| peak memory under 100 MB | {max(us.memory):.0f} MB |")
    lines.append(f"| start to first request under 1.5 s | {median(start):.2f} s ({_spread(start)}) |")
    return "\n".join(lines) + "\n"


def _timed(row: Row, name: str, client: Client, load: Load) -> None:
    result = _try(name, client, load)
    if result is None:
        return
    for times, true, p50, p99 in (
        (result.firsts, FIRST, row.first_p50, row.first_p99),
        (result.gaps, GAP, row.gap_p50, row.gap_p99),
    ):
        if times:
            low, high = errors(times, true)
            p50.append(low)
            p99.append(high)
    row.memory.append(result.memory)
    _say(f"  {name}: {json.dumps({'ttft': errors(result.firsts, FIRST), 'gap': errors(result.gaps, GAP)})}")


def _fast(row: Row, name: str, client: Client, load: Load) -> None:
    result = _try(name, client, load)
    if result is None:
        return
    row.rate.append(result.streams_per_second)
    row.memory.append(result.memory)
    _say(f"  {name}: {result.streams_per_second:,.0f} streams/s, {result.memory:.0f} MB")


def _try(name: str, client: Client, load: Load) -> Result | None:
    """A tool that fails leaves its cells empty; ours and the references must not."""
    try:
        return client(load)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        if name in ("aiconform load", "bare uvloop client", "wrk"):
            raise
        _say(f"  {name} failed: {error}")
        return None


def _pair(prefix: list[str], options: argparse.Namespace) -> tuple[float, float]:
    """Streams/s of one load process, and of two at once. Each shares its core with a server of its own, so that
    on two cores the second process has a core and a server as the first has."""
    from concurrent.futures import ThreadPoolExecutor

    def on(core: str, url: str) -> float:
        pinned = ["taskset", "-c", core, *prefix]
        return ours(Load(url, 64, options.seconds, options.warmup, pinned)).streams_per_second

    with server(prefix, "--first-ms", "0", "--token-ms", "0", core="0") as first:
        alone = on("0", first)
        with (
            server(prefix, "--first-ms", "0", "--token-ms", "0", core="1") as second,
            ThreadPoolExecutor(2) as pool,
        ):
            both = sum(pool.map(on, ("0", "1"), (first, second)))
    _say(f"  one process {alone:,.0f}, two {both:,.0f} streams/s")
    return alone, both


def _load(url: str, users: int, options: argparse.Namespace, prefix: list[str]) -> Load:
    return Load(url, users, options.seconds, options.warmup, ["taskset", "-c", CLIENT_CORE, *prefix])


def _median(values: list[float]) -> float:
    return median(values) if values else float("nan")


def _spread(values: list[float]) -> str:
    return f"{min(values):.3g} … {max(values):.3g}"


def _cell(values: list[float]) -> str:
    return f"{median(values):,.4g} ({_spread(values)})" if values else "–"


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m load.bench", description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--warmup", type=float, default=2.0)
    parser.add_argument(
        "--realtime", action="store_true", help="SCHED_FIFO (root): other work cannot disturb"
    )
    parser.add_argument("--out", default="", help="write the tables here too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
