"""Servers for the reference's tests."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from inbox import Inbox, open_inbox
from reference_server import ReferenceServer

from reference_impl.identity import AuthSettings
from reference_impl.settings import Settings


@pytest.fixture(scope="session")
def reference() -> Iterator[ReferenceServer]:
    """The default server, with a keep-alive short enough to be seen."""
    with ReferenceServer(Settings(keep_alive_s=0.15)) as running:
        yield running


@pytest.fixture
def client(reference: ReferenceServer) -> Iterator[httpx.Client]:
    """An authenticated client of the default server."""
    with reference.client() as opened:
        yield opened


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """A receiver of webhooks."""
    with open_inbox() as opened:
        yield opened


@pytest.fixture(scope="session")
def issuing() -> Iterator[ReferenceServer]:
    """A server that issues tokens and allows clocks no leeway."""
    with ReferenceServer(Settings(auth=AuthSettings(token_seconds=300, leeway_s=0))) as running:
        yield running


@pytest.fixture
def browser(issuing: ReferenceServer) -> Iterator[httpx.Client]:
    """A client of its authorization server; it follows no redirect."""
    with httpx.Client(base_url=issuing.origin, verify=False, trust_env=False) as client:
        yield client
