"""`make bench`: what the contract costs, as a ratio to bare Starlette on the same server, in one run.

Both servers stand side by side, pinned to the first core; the client is pinned to the last. Rounds alternate between
them, so that a slow moment of the machine meets both. Prints medians with their spread; asserts nothing.
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
        stack.enter_context(_Process("-m", "reference_impl", *options))
        _await_port(ours)
        (folder / "answer").write_bytes(_once(ours, "/api/v1/classify", CLASSIFY))
        (folder / "stream").write_bytes(_once(ours, "/api/v1/chat", CHAT))
        stack.enter_context(_Process(str(HERE / "bare.py"), str(folder), str(bare)))
        _await_port(bare)
        for path, body, unit in (("/api/v1/classify", CLASSIFY, "answers"), ("/api/v1/chat", CHAT, "events")):
            _compare(path, body, unit, ours, bare)


def _compare(path: str, body: bytes, unit: str, ours: int, bare: int) -> None:
    request = _request(path, body)
    for port in (ours, bare):
        _hammer(port, request, 0.5)
    rounds = []
    for number in range(ROUNDS):
        a, b = (_hammer(port, request, SECONDS)[f"{unit}_per_s"] for port in (ours, bare))
        rounds.append((a, b, a / b))
        print(f"  {path} round {number + 1}/{ROUNDS}: {a:.0f} of {b:.0f} {unit}/s", file=sys.stderr)
    mine, theirs, ratios = (list(column) for column in zip(*rounds, strict=True))
    print(
        f"{path}: reference {statistics.median(mine):.0f}, bare Starlette {statistics.median(theirs):.0f} {unit}/s; "
        f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}, {ROUNDS} rounds)"
    )


def _request(path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer sk-demo\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _hammer(port: int, request: bytes, seconds: float) -> dict[str, float]:
    command = [sys.executable, str(HERE / "hammer.py"), str(port), str(CONNECTIONS), str(seconds)]
    done = subprocess.run(
        command, input=request, capture_output=True, check=True, preexec_fn=lambda: os.sched_setaffinity(0, CORES[-1:])
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


class _Process:
    """A server on the first core, stopped at the end."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments

    def __enter__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *self._arguments],
            stdout=subprocess.DEVNULL,
            preexec_fn=lambda: os.sched_setaffinity(0, CORES[:1]),
        )

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
