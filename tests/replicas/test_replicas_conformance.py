"""The suite sees no difference between one process on SQLite and replicas behind a balancer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.cli.demo import WEBHOOKS, credentials
from conformance.cli.local_server import local_server
from deploy.stack import Stack

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def verdicts(url: str, report: Path) -> dict[str, dict[str, Any]]:
    """What a whole run says, by requirement."""
    command = [sys.executable, "-m", "conformance.cli", "check", url, *credentials(url), "--out", str(report)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=400, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    read = json.loads((report / "report.json").read_text("utf-8"))
    return {verdict["id"]: verdict for verdict in read["verdicts"]}


def test_the_suite_gives_the_same_verdicts_through_the_balancer(stack: Stack, tmp_path: Path) -> None:
    with local_server(
        "reference_impl", "--db", str(tmp_path / "state.sqlite"), "--jwt-leeway-s", "1", *WEBHOOKS
    ) as url:
        alone = verdicts(url, tmp_path / "alone")
    together = verdicts(stack.url, tmp_path / "together")
    assert alone.keys() == together.keys()
    # How fast a model looks depends on the machine at that moment: that evidence decides nothing is no difference.
    different = {
        name: (alone[name]["verdict"], together[name]["verdict"], together[name]["detail"])
        for name in alone
        if alone[name]["verdict"] != together[name]["verdict"]
        and "INCONCLUSIVE" not in (alone[name]["verdict"], together[name]["verdict"])
    }
    assert different == {}
    undecided = [name for name, verdict in together.items() if verdict["verdict"] == "INCONCLUSIVE"]
    assert len(undecided) <= 5, undecided
    assert sum(verdict["verdict"] == "PASS" for verdict in together.values()) > 300
