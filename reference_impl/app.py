"""Putting one server together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp, Receive, Scope, Send

from reference_impl.api import agents, chat, classify, discovery, models, sockets, turns
from reference_impl.api.sockets import ChatSocket
from reference_impl.engine.base import Engine
from reference_impl.engine.builtin import BuiltinEngine
from reference_impl.engine.classifier import TrainedClassifier
from reference_impl.engine.sandbox import SandboxEngine
from reference_impl.facade.app import FACADE_PATH, facade_app
from reference_impl.http.entry import Entry
from reference_impl.http.schema import path_methods
from reference_impl.http.wiring import connexion_app
from reference_impl.policies import Policies, default_policies
from reference_impl.services import Services
from reference_impl.settings import Settings
from reference_impl.store.agent_runs import AgentRuns
from reference_impl.store.database import Database
from reference_impl.store.entries import Entries
from reference_impl.store.ledger import Ledger
from reference_impl.store.turns import Turns
from spec.document import load_document

_OPERATIONS = (agents, chat, classify, discovery, models, sockets, turns)


class ReferenceApp:
    """An ASGI application. Its state opens with the lifespan, or inside `async with app.running():`."""

    def __init__(self, services: Services, http: ASGIApp, socket: ASGIApp, facade: ASGIApp) -> None:
        self.services = services
        self._http = http
        self._socket = socket
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
        """HTTP requests, WebSockets and the lifespan protocol."""
        if scope["type"] == "http":
            inside = scope["path"].startswith(FACADE_PATH + "/")
            await (self._facade if inside else self._http)(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)

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
        classifier=TrainedClassifier(),
        database=database,
        ledger=Ledger(database),
        turns=Turns(database),
        agent_runs=AgentRuns(database),
        entries=Entries(database),
    )
    handlers = {
        name: handler for module in _OPERATIONS for name, handler in module.operations(services).items()
    }
    inner = connexion_app(document, policies, settings, handlers)
    entry = Entry(inner, policies, path_methods(document))
    return ReferenceApp(services, entry, ChatSocket(services, entry), facade_app(services))
