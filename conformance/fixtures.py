"""Session fixtures of the checks: one per probe, and the broad ones. They read what the plugin gathered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from conformance.registry import BROAD, PROBES, load_all
from conformance.run_state import bench_of

load_all()


def _fixture(name: str) -> Callable[..., Any]:
    @pytest.fixture(scope="session", name=name)
    def value(request: pytest.FixtureRequest) -> Any:
        return bench_of(request.config).resolve(name)

    value.__doc__ = f"The run's {name}."
    return value


for _name in (*BROAD, *PROBES, "secrets"):
    globals()[f"fixture_{_name}"] = _fixture(_name)
