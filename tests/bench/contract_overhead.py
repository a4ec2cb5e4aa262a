"""`make bench`: what the contract costs, as a ratio to bare Starlette on the same server, in one run.

Both servers stand side by side, pinned to the first core; the client is pinned to the last. Rounds alternate between
them, so that a slow moment of the machine meets both. Two figures each: per second of the clock, and per second of
the server's own CPU time, which a busy machine cannot spoil. Prints medians with their spread; asserts nothing.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).parent
CORES = sorted(os.sched_getaffinity(0))
CONNECTIONS, SECONDS, ROUNDS = 16, 2.0, 5
CLASSIFY = json.dumps({"text": "My invoice was charged twice and I want a refund."}).encode()
CHAT = json.dumps(
    {
        "messages": [{"role": "user", "content": "Repeat exactly: " + "word " * 200}],
        "stream": True,
        "max_output_tokens": 256,
    }
).encode()


def main() -> None:
    """Measure and print."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ours, bare = _free_port(), _free_port()
        options = ["--port", str(ours), "--db", str(folder / "bench.sqlite"), "--rate-limits", "off"]
        reference = stack.enter_context(_Process("-m", "reference_impl", *options))
        _await_port(ours)
        (folder / "answer").write_bytes(_once(ours, "/api/v1/classify", CLASSIFY))
        (folder / "stream").write_bytes(_once(ours, "/api/v1/chat", CHAT))
        starlette = stack.enter_context(_Process(str(HERE / "bare.py"), str(folder), str(bare)))
        _await_port(bare)
        servers = ((ours, reference), (bare, starlette))
        for path, body, unit in (("/api/v1/classify", CLASSIFY, "answers"), ("/api/v1/chat", CHAT, "events")):
            _compare(path, body, unit, servers)


def _compare(path: str, body: bytes, unit: str, servers: Sequence[tuple[int, int]]) -> None:
    """`servers` are (port, process id) of the reference and of the yardstick."""
    request = _request(path, body)
    for port, _ in servers:
        _hammer(port, request, 0.5)
    clock, cpu = [], []
    for number in range(ROUNDS):
        measured = [_round(port, pid, request, unit) for port, pid in servers]
        clock.append([per_second for per_second, _ in measured])
        cpu.append([per_cpu_second for _, per_cpu_second in measured])
        print(f"  {path} round {number + 1}/{ROUNDS}", file=sys.stderr)
    for rounds, per in ((clock, "s"), (cpu, "CPU s")):
        ratios = [mine / theirs for mine, theirs in rounds]
        mine, theirs = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(
            f"{path}: reference {mine:.0f}, bare Starlette {theirs:.0f} {unit} per {per}; ratio "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}, {ROUNDS} rounds)"
        )


def _round(port: int, pid: int, request: bytes, unit: str) -> tuple[float, float]:
    before = _cpu_s(pid)
    measured = _hammer(port, request, SECONDS)
    return measured[f"{unit}_per_s"], measured[unit] / (_cpu_s(pid) - before)


def _cpu_s(pid: int) -> float:
    # proc(5): fields 14 and 15, counted after the command's closing parenthesis.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _request(path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer sk-demo\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _hammer(port: int, request: bytes, seconds: float) -> dict[str, float]:
    command = [sys.executable, str(HERE / "hammer.py"), str(port), str(CONNECTIONS), str(seconds)]
    done = subprocess.run(
        command,
        input=request,
        capture_output=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, CORES[-1:]),
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


class _Process:
    """A server on the first core, stopped at the end."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments

    def __enter__(self) -> int:
        self._process = subprocess.Popen(
            [sys.executable, *self._arguments],
            stdout=subprocess.DEVNULL,
            preexec_fn=lambda: os.sched_setaffinity(0, CORES[:1]),
        )
        return self._process.pid

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)


def _once(port: int, path: str, body: bytes) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"Authorization": "Bearer sk-demo", "Content-Type": "application/json"}
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    if answer.status != 200:
        sys.exit(f"{path} answered {answer.status}: {content[:300]!r}")
    return content


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_port(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                sys.exit("the server did not start")
            time.sleep(0.05)


if __name__ == "__main__":
    main()
