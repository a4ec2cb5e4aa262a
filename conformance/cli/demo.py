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
        local_server(
            "reference_impl", "--db", str(Path(folder) / "state.sqlite"), "--jwt-leeway-s", "1", *WEBHOOKS
        ) as url,
    ):
        sys.argv = ["aiconform", "check", url, *credentials(url), *options]
        main()


def credentials(url: str) -> list[str]:
    """Keys and client that the reference ships with, for demonstration and tests."""
    given = {
        "--key": "sk-demo",
        "--other-key": "sk-demo-other",
        "--limited-key": "sk-demo-limited",
        "--narrow-key": "sk-demo-narrow",
        "--budget-key": "sk-demo-budget",
        "--oauth-token-url": url.removesuffix("/api/v1") + "/oauth/token",
        "--client-id": "demo-service",
        "--client-secret": "demo-service-secret",
        "--oauth-redirect-uri": "http://127.0.0.1:8765/callback",
    }
    return [text for pair in given.items() for text in pair]


if __name__ == "__main__":
    demo(sys.argv[1:])
