"""The wheel and the sdist of this tree, and clean places to install them in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNREACHABLE = re.compile(
    r"Temporary failure in name resolution|NewConnectionError|ConnectTimeoutError|Max retries"
)


def build(folder: Path, *, kind: str = "wheel", source: Path = ROOT) -> Path:
    """Build one distribution with the project's own build backend and give its path."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=120, env=plain_environment())
    (built,) = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return built


def plain_environment(**more: str) -> dict[str, str]:
    """This process's environment without what would lend an installed program our tree."""
    kept = {n: v for n, v in os.environ.items() if n not in {"PYTHONPATH", "AICONFORM_KEY", "VIRTUAL_ENV"}}
    return kept | {"COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"} | more


class Installation:
    """A virtual environment outside the checkout, with nothing of this tree in it until it is installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder / "venv", with_pip=True)
        self.bin = folder / "venv" / "bin"
        self._constraints = folder / "constraints.txt"
        self._constraints.write_text(locked_versions(), "utf-8")

    def install(self, wheel: Path, extra: str = "") -> None:
        """``pip install wheel[extra]`` from the package index, in the versions that the project is tested with."""
        what = f"aiconform[{extra}] @ {wheel.as_uri()}" if extra else str(wheel)
        command = [str(self.bin / "pip"), "install", "--quiet", "-c", str(self._constraints), what]
        done = subprocess.run(
            command,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=540,
            env=plain_environment(),
            check=False,
        )
        if done.returncode and UNREACHABLE.search(done.stderr):
            pytest.skip("the package index cannot be reached, so nothing can be installed from it")
        assert done.returncode == 0, done.stderr

    def packages(self) -> set[str]:
        """What is installed, by normalized name."""
        listed = self.run("pip", "list", "--format", "freeze").stdout
        return {
            re.split(r"==| @ ", line)[0].lower().replace("_", "-") for line in listed.splitlines() if line
        }

    def run(
        self, *command: str, timeout: float = 240, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment outside the checkout."""
        return run([str(self.bin / command[0]), *command[1:]], self.folder, timeout, env)


def run(
    command: Sequence[str], folder: Path, timeout: float, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The finished command, its output as text."""
    return subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
        env=plain_environment(**(env or {})),
        check=False,
    )


def locked_versions() -> str:
    """requirements.lock as constraints: versions without hashes, so that they bind only what is asked for."""
    text = (ROOT / "requirements.lock").read_text("utf-8")
    return "".join(
        f"{pin}\n" for pin in re.findall(r"^([\w.-]+==[\w.!+-]+)", re.sub(r"\[[\w,]+\]==", "==", text), re.M)
    )
