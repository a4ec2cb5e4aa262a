"""How a command ends early: one line on standard error, and an exit code."""

from __future__ import annotations

from typing import NoReturn

import typer

from conformance.report.plain import visible


def stop(message: str, code: int) -> NoReturn:
    """End the command with one line for the user."""
    typer.echo(f"aiconform: {visible(message)}", err=True)
    raise typer.Exit(code)
