"""``aiconform dialect new|lint|try``: write a dialect of one's own, step by step."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="Write, lint and try a dialect of your own.")
