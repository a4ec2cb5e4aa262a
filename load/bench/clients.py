"""Each client of the benchmark: how it is started, and how its own report is read.

A client reports the times it saw, in seconds; its error is their distance from the schedule.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from load.bench import aiperf
from load.bench.process import run
from load.bench.result import Client, Load, Result, ones
from load.histogram import Histogram

US, BARE, WRK, AIPERF = "aiconform load", "bare uvloop client", "wrk", "AIPerf"


def ours(load: Load) -> Result:
    """``aiconform load``, with every check of every stream."""
    with tempfile.TemporaryDirectory() as out:
        command = [
            sys.executable, "-m", "load", load.url, "--users", str(load.users), "--out", out,
            "--duration", str(load.seconds + load.warmup), "--warmup", str(load.warmup),
            "--error-budget-ms", "10000", "--max-cpu", "1000",
        ]  # fmt: skip
        memory, _ = run([*load.prefix, *command], load.seconds + load.warmup)
        document = json.loads((Path(out) / "load.json").read_text("utf-8"))
    if not document["contract"]["gate"]["passed"]:
        raise RuntimeError(f"a false violation: {document['contract']['gate']['reasons']}")
    operation = document["operations"]["chat_stream"]
    times = {n: Histogram.of_plain(h) for n, h in operation["histograms"].items()}
    counted = document["duration_seconds"] - load.warmup
    return Result(
        operation["ok"] / counted,
        times["ttft"].points() if "ttft" in times else [],
        times["itl"].points() if "itl" in times else [],
        memory,
        document["client"]["cpu"] * document["duration_seconds"] * 1e6 / max(1, document["client"]["sent"]),
    )


def bare(load: Load) -> Result:
    """The bare client on uvloop."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = [sys.executable, "-m", "load.bench.bare", load.url, out.name, "--users", str(load.users)]
        times = ["--seconds", str(load.seconds), "--warmup", str(load.warmup)]
        memory, _ = run([*load.prefix, *command, *times], load.seconds + load.warmup)
        seen = json.loads(Path(out.name).read_text("utf-8"))
    return Result(seen["streams_per_second"], ones(seen["firsts"]), ones(seen["gaps"]), memory)


def locust(user: str) -> Client:
    """Locust with one of its own clients (``RequestsUser``, ``FastUser``)."""

    def client(load: Load) -> Result:
        with tempfile.NamedTemporaryFile(suffix=".json") as out:
            command = [
                sys.executable, "-m", "locust", "-f", str(Path(__file__).with_name("users.py")), user, "--headless",
                "--host", load.url, "-u", str(load.users), "-r", str(load.users), "--skip-log-setup",
                "--only-summary", "-t", f"{round(load.seconds + load.warmup)}s",
            ]  # fmt: skip
            env = {**os.environ, "BENCH_OUT": out.name, "BENCH_WARMUP": str(load.warmup)}
            memory, _ = run([*load.prefix, *command], load.seconds + load.warmup, env)
            seen = json.loads(Path(out.name).read_text("utf-8"))
        return Result(seen["streams_per_second"], ones(seen["firsts"]), ones(seen["gaps"]), memory)

    return client


def wrk(load: Load) -> Result:
    """wrk parses nothing: the server's limit."""
    script = (
        'wrk.method="POST"\nwrk.body=\'{"messages": [{"role": "user", "content": "hello"}], "stream": true}\'\n'
        'wrk.headers["Content-Type"]="application/json"\nwrk.headers["Accept"]="text/event-stream"\n'
    )
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        times = ["-t1", f"-c{load.users}", f"-d{round(load.seconds)}s", "-s", file.name]
        memory, out = run([*load.prefix, "wrk", *times, f"{load.url}/chat"], load.seconds)
    found = re.search(r"Requests/sec:\s+([0-9.]+)", out)
    if found is None:
        raise RuntimeError(f"wrk said: {out[-200:]}")
    return Result(float(found[1]), memory=memory)


def available(realtime: bool) -> dict[str, Client]:
    """The clients that are installed, the references first. AIPerf's processes wait for each other, which no class of
    real time on one core allows: it is left out then, rather than measured in conditions of its own."""
    found: dict[str, Client] = {BARE: bare, US: ours}
    found["Locust HttpUser, iter_lines"] = locust("RequestsUser")
    found["Locust FastHttpUser, iter_lines"] = locust("FastUser")
    if aiperf.command() and not realtime:
        found[AIPERF] = aiperf.aiperf
    return found


def start_time(prefix: Sequence[str]) -> float:
    """Seconds from the start of our command to its first request, seen by a server that only waits for it."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        port = listener.getsockname()[1]
        target = f"http://127.0.0.1:{port}"
        command = [*prefix, sys.executable, "-m", "load", target, "--users", "1", "--duration", "1"]
        if "chrt" in prefix:  # who looks at the clock must not wait for a processor either
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        begun = perf_counter()
        process = subprocess.Popen(
            [*command, "--out", tempfile.gettempdir() + "/aiconform-bench", "--timeout", "1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            connection, _ = listener.accept()
            connection.settimeout(30)
            connection.recv(1)
            took = perf_counter() - begun
            connection.close()
        finally:
            process.terminate()
            process.wait(10)
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return took
