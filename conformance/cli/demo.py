"""``python -m conformance.cli.demo``: validate the reference implementation, started here on a free port."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from conformance.cli import main
from conformance.cli.local_server import local_server

WEBHOOKS = ("--webhook-network", "127.0.0.0/8")
"""The suite listens for webhooks on this machine."""


def demo(options: list[str]) -> None:
    """Start the reference on an SQLite file of its own and run ``aiconform check`` on it."""
    with (
        tempfile.TemporaryDirectory(prefix="aiconform-") as folder,
        local_server("reference_impl", "--db", str(Path(folder) / "state.sqlite"), *WEBHOOKS) as url,
    ):
        keys = ["--key", "sk-demo", "--other-key", "sk-demo-other", "--limited-key", "sk-demo-limited"]
        sys.argv = ["aiconform", "check", url, *keys, *options]
        main()


if __name__ == "__main__":
    demo(sys.argv[1:])
