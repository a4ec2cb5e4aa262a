"""A whole run against a server that misbehaves: bounded time and memory, a verdict, no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

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
    "reset_in_body",
    "redirect_to_itself",
    "gzip_bomb",
]


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
    report = tmp_path / "report.json"
    arguments = ["check", f"http://127.0.0.1:{ports[name]}/v1", "--dialect", "openai-chat", "--model", "m"]
    options = ["--timeout", "1", "--out", str(tmp_path), "--json", str(report), "-q"]
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
    assert done.returncode == 1, done.stderr
    verdicts = {v["id"]: v["verdict"] for v in json.loads(report.read_text())["verdicts"]}
    assert verdicts["CON-25"] == "FAIL"
    assert "ERROR" not in verdicts.values()
