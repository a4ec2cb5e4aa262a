"""Putting one server together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp, Receive, Scope, Send

from reference_impl.api import chat, classify, discovery, models, turns
from reference_impl.engine.base import Engine
from reference_impl.engine.builtin import BuiltinEngine
from reference_impl.engine.classifier import KeywordClassifier
from reference_impl.engine.sandbox import SandboxEngine
from reference_impl.facade.app import FACADE_PATH, facade_app
from reference_impl.http.entry import Entry
from reference_impl.http.schema import path_methods
from reference_impl.http.wiring import connexion_app
from reference_impl.policies import Policies, default_policies
from reference_impl.services import Services
from reference_impl.settings import Settings
from reference_impl.store.database import Database
from reference_impl.store.ledger import Ledger
from reference_impl.store.turns import Turns
from spec.document import load_document

_OPERATIONS = (chat, classify, discovery, models, turns)


class ReferenceApp:
    """An ASGI application. Its state opens with the lifespan, or inside `async with app.running():`."""

    def __init__(self, services: Services, http: ASGIApp, facade: ASGIApp) -> None:
        self.services = services
        self._http = http
        self._facade = facade

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the database, and at the end stop detached work and close it."""
        await self.services.database.open()
        try:
            yield
        finally:
            self.services.stopping.set()
            await self.services.runs.stop()
            await self.services.engine.close()
            await self.services.database.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """HTTP requests and the lifespan protocol; anything else is refused by its absence."""
        if scope["type"] == "http":
            inside = scope["path"].startswith(FACADE_PATH + "/")
            await (self._facade if inside else self._http)(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self.running():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


def create_app(
    settings: Settings | None = None, policies: Policies | None = None, engine: Engine | None = None
) -> ReferenceApp:
    """A server of its own: no state is shared with any other in the process.

    `policies` defaults to `default_policies(settings)`; change one with `dataclasses.replace`.
    """
    settings = settings or Settings()
    policies = policies or default_policies(settings)
    document = load_document()
    database = Database(settings.database)
    services = Services(
        settings=settings,
        policies=policies,
        document=document,
        engine=SandboxEngine(engine or BuiltinEngine(settings.first_token_ms, settings.token_ms)),
        classifier=KeywordClassifier(),
        database=database,
        ledger=Ledger(database),
        turns=Turns(database),
    )
    handlers = {
        name: handler for module in _OPERATIONS for name, handler in module.operations(services).items()
    }
    inner = connexion_app(document, policies, settings, handlers)
    return ReferenceApp(services, Entry(inner, policies, path_methods(document)), facade_app(services))
