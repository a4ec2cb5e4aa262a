"""The suite as the balancer: replicas that share their state properly give it nothing to find, call by call in turn."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.cli.demo import credentials
from deploy.stack import Stack

ROOT = Path(__file__).parents[2]
STATEFUL = "IDEM-01,IDEM-04,IDEM-06,JOB-02,JOB-05,JOB-14,CTX-02,CTX-10,RATE-01,RATE-08"
"""Of each kind of state some requirements that replicas fail which share nothing (tests/suite/test_replicas_apart.py)."""


def judged_in_turn(stack: Stack, report: Path, *options: str) -> dict[str, Any]:
    """The report of a run that sends its calls to the replicas themselves."""
    first, *further = (replica.url for replica in stack.replicas)
    replicas = [word for url in further for word in ("--replica", url)]
    command = [sys.executable, "-m", "conformance.cli", "check", first, *replicas, "--out", str(report)]
    done = subprocess.run(
        [*command, *credentials(first), *options],
        capture_output=True, text=True, cwd=ROOT, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout[-3000:] + done.stderr[-2000:]
    read: dict[str, Any] = json.loads((report / "report.json").read_text("utf-8"))
    return read


def wrong(report: dict[str, Any]) -> dict[str, str]:
    bad = ("FAIL", "WARN", "ERROR")
    return {v["id"]: v["detail"] for v in report["verdicts"] if v["verdict"] in bad}


def test_shared_state_is_no_finding(stack: Stack, tmp_path: Path) -> None:
    report = judged_in_turn(stack, tmp_path / "report", "--only", STATEFUL)
    assert wrong(report) == {}
    passed = {v["id"] for v in report["verdicts"] if v["verdict"] == "PASS"}
    assert passed >= {"IDEM-01", "IDEM-04", "JOB-02", "JOB-05", "CTX-02", "CTX-10"}
    assert report["target"]["replicas"] == [replica.url for replica in stack.replicas]


@pytest.mark.slow
def test_a_whole_run_finds_nothing(stack: Stack, tmp_path: Path) -> None:
    report = judged_in_turn(stack, tmp_path / "report")
    assert wrong(report) == {}
    results = [v["verdict"] for v in report["verdicts"]]
    assert results.count("PASS") > 300
    undecided = [v["id"] for v in report["verdicts"] if v["verdict"] == "INCONCLUSIVE"]
    assert len(undecided) <= 6, undecided
