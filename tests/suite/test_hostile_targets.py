"""A whole run against a server that misbehaves: bounded time and memory, a verdict, no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

pytestmark = pytest.mark.slow

SERVERS = Path(__file__).parents[1] / "hostile" / "servers.py"
LONGEST = 60.0
MEMORY = 300 * 1024  # KiB
# VmHWM starts afresh with the program; ru_maxrss would be inherited from pytest, which may be larger than the run.
RUN = """
import sys
from pathlib import Path
from conformance.cli import main
try:
    main()
finally:
    status = Path("/proc/self/status").read_text()
    print(status.split("VmHWM:")[1].split()[0], file=sys.stderr)
"""
CASES = [
    "hang",
    "drip_body",
    "endless_stream",
    "huge_body",
    "endless_headers",
    "gzip_bomb",
    "brotli_bomb",
    "reset_at_once",
    "reset_in_body",
    "reset_in_character",
    "redirect_to_itself",
    "not_http",
    "two_content_lengths",
    "length_and_chunks",
    "second_response",
    "deep_json",
    "deep_events",
    "huge_integers",
    "huge_retry_after",
    "huge_limits",
    "invalid_utf8",
    "broken_gzip",
    "dies_midway",
    "recovers",
    "fails_now_and_then",
]

COMPLETE = frozenset(
    [
        "length_and_chunks",
        "second_response",
        "deep_json",
        "deep_events",
        "huge_integers",
        "infinite_numbers",
        "huge_retry_after",
        "huge_limits",
        "invalid_utf8",
        "broken_gzip",
    ]
)
"""Servers whose responses are complete, so that CON-25 is kept."""

KEY = "sk-hostile-0123456789abcdef"
OTHER_KEY = "sk-hostile-fedcba9876543210"


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    with subprocess.Popen(
        [sys.executable, str(SERVERS), "all", "0"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_target_gets_a_verdict_in_bounded_time_and_memory(
    name: str, ports: dict[str, int], tmp_path: Path
) -> None:
    done, verdicts = run_on(f"http://127.0.0.1:{ports[name]}/v1", tmp_path)
    assert done.returncode == 1, done.stderr
    assert (verdicts["CON-25"] == "FAIL") != (name in COMPLETE)


def run_on(url: str, folder: Path) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
    """A run with secrets, and its verdicts by requirement: bounded, without a traceback, an error or a leak."""
    report = folder / "report.json"
    arguments = [
        "check",
        url,
        "--dialect",
        "openai-chat",
        "--model",
        "m",
        "--key",
        KEY,
        "--other-key",
        OTHER_KEY,
    ]
    options = ["--timeout", "2", "--out", str(folder), "--json", str(report), "-q"]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments, *options],
        capture_output=True,
        text=True,
        timeout=2 * LONGEST,
        check=False,
    )
    assert time.monotonic() - began < LONGEST
    assert "Traceback" not in done.stderr
    assert int(done.stderr.strip().splitlines()[-1]) < MEMORY
    for file in (f for f in folder.rglob("*") if f.is_file()):
        content = file.read_bytes()
        assert not any(k.encode() in content for k in (KEY, OTHER_KEY)), f"a key in {file.name}"
    assert KEY not in done.stdout + done.stderr
    listed = json.loads(report.read_text())["verdicts"] if report.exists() else []
    verdicts = {v["id"]: v["verdict"] for v in listed}
    assert "ERROR" not in verdicts.values(), [v for v in listed if v["verdict"] == "ERROR"]
    return done, verdicts


class Witness(BaseHTTPRequestHandler):
    """Keeps what it is sent; ``target`` makes it a server that sends everybody there."""

    seen: ClassVar[list[str]] = []
    target: ClassVar[str] = ""

    def handle_any(self) -> None:
        self.seen.append(str(self.headers))
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(307 if self.target else 404)
        if self.target:
            self.send_header("Location", self.target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_DELETE = do_HEAD = do_OPTIONS = handle_any  # noqa: N815 - names of the library

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def serving(handler: type[Witness]) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_credentials_do_not_follow_a_redirect_to_another_origin(tmp_path: Path) -> None:
    elsewhere = type("Elsewhere", (Witness,), {"seen": []})
    with serving(elsewhere) as other:
        sender = type("Sender", (Witness,), {"seen": [], "target": f"http://localhost:{other}/v1/login"})
        with serving(sender) as port:
            done, _ = run_on(f"http://127.0.0.1:{port}/v1", tmp_path)
    # Every finding would be undecided, and such a run must not pass a gate.
    assert done.returncode == 3
    assert any(KEY in headers for headers in sender.seen)
    assert not any(k in headers for headers in elsewhere.seen for k in (KEY, OTHER_KEY))


@pytest.mark.parametrize("name", ["hang", "reset_at_once", "not_http", "html_page"])
def test_what_speaks_no_tls_is_not_reached(name: str, ports: dict[str, int], tmp_path: Path) -> None:
    done, _ = run_on(f"https://127.0.0.1:{ports[name]}/v1", tmp_path)
    assert done.returncode == 3, done.stderr
