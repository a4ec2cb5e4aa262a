"""The pytest plugin: options, one gathering before the tests, a verdict per check, reports at the end.

``pytest --pyargs conformance.checks --target URL --dialect contract --key sk-…`` runs the suite with every pytest
flag. A session that names neither a target nor saved evidence is left alone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conformance.run_state import RunState, Settings


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("aiconform", "conformance of an AI API")
    group.addoption(
        "--target",
        metavar="URL",
        help="base URL of the API to judge, for instance http://127.0.0.1:8000/api/v1",
    )
    group.addoption(
        "--replica",
        metavar="URL",
        action="append",
        default=[],
        help="base URL of a further replica (repeatable): calls go to them in turn",
    )
    group.addoption(
        "--dialect",
        metavar="NAME",
        default="contract",
        help="its wire format: a built-in dialect or a YAML file",
    )
    group.addoption(
        "--key", metavar="KEY", help="credential (default: the environment variable AICONFORM_KEY)"
    )
    group.addoption("--other-key", metavar="KEY", help="credential of a second principal")
    group.addoption("--limited-key", metavar="KEY", help="credential whose limits may be exhausted")
    group.addoption("--narrow-key", metavar="KEY", help="credential with few rights")
    group.addoption("--oauth-token-url", metavar="URL", help="token endpoint, to judge access tokens")
    group.addoption("--client-id", metavar="ID", help="OAuth client (client credentials)")
    group.addoption(
        "--client-secret",
        metavar="S",
        help="its secret (default: the environment variable AICONFORM_CLIENT_SECRET)",
    )
    group.addoption("--oauth-redirect-uri", metavar="URI", help="a redirect URI of the client")
    group.addoption("--client-cert", metavar="FILE", help="certificate (PEM) for mutual TLS")
    group.addoption("--client-cert-key", metavar="FILE", help="its private key (PEM)")
    group.addoption(
        "--budget-key", metavar="KEY", help="credential with a small budget and few concurrent slots"
    )
    group.addoption("--model", metavar="ID", help="model to call (default: the target's first)")
    group.addoption("--only", metavar="IDS", help="requirements to judge, for instance SSE-04,ERR-*")
    group.addoption("--max-calls", metavar="N", type=int, help="never send more than N requests")
    group.addoption(
        "--callback-url", metavar="URL", help="where the target can reach this machine, for webhooks"
    )
    group.addoption(
        "--callback-port", metavar="PORT", type=int, help="port behind --callback-url (default: its own)"
    )
    group.addoption(
        "--evidence", metavar="DIR", help="judge saved evidence instead of a target; nothing is sent"
    )
    group.addoption("--out", metavar="DIR", help="write the evidence, report.html and report.json here")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--target", None) or config.getoption("--evidence", None):
        from conformance.run_state import RunState

        start(config, RunState(_settings(config)))


def start(config: pytest.Config, state: RunState) -> None:
    """Make this pytest session a run."""
    from conformance.run_plugin import RunPlugin
    from conformance.run_state import STATE

    config.stash[STATE] = state
    config.pluginmanager.register(RunPlugin(state), "aiconform-run")


def _settings(config: pytest.Config) -> Settings:
    from conformance.dialects.model import DialectError, load_dialect
    from conformance.run_state import Settings
    from conformance.selection import Selection
    from conformance.target import Target, TargetError, client_certificate, oauth_client

    def option(name: str) -> Any:
        return config.getoption(name)

    try:
        dialect = load_dialect(option("--dialect"))
        selection, out = Selection.parse(option("--only")), Path(option("--out")) if option("--out") else None
        if option("--evidence"):
            return Settings(dialect, saved=Path(option("--evidence")), selection=selection, out=out)
        target = Target.create(
            option("--target"),
            dialect.name,
            key=option("--key") or os.environ.get("AICONFORM_KEY"),
            other_key=option("--other-key"),
            limited_key=option("--limited-key"),
            narrow_key=option("--narrow-key"),
            certificate=client_certificate(option("--client-cert"), option("--client-cert-key")),
            oauth=oauth_client(
                option("--oauth-token-url"),
                option("--client-id"),
                option("--client-secret")
                or (os.environ.get("AICONFORM_CLIENT_SECRET") if option("--client-id") else None),
                option("--oauth-redirect-uri"),
            ),
            budget_key=option("--budget-key"),
            model=option("--model"),
            max_calls=option("--max-calls"),
            callback_url=option("--callback-url"),
            callback_port=option("--callback-port"),
            replicas=option("--replica"),
        )
    except (DialectError, TargetError) as error:
        raise pytest.UsageError(str(error)) from None
    return Settings(dialect, target, selection=selection, out=out)
