"""Run the suite on real servers and publish what came out; `make interop` calls it.

    python tests/interop/run.py [CASE …]

Environments, logs and full reports with their evidence stay in the cache (``AICONFORM_INTEROP_CACHE``, by default
``.interop/``). ``docs/results/`` gets a JSON report per case and the table of all.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import table
import third_party
from cases import CASES, Case

ROOT = Path(__file__).resolve().parents[2]


def run(case: Case) -> list[str]:
    """Start the server, judge it, publish the report. Gives what is wrong with the run itself."""
    out = third_party.CACHE / "reports" / case.name
    shutil.rmtree(out, ignore_errors=True)
    with third_party.running(case.server, case.name) as port:
        arguments = [f"http://127.0.0.1:{port}/v1", *case.arguments]
        command = [sys.executable, "-m", "conformance.cli", "check", *arguments, "--out", str(out), "--quiet"]
        clock = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - clock
    if not (out / "report.json").is_file():
        return [f"exit code {done.returncode} and no report: {done.stderr.strip() or done.stdout.strip()}"]
    report = json.loads((out / "report.json").read_text("utf-8"))
    table.publish(case.name, report, _provenance(case, arguments, seconds))
    return [*_faults(case, report, seconds), *_noise(done)]


def _provenance(case: Case, arguments: Sequence[str], seconds: float) -> dict[str, Any]:
    packages = [case.server.package, *([case.server.upstream.package] if case.server.upstream else [])]
    start = [case.server.command, *([case.server.upstream.command] if case.server.upstream else [])]
    return {
        "about": case.about,
        "servers": [f"{p} {third_party.version(p)}" for p in packages],
        "started_with": [shlex.join(c).replace("'{port}'", "PORT") for c in start],
        "checked_with": shlex.join(["aiconform", "check", *arguments]),
        "reproduce": f"make interop CASES={case.name}",
        "seconds": round(seconds, 1),
    }


def _faults(case: Case, report: dict[str, Any], seconds: float) -> list[str]:
    """Where the run breaks its own promises."""
    results = {v["id"]: v["verdict"] for v in report["verdicts"]}
    found = [f"{i} is the suite's own fault: ERROR" for i, r in results.items() if r == "ERROR"]
    found += [
        f"{i} does not name the fault: {results[i]}" for i in case.named if results[i] not in table.FLAGGED
    ]
    if report["calls"] > case.calls:
        found.append(f"{report['calls']} calls, more than {case.calls}")
    if seconds > case.seconds:
        found.append(f"{seconds:.0f} s, more than {case.seconds:.0f}")
    return found


def _noise(done: subprocess.CompletedProcess[str]) -> list[str]:
    return ["a traceback on the console"] if "Traceback" in done.stdout + done.stderr else []


def main(names: Sequence[str]) -> int:
    """0 if every run kept its promises and every finding is reviewed."""
    known = {c.name: c for c in CASES}
    unknown = [n for n in names if n not in known]
    if unknown:
        print(f"no case {', '.join(unknown)}; known: {', '.join(known)}", file=sys.stderr)
        return 2
    wrong = 0
    for case in [known[n] for n in names] or CASES:
        try:
            faults = run(case)
        except third_party.ServerError as error:
            faults = [str(error)]
        print(f"{case.name:20} {'; '.join(faults) or 'ok'}", flush=True)
        wrong += bool(faults)
    table.write_readme()
    open_questions = table.unreviewed()
    print("\n".join([*table.outdated(), *open_questions]))
    return 1 if wrong or open_questions else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
