"""Clients that others' generators make of the published edition compile, and drive the reference."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from distribution import ROOT, UNREACHABLE, plain_environment, run

from conformance.cli.local_server import local_server

pytestmark = pytest.mark.installs

CLIENTS = ROOT / "clients"


def test_generated_clients_compile_and_drive_the_reference(tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("needs npm, for the TypeScript generator and its compiler")
    made = run(
        ["make", "-o", ".venv/.installed", "clients", f"BIN={Path(sys.executable).parent}", f"PYTHON={sys.executable}"],
        ROOT, 540, {"MAKEFLAGS": ""},
    )  # fmt: skip
    if made.returncode and (UNREACHABLE.search(made.stderr) or "ENOTFOUND" in made.stderr):
        pytest.skip("a package registry cannot be reached, so the generators cannot be installed")
    assert made.returncode == 0, made.stdout + made.stderr
    typed = run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports", "silent",
         "--python-executable", str(CLIENTS / "python" / ".venv" / "bin" / "python"), "drive.py"],
        CLIENTS / "python", 300,
    )  # fmt: skip
    assert typed.returncode == 0, typed.stdout

    with local_server("reference_impl", "--db", str(tmp_path / "state.sqlite")) as url:
        for command in (
            [str(CLIENTS / "python" / ".venv" / "bin" / "python"), str(CLIENTS / "python" / "drive.py")],
            ["node", str(CLIENTS / "typescript" / "out" / "drive.js")],
        ):
            done = subprocess.run(
                [*command, url, "sk-demo"],
                capture_output=True,
                text=True,
                timeout=120,
                env=plain_environment(),
                check=False,
            )
            assert done.returncode == 0, done.stderr
            told = json.loads(done.stdout)
            assert told["category"] == "billing"
            assert 0.5 < told["confidence"] <= 1
            assert told["text"]
            assert told["replayed"] is True
            assert told["tokens"] > 0
            assert (told["job"], told["error"], told["retryable"]) == ("complete", "UNAUTHENTICATED", False)
