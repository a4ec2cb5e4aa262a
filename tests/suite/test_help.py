"""Every command has a help text with an example that its own parser understands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from conformance.cli import app

ROOT: Any = typer.main.get_command(app)
PASSED_ON = {"serve": ("reference_impl",), "load": ("load",)}
"""Commands whose options another program has."""


def commands(group: Any = ROOT, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands())


def example_of(text: str, path: tuple[str, ...]) -> list[str]:
    """The words of the example after the command's name."""
    found = re.search(r"Example: aiconform (.+)", " ".join(text.split()))
    assert found is not None, "there is no example"
    words = shlex.split(found[1])
    assert tuple(words[: len(path)]) == path
    return words[len(path) :]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_command_has_an_example_that_parses(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    words = example_of(command.help, path)
    context = command.make_context(" ".join(path), list(words), resilient_parsing=True)
    known = {flag for parameter in command.params for flag in parameter.opts}
    if path[0] not in PASSED_ON:
        assert context.args == []
        assert {w for w in words if w.startswith("--")} <= known


@pytest.mark.parametrize("path", [p for p in COMMANDS if p[0] not in PASSED_ON], ids=" ".join)
def test_help_shows_the_example_and_every_option(path: tuple[str, ...]) -> None:
    told = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert told.exit_code == 0
    assert f"Example: aiconform {' '.join(path)}" in told.output
    for parameter in COMMANDS[path].params:
        if parameter.opts[0].startswith("--"):
            assert parameter.opts[0] in told.output
            assert parameter.help, parameter.name


@pytest.mark.parametrize("module", ["reference_impl", "load"])
def test_the_programs_behind_serve_and_load_know_the_options_of_the_examples(module: str) -> None:
    (path,) = (p for p in COMMANDS if p[0] in PASSED_ON and PASSED_ON[p[0]] == (module,))
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    for flag in (w for w in example_of(COMMANDS[path].help, path) if w.startswith("--")):
        assert flag in done.stdout


def test_help_of_load_has_examples() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "load", "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    assert "aiconform load http://127.0.0.1:8000/api/v1 --key sk-demo --users 16 --duration 20" in done.stdout


def test_the_version_is_that_of_the_package() -> None:
    from conformance import __version__

    assert CliRunner().invoke(app, ["--version"]).output == f"aiconform {__version__}\n"
