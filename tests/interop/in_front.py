"""The contract in front of real servers: ``serve --upstream`` before each, judged as a whole; `make interop` calls it.

    python tests/interop/in_front.py [SERVER …]

Nothing may fail but what is the server's own doing, and that is named here.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import third_party
from cases import CASES

ROOT = Path(__file__).resolve().parents[2]
KEYS = tuple(
    part
    for name in ("", "other-", "limited-", "budget-")
    for part in (f"--{name}key", f"sk-demo{'-' if name else ''}{name.removesuffix('-')}")
)
PROMISES = "ERR-*,SSE-*,SYNC-*,CTX-*,IDEM-*,TRC-*,RATE-*"


@dataclass(frozen=True)
class Front:
    """A server of `cases.py`, how it is put behind the reference, and what it may fail."""

    case: str
    options: Sequence[str]
    check: Sequence[str] = ()
    its_own: Sequence[str] = ()


LLMOCK = ("--upstream-model", "gpt-4o-mini")
FRONTS = (
    Front("llmock", (*LLMOCK, "--upstream-context-window", "8192", "--upstream-price", "0.15,0.60")),
    Front("llmock-context", (*LLMOCK, "--upstream-context-window", "500")),
    # A mock that cuts every stream: of a cut, no clean end may be made.
    Front("llmock-truncate", (*LLMOCK, "--upstream-context-window", "8192"), ("--only", "SSE-04,SSE-34,ERR-01")),
    Front(
        "transformers",
        ("--upstream-model", "tiny", "--upstream-context-window", "512"),
        ("--concurrency", "2", "--only", PROMISES),
    ),
)  # fmt: skip


@contextmanager
def in_front_of(url: str, options: Sequence[str]) -> Iterator[str]:
    """The URL of the reference before a server."""
    own = ("--port", "0", "--db", ":memory:", "--upstream", url)
    command = [sys.executable, "-m", "reference_impl", *own, *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().removeprefix("ready ").strip()
        finally:
            process.terminate()


def faults(front: Front) -> list[str]:
    """What fails although it is not the server's own doing, and whatever is the suite's."""
    case = next(c for c in CASES if c.name == front.case)
    out = third_party.CACHE / "reports" / f"upstream-{front.case}"
    shutil.rmtree(out, ignore_errors=True)
    with (
        third_party.running(case.server, f"upstream-{front.case}") as port,
        in_front_of(f"http://127.0.0.1:{port}/v1", front.options) as url,
    ):
        check = ("check", url, *KEYS, *front.check, "--out", str(out), "--quiet")
        subprocess.run([sys.executable, "-m", "conformance.cli", *check], cwd=ROOT, check=False)
    if not (out / "report.json").is_file():
        return ["no report"]
    verdicts = json.loads((out / "report.json").read_text("utf-8"))["verdicts"]
    wrong = [v for v in verdicts if v["verdict"] in ("FAIL", "ERROR") and v["id"] not in front.its_own]
    return [f"{v['id']} {v['verdict']}: {v['detail']}" for v in wrong]


def main(names: Sequence[str]) -> int:
    """0 if every promise was kept in front of every server."""
    wrong = 0
    for front in (f for f in FRONTS if not names or f.case in names):
        try:
            found = faults(front)
        except third_party.ServerError as error:
            found = [str(error)]
        print(f"upstream {front.case:16} {'; '.join(found) or 'ok'}", flush=True)
        wrong += bool(found)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
