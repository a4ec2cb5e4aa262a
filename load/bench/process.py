"""A client as a process: run to its end within a bound, its memory watched."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

PATIENCE = 60.0
"""Seconds beyond its own time in which a client must have started and ended."""


def run(command: Sequence[str], seconds: float, env: dict[str, str] | None = None) -> tuple[float, str]:
    """Run to the end; ``(peak memory in MB, standard output)``. Memory is that of the process and its children.

    The peak is read from the running processes: what ``wait4`` gives includes its parent's, from before ``exec``.

    Raises:
        RuntimeError: it failed, or did not end ``PATIENCE`` seconds after it should have.
    """
    peak, limit = 0.0, monotonic() + seconds + PATIENCE
    with tempfile.TemporaryFile("w+") as out:
        with subprocess.Popen([*command], stdout=out, stderr=subprocess.DEVNULL, env=env) as process:
            while process.poll() is None:
                peak = max(peak, memory_of_all(process.pid))
                if monotonic() > limit:
                    _end(process)
                    raise RuntimeError(f"did not end within {seconds + PATIENCE:.0f} s")
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


def memory_of_all(pid: int) -> float:
    """The peak of a process and those of its children added up, in MB. What they share counts for each."""
    return sum(memory_of(one, "VmHWM") for one in family(pid))


def family(pid: int) -> list[int]:
    """A process and all that it has started (Linux)."""
    found = [pid]
    for one in found:  # grows while it is read
        for file in Path(f"/proc/{one}/task").glob("*/children"):
            with suppress(OSError):
                found += map(int, file.read_text("ascii").split())
    return found


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it and what it has started."""
    for pid in reversed(family(process.pid)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
