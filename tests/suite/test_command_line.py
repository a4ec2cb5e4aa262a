"""The command as a user meets it: one clear line for bad input, the documented exit codes, the same verdicts offline."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

CLIENT = ["--client-id", "demo-service", "--client-secret", "demo-service-secret"]


def aiconform(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from conformance.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    state = tmp_path_factory.mktemp("reference") / "state.sqlite"
    command = [sys.executable, "-m", "reference_impl", "--port", "0", "--db", str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip().removeprefix("ready ")
        process.terminate()


@pytest.fixture
def html_server() -> Iterator[str]:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.do_GET()

        def do_GET(self) -> None:
            body = b"<!DOCTYPE html><title>Sign in</title>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["check", "127.0.0.1:1/v1"], 2, "is not a URL"),
        (["check", "ftp://127.0.0.1/v1"], 2, "only http and https"),
        (["check", "http://127.0.0.1:1/v1", "--dialect", "nope"], 2, "there is no dialect 'nope'"),
        (["check", "http://127.0.0.1:1/v1", "--only", "NOPE-1"], 2, "no requirement matches"),
        (["check", "http://user:pw@127.0.0.1:1/v1"], 2, "--key"),
        (["check", "http://127.0.0.1:1/v1"], 3, "cannot reach"),
        (["check", "http://127.0.0.1:1/v1", *CLIENT], 2, "give all of --oauth-token-url"),
        (
            ["check", "http://127.0.0.1:1/v1", "--oauth-redirect-uri", "http://x"],
            2,
            "needs --oauth-token-url",
        ),
        (["check", "http://127.0.0.1:1/v1", *CLIENT, "--oauth-token-url", "x"], 2, "is an http(s) URL"),
        (["judge", "/nonexistent"], 2, "/nonexistent"),
        (["explain", "NOPE-01"], 2, "no requirement"),
    ],
)
def test_bad_input_gets_one_line_and_its_exit_code(
    arguments: list[str], code: int, says: str, tmp_path: Path
) -> None:
    out = ["--out", str(tmp_path)] if arguments[0] == "check" else []
    done = aiconform(*arguments, *out)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_target_that_answers_html_is_named(html_server: str, tmp_path: Path) -> None:
    done = aiconform("check", html_server, "--key", "sk-x", "--out", str(tmp_path))
    assert done.returncode == 2
    assert "HTML" in done.stderr


def test_a_refused_key_is_named(reference: str, tmp_path: Path) -> None:
    done = aiconform("check", reference, "--key", "sk-wrong", "--out", str(tmp_path))
    assert done.returncode == 2
    assert "key was refused" in done.stderr
    assert "sk-wrong" not in done.stderr


def test_a_dry_run_sends_nothing() -> None:
    done = aiconform("check", "http://127.0.0.1:1/v1", "--dialect", "openai-chat", "--dry-run")
    assert done.returncode == 0
    assert "in all" in done.stdout


def test_the_checks_run_under_plain_pytest(reference: str) -> None:
    command = [sys.executable, "-m", "pytest", "--pyargs", "conformance", "-c", "/dev/null", "-q"]
    arguments = ["--target", reference, "--key", "sk-demo", "--only", "SYNC-06,SYNC-09,CONF-01"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
