"""The command ``aiconform``."""

from __future__ import annotations

import typer

from conformance import __version__
from conformance.cli import (
    check,
    dialect,
    diff,
    evidence,
    explain,
    init,
    judge,
    load,
    matrix,
    requirements,
    selftest,
    serve,
)

app = typer.Typer(
    name="aiconform",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Tell whether an AI API keeps its operational contract.",
    epilog="Exit codes: 0 gate passed, 1 gate failed, 2 bad usage or configuration, "
    "3 target unreachable or the suite's own fault, 130 interrupted.",
)
for _module in (check, init, judge, diff, matrix, explain, requirements, selftest):
    app.command(_module.__name__.rpartition(".")[2])(_module.command)
app.add_typer(dialect.app, name="dialect")
app.add_typer(evidence.app, name="evidence")
app.command("serve", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})(
    serve.command
)
app.command(
    "load",
    add_help_option=False,  # the process it starts has its own
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
)(load.command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"aiconform {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Tell whether an AI API keeps its operational contract."""


def main() -> None:
    """Entry point of the console script."""
    app(prog_name="aiconform")
