"""What a newcomer types, on real servers: ``aiconform init URL`` in an empty folder, then ``aiconform check``.

    python tests/interop/first_run.py [NAME …]

`make interop` calls it. ``docs/results/first-runs.yaml`` and the page get what came out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import table
import third_party
from cases import LITELLM, TRANSFORMERS, llmock

ROOT = Path(__file__).resolve().parents[2]
MOST_SECONDS = 90
LLMOCK = llmock()
KEY = ("--key-env", "LITELLM_KEY")
ENVIRONMENT = {"LITELLM_KEY": "sk-main"}


@dataclass(frozen=True)
class FirstRun:
    """``options`` follow ``aiconform init URL``, whose path is ``base``; ``dialect`` is what it has to find."""

    name: str
    server: third_party.Server
    base: str
    dialect: str
    options: Sequence[str] = ()


FIRST_RUNS = (
    FirstRun("llmock", LLMOCK, "/v1", "openai-chat"),
    FirstRun("llmock-responses", LLMOCK, "/v1", "openai-responses", ("--dialect", "openai-responses")),
    FirstRun("llmock-anthropic", LLMOCK, "/anthropic/v1", "anthropic-messages"),
    FirstRun("llmock-gemini", LLMOCK, "/gemini/v1beta", "gemini"),
    FirstRun("llmock-cohere", LLMOCK, "/cohere", "cohere-v2", ("--model", "command-r")),
    FirstRun("llmock-mistral", LLMOCK, "/mistral/v1", "openai-chat"),
    FirstRun("litellm", LITELLM, "/v1", "openai-chat", KEY),
    FirstRun("litellm-responses", LITELLM, "/v1", "openai-responses", (*KEY, "--dialect", "openai-responses")),
    FirstRun("litellm-anthropic", LITELLM, "/v1", "anthropic-messages", (*KEY, "--dialect", "anthropic-messages")),
    FirstRun("litellm-gemini", LITELLM, "/v1beta", "gemini", (*KEY, "--model", "up-gpt")),
    FirstRun("transformers", TRANSFORMERS, "/v1", "openai-chat"),
)  # fmt: skip


def run(first: FirstRun, port: int) -> tuple[dict[str, Any], list[str]]:
    """What came out, and what is wrong with it."""
    with tempfile.TemporaryDirectory(prefix="aiconform-") as folder:
        clock = time.perf_counter()
        started = _aiconform(folder, "init", f"http://127.0.0.1:{port}{first.base}", *first.options)
        judged = _aiconform(folder, "check")
        seconds = round(time.perf_counter() - clock, 1)
        path = Path(folder, "aiconform-report", "report.json")
        report = json.loads(path.read_text("utf-8")) if path.is_file() else None
    told = started.stdout.splitlines()
    init = " ".join(("aiconform init", f"http://127.0.0.1:PORT{first.base}", *first.options))
    row = {"init": init, "found": told[0].partition(": ")[2] if told else "nothing", "seconds": seconds}
    wrong = [
        "a traceback on the console" for done in (started, judged) if "Traceback" in done.stdout + done.stderr
    ]
    if report is None:
        return row, [*wrong, f"no report: {started.stderr.strip()} {judged.stderr.strip()}"]
    counts = report["summary"]["verdicts"]
    row |= {"judged": report["summary"]["judged"], "calls": report["calls"]}
    if counts["ERROR"]:
        wrong.append(f"{counts['ERROR']} verdicts are ERROR, the suite's own fault")
    if report["dialect"]["name"] != first.dialect:
        wrong.append(f"taken for {report['dialect']['name']}, not for {first.dialect}")
    if seconds > MOST_SECONDS:
        wrong.append(f"{seconds:.0f} s, more than {MOST_SECONDS}")
    return row, wrong


def _aiconform(folder: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    own = {k: v for k, v in os.environ.items() if not k.startswith("AICONFORM_")}
    return subprocess.run(
        [sys.executable, "-m", "conformance.cli", *arguments],
        cwd=folder,
        env={**own, **ENVIRONMENT, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def main(names: Sequence[str]) -> int:
    """0 if every server was understood and judged without a flag."""
    wanted = [f for f in FIRST_RUNS if not names or f.name in names]
    wrong = 0
    for server, runs in groupby(wanted, key=lambda first: first.server):
        try:
            with third_party.running(server, f"first-{server.package}") as port:
                for first in runs:
                    row, faults = run(first, port)
                    if "judged" in row:
                        table.publish_first_run(first.name, row)
                    print(f"first run {first.name:22} {'; '.join(faults) or 'ok'}", flush=True)
                    wrong += bool(faults)
        except third_party.ServerError as error:
            print(error)
            wrong += 1
    table.write_readme()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
