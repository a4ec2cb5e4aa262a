"""Each client of the benchmark: how it is started, and how its own report is read.

A client reports the times it saw, in seconds; its error is their distance from the schedule.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, sleep

from load.histogram import Histogram


@dataclass
class Result:
    """What one client reported. ``firsts`` and ``gaps``: ``(seconds, how often)``; memory in MB, start in s."""

    streams_per_second: float
    firsts: list[tuple[float, int]] = field(default_factory=list)
    gaps: list[tuple[float, int]] = field(default_factory=list)
    memory: float = 0.0
    start: float = 0.0


@dataclass(frozen=True)
class Load:
    """What is asked of a client: users, seconds (after ``warmup``), and the processor to run on."""

    url: str
    users: int
    seconds: float
    warmup: float
    prefix: Sequence[str]


Client = Callable[[Load], Result]


def ours(load: Load) -> Result:
    """``aiconform load``, with every check of every stream."""
    with tempfile.TemporaryDirectory() as out:
        command = [
            sys.executable, "-m", "load", load.url, "--users", str(load.users), "--out", out,
            "--duration", str(load.seconds + load.warmup), "--warmup", str(load.warmup),
            "--error-budget-ms", "10000", "--max-cpu", "1000",
        ]  # fmt: skip
        memory, _ = _run([*load.prefix, *command])
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
    )


def bare(load: Load) -> Result:
    """The bare client on uvloop."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = [sys.executable, "-m", "load.bench.bare", load.url, out.name, "--users", str(load.users)]
        times = ["--seconds", str(load.seconds), "--warmup", str(load.warmup)]
        memory, _ = _run([*load.prefix, *command, *times])
        seen = json.loads(Path(out.name).read_text("utf-8"))
    return Result(seen["streams_per_second"], _ones(seen["firsts"]), _ones(seen["gaps"]), memory)


def locust(user: str) -> Client:
    """Locust with one of its own clients (``RequestsUser``, ``FastUser``)."""

    def run(load: Load) -> Result:
        with tempfile.NamedTemporaryFile(suffix=".json") as out:
            command = [
                sys.executable, "-m", "locust", "-f", str(Path(__file__).with_name("users.py")), user, "--headless",
                "--host", load.url, "-u", str(load.users), "-r", str(load.users), "--skip-log-setup",
                "--only-summary", "-t", f"{round(load.seconds + load.warmup)}s",
            ]  # fmt: skip
            env = {**os.environ, "BENCH_OUT": out.name, "BENCH_WARMUP": str(load.warmup)}
            memory, _ = _run([*load.prefix, *command], env)
            seen = json.loads(Path(out.name).read_text("utf-8"))
        return Result(seen["streams_per_second"], _ones(seen["firsts"]), _ones(seen["gaps"]), memory)

    return run


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
        memory, out = _run([*load.prefix, "wrk", *times, f"{load.url}/chat"])
    found = re.search(r"Requests/sec:\s+([0-9.]+)", out)
    if found is None:
        raise RuntimeError(f"wrk said: {out[-200:]}")
    return Result(float(found[1]), memory=memory)


def aiperf(load: Load) -> Result:
    """AIPerf, where its command is (``BENCH_AIPERF`` or on the path) and a tokenizer (``BENCH_TOKENIZER``)."""
    command = os.environ.get("BENCH_AIPERF") or shutil.which("aiperf") or ""
    tokenizer = os.environ.get("BENCH_TOKENIZER", "builtin")
    with tempfile.TemporaryDirectory() as out:
        arguments = [
            "profile", "--model", "truth-1", "--tokenizer", tokenizer, "--use-server-token-count",
            "--endpoint-type", "chat", "--streaming", "--url", load.url.removesuffix("/api/v1"),
            "--endpoint", "/api/v1/chat/completions", "--concurrency", str(load.users),
            "--benchmark-duration", str(max(8, round(load.seconds + load.warmup))), "--ui", "none",
            "--artifact-dir", out, "--export-level", "records",
        ]  # fmt: skip
        # Its processes wait for each other: first come, first served on one core would stop them for good.
        prefix = [*load.prefix[:3], "nice", "-n", "-20"] if "chrt" in load.prefix else load.prefix
        memory, _ = _run([*prefix, command, *arguments])
        records = [
            json.loads(line) for line in (Path(out) / "profile_export.jsonl").read_text("utf-8").splitlines()
        ]
        summary = json.loads((Path(out) / "profile_export_aiperf.json").read_text("utf-8"))
    firsts, gaps = [], []
    for record in records:
        metrics = record["metrics"]
        if "time_to_first_token" in metrics:
            firsts.append(metrics["time_to_first_token"]["value"] / 1000)
        if "inter_token_latency" in metrics:
            gaps.append(metrics["inter_token_latency"]["value"] / 1000)
    return Result(summary["request_throughput"]["avg"], _ones(firsts), _ones(gaps), memory)


def available() -> dict[str, Client]:
    """The clients that are installed, the references first."""
    found: dict[str, Client] = {"bare uvloop client": bare, "aiconform load": ours}
    found["Locust HttpUser, iter_lines"] = locust("RequestsUser")
    found["Locust FastHttpUser, iter_lines"] = locust("FastUser")
    if os.environ.get("BENCH_AIPERF") or shutil.which("aiperf"):
        found["AIPerf"] = aiperf
    return found


def start_time(prefix: Sequence[str]) -> float:
    """Seconds from the start of our command to its first request, seen by a server that only waits for it."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        port = listener.getsockname()[1]
        command = [
            sys.executable,
            "-m",
            "load",
            f"http://127.0.0.1:{port}",
            "--users",
            "1",
            "--duration",
            "1",
        ]
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


def _run(command: Sequence[str], env: dict[str, str] | None = None) -> tuple[float, str]:
    """Run to the end; ``(peak memory in MB of the process, standard output)``.

    The peak is read from the running process: what ``wait4`` gives includes its parent's, from before ``exec``.
    """
    peak = 0.0
    with tempfile.TemporaryFile("w+") as out:
        with subprocess.Popen([*command], stdout=out, stderr=subprocess.DEVNULL, env=env) as process:
            while process.poll() is None:
                peak = max(peak, memory_of(process.pid, "VmHWM"))
                sleep(0.1)
        out.seek(0)
        return peak, out.read()


def memory_of(pid: int, field: str) -> float:
    """``VmRSS`` or ``VmHWM`` of a process in MB (Linux), 0 where that is unknown."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:")), 0.0)


def _ones(times: list[float]) -> list[tuple[float, int]]:
    return [(t, 1) for t in times]
