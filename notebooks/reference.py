"""The reference implementation beside a notebook: started on a free port, with a database in memory, ended with the kernel."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys

DEMO_KEY = "sk-demo"


def start(*options: str, mutant: str = "") -> str:
    """The base URL of a server of our own, or of AICONFORM_URL if that is set."""
    if url := os.environ.get("AICONFORM_URL"):
        return url
    module = [sys.executable, "-m", "reference_impl.mutants" if mutant else "reference_impl", "--port", "0"]
    more = (
        ["--only", mutant] if mutant else ["--db", ":memory:", "--webhook-network", "127.0.0.0/8", *options]
    )
    process = subprocess.Popen([*module, *more], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    atexit.register(process.terminate)
    assert process.stdout is not None
    return process.stdout.readline().strip().removeprefix("ready ")
