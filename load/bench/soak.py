"""``python -m load.bench.soak``: a long open loop against the no-delay server. What grows or gets lost shows.

Passes if the client's memory is flat once it has warmed up (``load.bench.flat``), no requirement is reported broken,
and client and server count the same.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.request import urlopen

from load.bench.flat import Trend, trend
from load.bench.process import memory_of
from load.calibrate import truth_server

TELL = 30.0
"""Seconds between two lines of progress."""

SHOWN = 10
"""Points of the series that are printed."""

STARTING, ENDING = 3, 5
"""Seconds at the start and before the end that do not count: modules are imported, the report is written."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m load.bench.soak", description=__doc__)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--out", default="", help="write the table here too")
    options = parser.parse_args()
    with truth_server("--first-ms", "0", "--token-ms", "0") as url, tempfile.TemporaryDirectory() as out:
        code, memory = _soak(url, options.rate, options.seconds, out)
        document = json.loads((Path(out) / "load.json").read_text("utf-8"))
        with urlopen(f"{url}/counts") as answer:  # noqa: S310 - our own server on this machine
            server = json.load(answer)
    memory = [(t, mb) for t, mb in memory if STARTING < t < options.seconds - ENDING]
    found = trend(memory)
    problems = _problems(document, server, found)
    text = _table(options, document, server, memory, found) + _rest(document, code)
    text += "".join(f"FAILED: {problem}\n" for problem in problems) or "passed\n"
    sys.stdout.write(text)
    if options.out:
        Path(options.out).write_text(text, "utf-8")
    return 1 if problems else 0


def _table(
    options: argparse.Namespace,
    document: dict[str, Any],
    server: dict[str, Any],
    memory: list[tuple[float, float]],
    found: Trend,
) -> str:
    operation = document["operations"]["chat_stream"]
    broken = [v["id"] for v in document["contract"]["verdicts"] if v["verdict"] in ("FAIL", "WARN")]
    series = [memory[round(i * (len(memory) - 1) / (SHOWN - 1))] for i in range(SHOWN)]
    rows = {
        "load": f"{document['duration_seconds']:.0f} s at {options.rate:g} streams/s, open loop",
        "client": f"{operation['requests']:,} requests, {operation['ok']:,} ok",
        "server": f"{server['requests']['chat']:,} requests, {server['whole']:,} whole",
        "violations reported": ", ".join(broken) or "none",
        "memory": str(found),
        "its series": ", ".join(f"{mb:.1f} MB at {t:.0f} s" for t, mb in series),
    }
    return "| | |\n|---|---|\n" + "".join(f"| {k} | {v} |\n" for k, v in rows.items()) + "\n"


def _rest(document: dict[str, Any], code: int) -> str:
    client = document["client"]
    doubts = f" (INVALID as to its times: {'; '.join(client['doubts'])})" if client["doubts"] else ""
    return (
        f"verdicts: {document['contract']['summary']['verdicts']}\n"
        f"loop lag p99 {client['loop_lag']['p99']:.2f} ms, at most {client['busiest']:,} open, "
        f"{client['connections']:,} connections, CPU {client['cpu']:.0%} of a core, exit code {code}{doubts}\n"
    )


def _soak(url: str, rate: float, seconds: float, out: str) -> tuple[int, list[tuple[float, float]]]:
    """Run the load; ``(exit code, (seconds since the start, memory in MB) once a second)``."""
    command = [sys.executable, "-m", "load", url, f"--rate={rate}", f"--duration={seconds}", f"--out={out}"]
    memory: list[tuple[float, float]] = []
    begun, told = monotonic(), 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            now = monotonic() - begun
            if used := memory_of(process.pid, "VmRSS"):
                memory.append((now, used))
            if now - told >= TELL:
                told = now
                sys.stderr.write(f"{now:.0f} of {seconds:.0f} s, {used:.1f} MB\n")
                sys.stderr.flush()
            with suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
    return process.returncode, memory


def _problems(document: dict[str, Any], server: dict[str, Any], found: Trend) -> list[str]:
    operation, client = document["operations"]["chat_stream"], document["client"]
    problems = []
    if (
        not operation["requests"]
        == operation["ok"]
        == client["sent"]
        == server["requests"]["chat"]
        == server["whole"]
    ):
        problems.append("client and server do not count the same")
    if broken := [v["id"] for v in document["contract"]["verdicts"] if v["verdict"] in ("FAIL", "WARN")]:
        problems.append(f"false violations: {', '.join(broken)}")
    if not found.flat:
        problems.append(f"memory is not shown to be flat: {found}")
    return problems


if __name__ == "__main__":
    sys.exit(main())
