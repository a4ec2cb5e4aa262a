"""``python -m load.bench.soak``: a long open loop against the no-delay server. What grows or gets lost shows.

Passes if the client's memory does not grow in the second half, no requirement is reported broken, and client and
server count the same.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from load.bench.clients import memory_of
from load.calibrate import truth_server

GROWTH = 1.05
"""Memory may grow by this factor in the second half. In the first a run of ten minutes collects a point per second,
some 12 kB each, until it has ``MAX_INTERVALS`` of them."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m load.bench.soak", description=__doc__)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=600.0)
    options = parser.parse_args()
    with truth_server("--first-ms", "0", "--token-ms", "0") as url, tempfile.TemporaryDirectory() as out:
        code, memory = _soak(url, options.rate, options.seconds, out)
        document = json.loads((Path(out) / "load.json").read_text("utf-8"))
        with urlopen(f"{url}/counts") as answer:  # noqa: S310 - our own server on this machine
            server = json.load(answer)
    problems = _problems(document, server, memory)
    operation = document["operations"]["chat_stream"]
    sys.stdout.write(
        f"{document['duration_seconds']:.0f} s at {options.rate:g}/s: client {operation['requests']:,} requests, "
        f"{operation['ok']:,} ok; server {server['requests']['chat']:,} requests, {server['whole']:,} whole\n"
        f"memory of the client after a tenth, in the middle, at the end: "
        f"{', '.join(f'{m:.1f} MB' for m in _three(memory))}\n"
        f"verdicts: {document['contract']['summary']['verdicts']}\n"
        f"loop lag p99 {document['client']['loop_lag']['p99']:.2f} ms, exit code {code}"
        f"{' (INVALID: ' + '; '.join(document['client']['doubts']) + ')' if document['client']['doubts'] else ''}\n"
    )
    for problem in problems:
        sys.stdout.write(f"FAILED: {problem}\n")
    sys.stdout.write("passed\n" if not problems else "")
    return 1 if problems else 0


def _soak(url: str, rate: float, seconds: float, out: str) -> tuple[int, list[float]]:
    """Run the load; ``(exit code, memory in MB, once a second)``."""
    command = [sys.executable, "-m", "load", url, f"--rate={rate}", f"--duration={seconds}", f"--out={out}"]
    memory: list[float] = []
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            memory.append(memory_of(process.pid, "VmRSS"))
            with suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
    return process.returncode, [m for m in memory if m]


def _problems(document: dict[str, Any], server: dict[str, Any], memory: list[float]) -> list[str]:
    operation, client = document["operations"]["chat_stream"], document["client"]
    found = []
    if (
        not operation["requests"]
        == operation["ok"]
        == client["sent"]
        == server["requests"]["chat"]
        == server["whole"]
    ):
        found.append("client and server do not count the same")
    if broken := [v["id"] for v in document["contract"]["verdicts"] if v["verdict"] in ("FAIL", "WARN")]:
        found.append(f"false violations: {', '.join(broken)}")
    _, middle, late = _three(memory)
    if late > middle * GROWTH:
        found.append(f"memory grew from {middle:.1f} MB in the middle to {late:.1f} MB")
    return found


def _three(memory: list[float]) -> tuple[float, float, float]:
    """Early, middle and late memory; the last seconds, in which the report is written, do not count."""
    run = memory[:-5] if len(memory) > 10 else memory
    return run[len(run) // 10], run[len(run) // 2], run[-1]


if __name__ == "__main__":
    sys.exit(main())
