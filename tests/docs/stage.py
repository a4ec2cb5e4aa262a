"""Where the commands of a document run: a folder of their own, a reference on a free port, and stand-ins by name.

What a reader types is run as it stands, with these exceptions: port 8000 becomes a free one; an API of a vendor with a name
that nobody owns (RFC 2606) becomes the OpenAI-compatible side of the reference; an elided key becomes a demo key; a load
test lasts two seconds, and a busy machine does not make it INVALID; ``make`` uses the Python of this test instead of a new
.venv; ``pip install`` of this project is only looked at, since tests/adoption really installs it.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHON = sys.executable
READY_S = 60.0
BLOCK_S = 300.0

_SHIMS = {
    "aiconform": f'exec "{PYTHON}" -m conformance.cli "$@"\n',
    "python": f'exec "{PYTHON}" "$@"\n',
    "make": f'exec /usr/bin/env -u MAKEFLAGS "$REAL_MAKE" -s -C "{ROOT}" -o .venv/.installed -o node_modules '
    f'BIN="{Path(PYTHON).parent}" OUT="$PWD/aiconform-report" DIST="$PWD/dist" "$@"\n',
    "pip": f'exec "{PYTHON}" "{Path(__file__).with_name("pip_stand_in.py")}" "{ROOT}" "$@"\n',
}


class Stage:
    """A folder, an environment that is handed from block to block, and what still runs in the background."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.vendor_port = _free_port(), _free_port()
        self._environment = folder.parent / f"{folder.name}.env"
        self._groups: list[int] = []
        shims = folder.parent / f"{folder.name}.bin"
        shims.mkdir()
        for name, text in _SHIMS.items():
            (shims / name).write_text(f"#!/bin/bash\n{text}", "utf-8")
            (shims / name).chmod(0o755)
        real_make = subprocess.run(
            ["which", "make"], capture_output=True, text=True, check=True
        ).stdout.strip()
        self.variables = {
            **{n: v for n, v in os.environ.items() if not n.startswith(("AICONFORM_", "COV_", "PYTEST_"))},
            "PATH": f"{shims}:{Path(PYTHON).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "REAL_MAKE": real_make,
            "COLUMNS": "160",
            "NO_COLOR": "1",
            "TERM": "dumb",
            "MPLBACKEND": "Agg",
        }

    def localized(self, text: str) -> str:
        """The text with this stage's addresses, keys and durations."""
        vendor = f"http://127.0.0.1:{self.vendor_port}/openai/v1"
        for pattern, instead in (
            (r"https://(?:[\w-]+\.)*example(?:\.com)?/v1", vendor),
            (r"\b(127\.0\.0\.1|localhost):8000\b", rf"\1:{self.port}"),
            (r"--port 8000\b", f"--port {self.port}"),
            (r"(?:(?<=[= ])sk-\.\.\.|(?<==)…)(?=\s|$)", "sk-demo"),
            (r"spike:(\d+):\d+:\d+", r"spike:\1:1:0.5"),
            (r"--duration [\d.]+", "--duration 2"),
            (r"calibrate --users \d+", "calibrate --users 8"),
            (r"\baiconform load (?=http|\"?\$)", "aiconform load --error-budget-ms 60000 --max-cpu 1000 "),
        ):
            text = re.sub(pattern, instead, text)
        return text

    def shell(self, script: str) -> tuple[int, str]:
        """Run a block; exported variables and the working folder last to the next. Gives exit code and output."""
        prelude = f"[ -f {self._environment} ] && . {self._environment}\n"
        script = f"set -eo pipefail\n{prelude}trap '__code=$?; export -p >{self._environment}; exit $__code' EXIT\n{script}"
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                ["bash", "--noprofile", "--norc", "-c", script],
                cwd=self.folder, env=self.variables, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
            self._groups.append(process.pid)
            code = process.wait(BLOCK_S)
            output.seek(0)
            said = output.read().decode("utf-8", "replace")
        if f"aiconform serve --port {self.port}" in script:
            self.await_port(self.port)
        return code, said

    def serving(self, command: str) -> tuple[int, str]:
        """A server that the reader leaves running in this terminal: gives what it printed once it listens."""
        log = self.folder.with_name("serving.log")
        code, _ = self.shell(f"{command} >{log} 2>&1 &")
        return code, log.read_text("utf-8")

    def serve(self, port: int) -> None:
        """A reference in the background, as the reader has one running in another terminal."""
        state = self.folder.with_name(f"{port}.sqlite")
        options = f"--port {port} --db {state} --webhook-network 127.0.0.0/8"
        code, said = self.shell(f"aiconform serve {options} >{state}.log 2>&1 &")
        assert code == 0, said
        self.await_port(port)

    def await_port(self, port: int) -> None:
        """Until something listens there."""
        end = time.monotonic() + READY_S
        while time.monotonic() < end:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.05)
        raise AssertionError(f"nothing listens on port {port}")

    def close(self) -> None:
        """End whatever the blocks left running."""
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGTERM)


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """A stage that is cleared afterwards."""
    opened = Stage(folder)
    try:
        yield opened
    finally:
        opened.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
