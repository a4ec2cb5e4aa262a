"""Everything that the reference's tests demand of state holds on PostgreSQL and Redis as well."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STATEFUL = (
    "accounting", "agents", "auth_codes", "cost", "idempotency", "job_lists", "jobs", "limits", "sessions", "sharing",
    "sockets", "streams", "turns", "webhooks",
)  # fmt: skip


@pytest.mark.nightly
def test_the_references_tests_of_state_hold_on_postgresql_and_redis(home: Path) -> None:
    files = [str(ROOT / f"tests/reference/test_reference_{name}.py") for name in STATEFUL]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not slow", *files]
    environment = {**os.environ, "AICONFORM_TEST_STATE": str(home / "reference")}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:]
