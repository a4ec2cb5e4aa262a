"""``aiconform load``: the load tests, in a process of their own, since Locust patches the whole process."""

from __future__ import annotations

import importlib.util
import os
import sys

import typer

from conformance.cli.stop import stop


def command(context: typer.Context) -> None:
    """Put load on an AI API and tell how it holds. Options: aiconform load --help.

    Example: aiconform load http://127.0.0.1:8000/api/v1 --key sk-demo --users 64 --duration 60
    """
    for needed in ("locust", "httptools", "load"):
        if importlib.util.find_spec(needed) is None:
            stop("the load tests are not installed: pip install 'aiconform[load]'", 2)
    os.execv(sys.executable, [sys.executable, "-m", "load", *context.args])  # noqa: S606 - our own module
