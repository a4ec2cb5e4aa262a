"""The server as a process: its command line, its one line of output, its end, and what survives `kill -9`."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from reference_server import events

COMMAND = (sys.executable, "-m", "reference_impl")
AUTH = {"Authorization": "Bearer sk-demo"}
ROOT = Path(__file__).parents[2]


@contextmanager
def process(database: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running server and its base URL; killed at the end if it still runs."""
    running = subprocess.Popen(
        [*COMMAND, "--port", "0", "--db", str(database), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert running.stdout is not None
    try:
        ready, url = running.stdout.readline().split()
        assert ready == "ready"
        yield running, url
    finally:
        running.kill()
        running.communicate()


def chat(text: str, **fields: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}], **fields}


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_says_ready_serves_and_ends_cleanly(tmp_path: Path, how: signal.Signals) -> None:
    with process(tmp_path / "state.sqlite") as (running, url):
        assert httpx.post(f"{url}/chat", json=chat("hello"), headers=AUTH).status_code == 200
        assert httpx.get(f"{url}/models").status_code == 401
        running.send_signal(how)
        output, errors = running.communicate(timeout=30)
    assert (running.returncode, output, errors) == (0, "", "")


def test_an_open_stream_does_not_hold_up_the_end(tmp_path: Path) -> None:
    body = chat("hello", stream=True, sandbox={"scenario": "slow_first_token", "delay_ms": 20_000})
    with (
        process(tmp_path / "state.sqlite") as (running, url),
        httpx.stream("POST", f"{url}/chat", json=body, headers=AUTH) as answer,
    ):
        chunks = answer.iter_text()
        received = next(chunks)
        running.send_signal(signal.SIGTERM)
        received += "".join(chunks)
        output, errors = running.communicate(timeout=30)
    assert events(received)[-1]["error"]["code"] == "MODEL_OVERLOADED"
    assert (running.returncode, output, errors) == (0, "", "")


def test_a_killed_server_keeps_answers_and_releases_what_was_in_flight(tmp_path: Path) -> None:
    database = tmp_path / "state.sqlite"
    done, cut = {**AUTH, "Idempotency-Key": "done"}, {**AUTH, "Idempotency-Key": "cut"}
    slow = chat(
        "Repeat exactly: a b c", stream=True, sandbox={"scenario": "slow_first_token", "delay_ms": 500}
    )
    with process(database) as (running, url):
        first = httpx.post(f"{url}/chat", json=chat("hello"), headers=done)
        stream = httpx.post(
            f"{url}/chat", json=chat("hello", stream=True), headers=done | {"Idempotency-Key": "s"}
        )
        turn = httpx.post(f"{url}/chat", json=chat("Repeat exactly: x", deferred=True), headers=AUTH).json()
        with httpx.stream("POST", f"{url}/chat", json=slow, headers=cut) as answer:
            next(answer.iter_raw())
            running.kill()
            running.wait(10)
    with process(database) as (running, url):
        again = httpx.post(f"{url}/chat", json=chat("hello"), headers=done)
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers["idempotency-replayed"] == "true"
        replayed = httpx.post(
            f"{url}/chat", json=chat("hello", stream=True), headers=done | {"Idempotency-Key": "s"}
        )
        assert replayed.content == stream.content
        retried = httpx.post(f"{url}/chat", json=slow, headers=cut)
        assert retried.status_code == 200
        assert "idempotency-replayed" not in retried.headers
        assert events(retried.text)[-1]["text"] == "a b c"
        link = httpx.URL(url).join(turn["stream_url"])
        assert events(httpx.get(link, headers=AUTH).text)[-1]["text"] == "x"


def test_the_database_holds_no_key_and_no_prompt_of_an_unkeyed_call(tmp_path: Path) -> None:
    database = tmp_path / "state.sqlite"
    with process(database) as (running, url):
        httpx.post(f"{url}/chat", json=chat("a private thought"), headers=AUTH)
        httpx.post(f"{url}/chat", json=chat("kept"), headers={**AUTH, "Idempotency-Key": "k"})
        running.terminate()
        running.wait(10)
    with closing(sqlite3.connect(database)) as connection:
        content = "\n".join(connection.iterdump())
    assert "idempotency" in content
    assert "sk-demo" not in content
    assert "private thought" not in content


def failed(*options: str) -> tuple[int, list[str]]:
    """The exit code and the lines on stderr of a server that cannot start."""
    ended = subprocess.run(
        [*COMMAND, *options], capture_output=True, text=True, timeout=60, cwd=ROOT, check=False
    )
    assert ended.stdout == ""
    return ended.returncode, ended.stderr.splitlines()


def test_a_port_in_use_is_one_clear_line() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        code, lines = failed("--port", str(port), "--db", ":memory:")
    assert code == 2
    assert lines == [f"cannot listen on 127.0.0.1:{port}: Address already in use; choose another --port"]


def test_a_database_in_use_is_one_clear_line(tmp_path: Path) -> None:
    database = tmp_path / "state.sqlite"
    with process(database):
        code, lines = failed("--port", "0", "--db", str(database))
    assert code == 2
    assert lines == [
        f"the database {database} is in use by another server; stop it or choose another file with --db"
    ]


def test_a_file_that_is_no_database_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database\n" * 100)
    for path, reason in (
        (tmp_path / "notes.txt", "is not an SQLite database"),
        (tmp_path / "no" / "x", "cannot be opened"),
    ):
        code, lines = failed("--port", "0", "--db", str(path))
        assert (code, len(lines)) == (2, 1)
        assert reason in lines[0]


def test_options_reach_the_server(tmp_path: Path) -> None:
    options = ("--first-token-ms", "300", "--keep-alive-s", "0.1", "--rate-limits", "off", "--cors-origin",
               "https://app.example", "--idempotency-ttl", "60")  # fmt: skip
    with process(tmp_path / "state.sqlite", *options) as (_, url):
        answer = httpx.post(
            f"{url}/chat", json=chat("hello", stream=True), headers={**AUTH, "Origin": "https://app.example"}
        )
        capabilities = httpx.get(f"{url}/capabilities").json()["capabilities"]
    assert answer.content.count(b": keep-alive\n") >= 2
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "rate_limits" not in capabilities
    assert capabilities["idempotency"]["ttl_seconds"] == 60
    assert json.loads(answer.text.split("data: ")[1].split("\n")[0])["type"] == "metadata"
