"""Whole reports of servers that are started for the purpose: the reference, and one that does something wrong."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from conformance.cli.demo import credentials
from conformance.cli.local_server import local_server

BROKEN = "sse-no-done"
"""The mutant that is shown: its streams end without their end, which no official SDK notices."""

_SECONDS = 300


def make_reports(folder: Path) -> list[str]:
    """Judge both and write ``reference/report.html`` and ``broken/report.html``; gives their paths below the site.

    Raises:
        OSError: a run wrote no report.
    """
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="aiconform-site-") as state:
        servers = {
            "reference": ("reference_impl", "--db", f"{state}/state.sqlite", "--jwt-leeway-s", "1",
                          "--webhook-network", "127.0.0.0/8"),
            "broken": ("reference_impl.mutants", "--only", BROKEN),
        }  # fmt: skip
        for name, command in servers.items():
            with local_server(*command) as url:
                _check(url, Path(state) / name)
            report = folder / name / "report.html"
            report.parent.mkdir()
            report.write_bytes((Path(state) / name / "report.html").read_bytes())
    return [f"reports/{name}/report.html" for name in servers]


def _check(url: str, out: Path) -> None:
    command = [sys.executable, "-m", "conformance.cli", "check", url, *credentials(url), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if not (out / "report.html").is_file():
        raise OSError(f"a run on {url} wrote no report: {(done.stderr or done.stdout).strip()[-300:]}")
