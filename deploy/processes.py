"""Child processes that end with their parent's block, and ports for them."""

from __future__ import annotations

import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

START_S = 60.0


class DeployError(Exception):
    """Something could not be started; the message says what and why."""


def free_port() -> int:
    """A port that nobody listens on now. Between this and its use somebody may take it; starting then fails."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def unprivileged() -> str | None:
    """The user for programs that refuse to run as root, or None where we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise DeployError("PostgreSQL does not run as root, and there is no user postgres or nobody; add one")


class Process:
    """One program in a process group of its own, so that Ctrl-C reaches only the one who ends the others."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        self._name, self._command, self.log = name, list(command), log
        self._environment, self._user = environment, user
        self._running: subprocess.Popen[bytes] | None = None

    def start(self, ready: Callable[[], bool]) -> None:
        """Run it and wait until `ready`.

        Raises:
            DeployError: it ended, or was not ready in time; with the end of its log.
        """
        environment = None if self._environment is None else {**os.environ, **self._environment}
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                user=self._user,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while not ready():
            if self._running.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise DeployError(f"{self._name} did not start; its log ends with: {self.last_words()}")
            time.sleep(0.02)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._running is not None and self._running.poll() is None

    def last_words(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "(nothing)"

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it."""
        if self._running is not None and self.alive:
            self._running.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 15.0) -> None:
        """Ask it to end, and insist after so many seconds."""
        if self._running is None:
            return
        self.send(number)
        try:
            self._running.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL."""
        if self._running is not None:
            self.send(signal.SIGKILL)
            self._running.wait()


def listens(port: int) -> bool:
    """Whether somebody listens on a local port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
