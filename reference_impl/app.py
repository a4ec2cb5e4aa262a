"""Putting one server together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from reference_impl.api import (
    agents,
    caller,
    chat,
    classify,
    discovery,
    estimate,
    jobs,
    models,
    sessions,
    sockets,
    turns,
    usage,
    webhooks,
)
from reference_impl.api.sockets import ChatSocket
from reference_impl.engine.base import Engine
from reference_impl.engine.builtin import BuiltinEngine
from reference_impl.engine.classifier import TrainedClassifier
from reference_impl.engine.sandbox import SandboxEngine
from reference_impl.facade.app import FACADE_PATH, facade_app
from reference_impl.http.entry import Entry
from reference_impl.http.schema import path_methods
from reference_impl.http.site import Site
from reference_impl.http.wiring import connexion_app
from reference_impl.oauth.server import AuthorizationServer
from reference_impl.offers import keepable, refusals, withheld
from reference_impl.policies import Policies, default_policies
from reference_impl.policies.auth import BearerCredentials
from reference_impl.services import Services
from reference_impl.settings import Settings
from reference_impl.store.agent_calls import AgentCalls
from reference_impl.store.agent_runs import AgentRuns
from reference_impl.store.codes import Codes
from reference_impl.store.database import Database
from reference_impl.store.entries import Entries
from reference_impl.store.jobs import Jobs
from reference_impl.store.ledger import Ledger
from reference_impl.store.sessions import Sessions
from reference_impl.store.turns import Turns
from reference_impl.store.usage import UsageLog
from reference_impl.store.webhooks import Outbox, Webhooks
from reference_impl.telemetry import NoTelemetry, Telemetry
from reference_impl.work.workers import Workers
from spec.document import load_document

_OPERATIONS = (
    agents, caller, chat, classify, discovery, estimate, jobs, models, sessions, sockets, turns, usage,
    webhooks,
)  # fmt: skip


class ReferenceApp:
    """An ASGI application. Its state opens with the lifespan, or inside `async with app.running():`."""

    def __init__(
        self,
        services: Services,
        http: ASGIApp,
        socket: ASGIApp,
        facade: ASGIApp,
        oauth: AuthorizationServer | None = None,
        site: Site | None = None,
    ) -> None:
        self.services = services
        self._http = http
        self._workers = Workers(services)
        self._socket = socket
        self._facade = facade
        self._oauth = oauth
        self._site = site

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the database and take up waiting work; at the end stop detached work and close it."""
        await self.services.database.open()
        try:
            await self.services.policies.limits.open()
            await self._workers.start()
            yield
        finally:
            self.services.stopping.set()
            await self._workers.stop()
            await self.services.runs.stop()
            await self.services.usage.close()
            await asyncio.to_thread(self.services.telemetry.close)
            await self.services.engine.close()
            await self.services.policies.limits.close()
            await self.services.database.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """HTTP requests, WebSockets and the lifespan protocol."""
        if scope["type"] == "http":
            await self._part(scope)(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)

    def _part(self, scope: Scope) -> ASGIApp:
        path = scope["path"]
        if self._site is not None and self._site.serves(scope):
            return self._site
        if path.startswith(FACADE_PATH + "/"):
            return self._facade
        return self._oauth if self._oauth is not None and self._oauth.serves(path) else self._http

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self.running():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


def create_app(
    settings: Settings | None = None,
    policies: Policies | None = None,
    engine: Engine | None = None,
    telemetry: Telemetry | None = None,
    site: Path | None = None,
) -> ReferenceApp:
    """A server of its own: no state is shared with any other in the process.

    `policies` defaults to `default_policies(settings)`; change one with `dataclasses.replace`. What the engine cannot
    do is not offered (`offers.py`).
    `site` is the folder of the documentation, served below /docs.
    """
    settings = settings or Settings()
    engine = engine or BuiltinEngine(settings.first_token_ms, settings.token_ms)
    settings = keepable(settings, engine)
    policies = policies or default_policies(settings, exact_counts=engine.exact)
    document = _document()
    database = Database(settings.database, settings.lease_s)
    outbox = Outbox(database)
    services = Services(
        settings=settings,
        policies=policies,
        document=document,
        engine=SandboxEngine(engine),
        classifier=TrainedClassifier(),
        database=database,
        ledger=Ledger(database),
        turns=Turns(database),
        jobs=Jobs(database, outbox),
        webhooks=Webhooks(database),
        outbox=outbox,
        agent_runs=AgentRuns(database),
        agent_calls=AgentCalls(database),
        entries=Entries(database),
        sessions=Sessions(database),
        usage=UsageLog(database, settings.usage_retention_s),
        telemetry=telemetry or NoTelemetry(),
    )
    handlers = {
        name: handler for module in _OPERATIONS for name, handler in module.operations(services).items()
    }
    handlers |= refusals(document, withheld(services.engine))
    inner = connexion_app(document, policies, settings, handlers)
    entry = Entry(
        inner,
        policies,
        path_methods(document),
        public_url=settings.auth.public_url,
        retired=document.get("x-retired", ()),
        telemetry=services.telemetry,
    )
    oauth = _authorization_server(services, entry)
    pages = Site(site) if site is not None else None
    return ReferenceApp(services, entry, ChatSocket(services, entry), facade_app(services), oauth, pages)


@cache
def _document() -> Mapping[str, Any]:
    # The servers of a process share it: nobody writes to it.
    return load_document()


def _authorization_server(services: Services, entry: Entry) -> AuthorizationServer | None:
    """The server that issues what `BearerCredentials` takes; none beside another authenticator."""
    auth = services.policies.auth
    if not isinstance(auth, BearerCredentials):
        return None
    codes = Codes(services.database)
    return AuthorizationServer(
        services.settings, auth.own_keys, auth.keys, services.policies.grants, codes, entry.open
    )
