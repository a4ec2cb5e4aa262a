"""A server of this project as a child process: started, awaited, ended."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

from conformance.cli.stop import stop

_GRACE = 5.0


@contextmanager
def local_server(module: str, *arguments: str) -> Generator[str]:
    """Run ``python -m module --port 0 …`` and yield the URL of its line ``ready URL``; end it afterwards."""
    if find_spec("connexion") is None:
        stop("the server is not installed: pip install 'aiconform[server]'", 2)
    command: Sequence[str] = [sys.executable, "-m", module, "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            if not line.startswith("ready "):
                stop(f"{module} did not start (exit code {process.wait()})", 3)
            yield line.removeprefix("ready ")
        finally:
            process.terminate()
            try:
                process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
