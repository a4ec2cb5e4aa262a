"""Real servers for the tests of several replicas."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.stack import Stack, running

LEASE_S = 3


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A folder that PostgreSQL may enter too; pytest's own are for the user who runs the tests only."""
    with tempfile.TemporaryDirectory(prefix="aiconform-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def stack(home: Path) -> Iterator[Stack]:
    """Two replicas behind the balancer, whose leases are short. Who breaks a part of it puts it up again."""
    options = ("--lease-s", str(LEASE_S), "--webhook-network", "127.0.0.0/8", "--jwt-leeway-s", "1")
    with running(home / "stack", options=options) as started:
        yield started
