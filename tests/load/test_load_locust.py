"""Plain Locust with our locustfile: its flags, its web UI, and its distributed mode over real sockets."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from running import LAX, WAIT_S, counts, load, truth, until

LOCUST = [sys.executable, "-m", "locust", "-f", "load/locustfile.py"]
FAST = ("--first-ms=5", "--token-ms=1", "--tokens=8")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def document(folder: Path) -> dict:
    return json.loads((folder / "load.json").read_text("utf-8"))


def test_plain_locust_with_its_own_flags(tmp_path: Path) -> None:
    with truth(*FAST) as url:
        done = subprocess.run(
            [*LOCUST, "--headless", "-u", "4", "-r", "4", "-t", "2s", "-H", url, "--csv", str(tmp_path / "own"),
             "--html", str(tmp_path / "own.html"), "--key", "sk-a", f"--out={tmp_path}", *LAX],
            capture_output=True, text=True, timeout=WAIT_S, check=False,
        )  # fmt: skip
        seen = counts(url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert document(tmp_path)["operations"]["chat_stream"]["ok"] == seen["whole"] > 0
    assert "chat_stream" in (tmp_path / "own_stats.csv").read_text()  # Locust's own statistics work too
    assert (tmp_path / "own.html").is_file()


def test_the_web_ui_works(tmp_path: Path) -> None:
    port = free_port()
    with truth(*FAST) as url:
        process = subprocess.Popen(
            [*LOCUST, "--web-host", "127.0.0.1", "--web-port", str(port), "-H", url, f"--out={tmp_path}", *LAX],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            ui = f"http://127.0.0.1:{port}"
            until(lambda: httpx.get(ui).status_code == 200)
            assert "sk-" not in httpx.get(ui).text
            form = {"user_count": "3", "spawn_rate": "3", "host": url}
            assert httpx.post(f"{ui}/swarm", data=form).json()["success"]
            until(lambda: httpx.get(f"{ui}/stats/requests").json()["total_rps"] > 0)
            names = {s["name"] for s in httpx.get(f"{ui}/stats/requests").json()["stats"]}
            assert "chat_stream" in names
            httpx.get(f"{ui}/stop")
        finally:
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=WAIT_S)
    assert "chat_stream" in out
    assert document(tmp_path)["operations"]["chat_stream"]["ok"] > 0


def test_two_processes_count_what_the_server_counts(tmp_path: Path) -> None:
    with truth(*FAST) as url:
        run = load(tmp_path, url, "--users=6", "--duration=2", "--processes=2", *LAX)
        seen = counts(url)
    assert run.code == 0, run.out + run.err
    operation = run.document["operations"]["chat_stream"]
    assert operation["requests"] == operation["ok"] == seen["whole"]
    assert run.document["load"]["processes"] == 2
    assert run.document["contract"]["summary"]["verdicts"]["PASS"] > 10


def test_an_open_loop_is_shared_out(tmp_path: Path) -> None:
    with truth(*FAST) as url:
        run = load(tmp_path, url, "--rate=60", "--duration=2", "--processes=2", *LAX)
        seen = counts(url)
    assert run.document["client"]["sent"] == seen["requests"]["chat"]
    assert run.document["client"]["requested_per_second"] == pytest.approx(60, abs=6)


def test_a_worker_killed_midway_is_reported_and_the_counts_stay_right(tmp_path: Path) -> None:
    port = free_port()
    with truth(*FAST) as url:
        master = subprocess.Popen(
            [*LOCUST, "--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", str(port), "--headless",
             "--expect-workers", "2", "-u", "4", "-r", "4", "--stop-after", "5", "--stop-timeout", "2", "-H", url,
             f"--out={tmp_path}", *LAX],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        workers = [
            subprocess.Popen(
                [*LOCUST, "--worker", "--master-host", "127.0.0.1", "--master-port", str(port)],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            for _ in range(2)
        ]  # fmt: skip
        try:
            until(lambda: counts(url)["requests"].get("chat", 0) > 50)
            assert master.stderr is not None
            # Its table names the operation once a worker has reported.
            assert any("chat_stream" in line for line in master.stderr)
            workers[0].kill()
            out, err = master.communicate(timeout=WAIT_S)
        finally:
            for process in (*workers, master):
                if process.poll() is None:
                    process.kill()
        seen = counts(url)
    assert master.returncode == 4, out + err
    assert re.search(r"INVALID: worker lost: \S+; what it did since its last report is not counted", out)
    whole = document(tmp_path)
    assert len(whole["client"]["lost_workers"]) == 1
    operation = whole["operations"]["chat_stream"]
    assert 0 < operation["ok"] <= seen["whole"]
    assert operation["ok"] == operation["requests"] == operation["times"]["e2e"]["count"]
