"""``python -m load.bench``: all clients against the known schedule and the no-delay server, in one run.

The server has one core to itself, the client another. Each repetition runs every client once, so that a change of
the machine's mood hits all; medians are compared, the spread is shown. Exit code 1 if a demand is not met.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic

from load.bench.clients import BARE, US, WRK, available, ours, start_time, wrk
from load.bench.goals import Row, goals, tables
from load.bench.result import Client, Load, Result
from load.calibrate import FIRST, GAP, errors, truth_server

SERVER_CORE, CLIENT_CORE = "0", "1"
TIMED_USERS, FAST_USERS = 256, 64
SCHEDULE = ("--first-ms", f"{FIRST * 1000:g}", "--token-ms", f"{GAP * 1000:g}")
NO_DELAY = ("--first-ms", "0", "--token-ms", "0")


class Progress:
    """Tells on standard error how far the benchmark is, since it takes minutes."""

    def __init__(self, steps: int) -> None:
        self.steps, self.done, self.begun = steps, 0, monotonic()

    def step(self, text: str) -> None:
        self.done += 1
        sys.stderr.write(f"[{self.done:>2}/{self.steps}, {monotonic() - self.begun:4.0f} s] {text}\n")
        sys.stderr.flush()


def main() -> int:
    options = _options()
    prefix = ["chrt", "-f", "1"] if options.realtime else []
    clients = available(options.realtime)
    fast = {WRK: wrk, **clients}
    progress = Progress(options.repeat * (len(clients) + len(fast) + 2))
    rows: dict[str, Row] = {name: Row() for name in (*clients, WRK)}
    pairs, start = [], []
    for _ in range(options.repeat):
        with _server(prefix, *SCHEDULE) as url:
            for name, client in clients.items():
                progress.step(_timed(rows[name], name, client, _load(url, TIMED_USERS, options, prefix)))
        with _server(prefix, *NO_DELAY) as url:
            for name, client in fast.items():
                progress.step(_fast(rows[name], name, client, _load(url, FAST_USERS, options, prefix)))
        one, two = _pair(prefix, options)
        pairs.append((one, two))
        progress.step(f"one process {one:,.0f}, two {two:,.0f} streams/s")
        start.append(start_time(["taskset", "-c", CLIENT_CORE, *prefix]))
        progress.step(f"first request after {start[-1]:.2f} s")
    found = goals(rows, pairs, start)
    text = (
        f"Median of {options.repeat} repetitions (smallest … largest), {options.seconds:g} s each after "
        f"{options.warmup:g} s of warm-up{', all under SCHED_FIFO' if options.realtime else ''}; {TIMED_USERS} streams "
        f"at once for the errors, {FAST_USERS} for streams/s.\n\n{tables(rows, found)}"
    )
    sys.stdout.write(text)
    if options.out:
        Path(options.out).write_text(text, "utf-8")
    return 1 if any(goal.met is False for goal in found) else 0


def _server(prefix: list[str], *arguments: str, core: str = SERVER_CORE) -> AbstractContextManager[str]:
    """The ground-truth server on its own core."""
    return truth_server(*arguments, prefix=["taskset", "-c", core, *prefix])


def _timed(row: Row, name: str, client: Client, load: Load) -> str:
    """Its errors against the schedule; gives a line for the progress."""

    def note(result: Result) -> str:
        seen = []
        for times, true, p50, p99 in (
            (result.firsts, FIRST, row.first_p50, row.first_p99),
            (result.gaps, GAP, row.gap_p50, row.gap_p99),
        ):
            if times:
                low, high = errors(times, true)
                p50.append(low)
                p99.append(high)
                seen.append(f"{low:.2f}/{high:.2f}")
        row.memory.append(result.memory)
        return f"TTFT and gap error p50/p99 {', '.join(seen) or 'not reported'} ms, {result.memory:.0f} MB"

    return _try(name, client, load, note)


def _fast(row: Row, name: str, client: Client, load: Load) -> str:
    """Its streams per second against the server without delay."""

    def note(result: Result) -> str:
        row.rate.append(result.streams_per_second)
        row.memory.append(result.memory)
        if result.cpu is not None:
            row.cpu.append(result.cpu)
        return f"{result.streams_per_second:,.0f} streams/s, {result.memory:.0f} MB"

    return _try(name, client, load, note)


def _try(name: str, client: Client, load: Load, note: Callable[[Result], str]) -> str:
    """A tool that fails leaves its cells empty; ours and the references must not."""
    try:
        return f"{name}: {note(client(load))}"
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        if name in (US, BARE, WRK):
            raise
        return f"{name} failed: {' '.join(str(error).split())[:200]}"


def _pair(prefix: list[str], options: argparse.Namespace) -> tuple[float, float]:
    """Streams/s of one load process, and of two at once. Each shares its core with a server of its own, so that
    on two cores the second process has a core and a server as the first has."""

    def on(core: str, url: str) -> float:
        pinned = ["taskset", "-c", core, *prefix]
        return ours(Load(url, FAST_USERS, options.seconds, options.warmup, pinned)).streams_per_second

    with _server(prefix, *NO_DELAY, core="0") as first:
        alone = on("0", first)
        with _server(prefix, *NO_DELAY, core="1") as second, ThreadPoolExecutor(2) as pool:
            both = sum(pool.map(on, ("0", "1"), (first, second)))
    return alone, both


def _load(url: str, users: int, options: argparse.Namespace, prefix: list[str]) -> Load:
    return Load(url, users, options.seconds, options.warmup, ["taskset", "-c", CLIENT_CORE, *prefix])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m load.bench", description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--warmup", type=float, default=1.5)
    parser.add_argument(
        "--realtime",
        action="store_true",
        help="SCHED_FIFO (root): other work on the machine cannot disturb; leaves AIPerf out",
    )
    parser.add_argument("--out", default="", help="write the tables here too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
