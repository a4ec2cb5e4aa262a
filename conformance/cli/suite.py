"""Run the checks as a pytest session of our own, shielded from the user's pytest configuration and plugins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import conformance.checks
from conformance import plugin
from conformance.cli.stop import stop
from conformance.report.model import Report
from conformance.run_state import RunState, Settings


class _Start:
    """Hands the settings to the plugin when pytest configures itself."""

    def __init__(self, state: RunState) -> None:
        self.state = state

    def pytest_configure(self, config: pytest.Config) -> None:
        plugin.start(config, self.state)


def run_suite(settings: Settings) -> Report:
    """Gather (or load) and judge. Ends the command with one line if there is nothing to report."""
    state = RunState(settings)
    folder = Path(conformance.checks.__file__).parent
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ.pop("PYTEST_ADDOPTS", None)
    arguments = [
        str(folder),
        "-c", str(folder / "pytest.ini"),
        "--rootdir", str(folder),
        "--confcutdir", str(folder),
        "--assert", "plain",
        "-p", "no:cacheprovider",
        "-p", "no:terminal",
    ]  # fmt: skip
    code = pytest.main(arguments, plugins=[plugin, _Start(state)])
    if state.stopped:
        stop(*state.stopped)
    if state.report is None:
        stop(f"the suite could not run its checks (pytest exit code {int(code)})", 3)
    return state.report
