"""A server whose schedule is known, and a load run against it: processes of their own, as a user has them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

WAIT_S = 60.0
LAX = ("--error-budget-ms=5000", "--max-cpu=1000")
"""The tests share their machine: what they hold the client to is its counts and its verdicts, not its pace."""


@dataclass(frozen=True)
class Run:
    """A finished run."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def document(self) -> dict[str, Any]:
        assert (self.folder / "load.json").is_file(), self.out + self.err
        document: dict[str, Any] = json.loads((self.folder / "load.json").read_text("utf-8"))
        return document

    @property
    def verdicts(self) -> dict[str, str]:
        return {v["id"]: v["verdict"] for v in self.document["contract"]["verdicts"]}

    @property
    def details(self) -> dict[str, str]:
        return {v["id"]: v["detail"] for v in self.document["contract"]["verdicts"]}


def load(folder: Path, *arguments: str) -> Run:
    """``python -m load …`` with its report in ``folder``."""
    command = [sys.executable, "-m", "load", *arguments, f"--out={folder}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return Run(done.returncode, done.stdout, done.stderr, folder)


@contextmanager
def started(module: str, *arguments: str) -> Generator[str]:
    """Run a server module on a free port; yields the URL of its line ``ready URL``."""
    command = [sys.executable, "-m", module, "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip().removeprefix("ready ")
        finally:
            process.terminate()


def truth(*arguments: str) -> Any:
    """The ground-truth server."""
    return started("load.ground_truth", *arguments)


def counts(url: str) -> dict[str, Any]:
    """What the ground-truth server says that it did."""
    found: dict[str, Any] = httpx.get(f"{url}/counts").json()
    return found


def until(condition: Callable[[], object]) -> None:
    """Ask another process again and again, until what it says is true."""
    limit = time.monotonic() + 25
    while time.monotonic() < limit:
        try:
            if condition():
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")
