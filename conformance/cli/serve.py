"""``aiconform serve``: the reference implementation, in a process of its own."""

from __future__ import annotations

import importlib.util
import os
import sys

import typer

from conformance.cli.stop import stop


def command(
    context: typer.Context,
    mutant: str = typer.Option("", metavar="NAME", help="Serve one mutant or variant instead."),
) -> None:
    """Serve the reference implementation. Further options go to it: see aiconform serve --help-server.

    Example: aiconform serve --port 8000
    """
    if importlib.util.find_spec("connexion") is None:
        stop("the server is not installed: pip install 'aiconform[server]'", 2)
    module = "reference_impl.mutants" if mutant else "reference_impl"
    extra = ["--only", mutant] if mutant else []
    arguments = ["--help" if a == "--help-server" else a for a in context.args]
    os.execv(sys.executable, [sys.executable, "-m", module, *extra, *arguments])  # noqa: S606 - our own module
