"""Many servers in one process, each below its own path prefix, each built when it is first asked."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from reference_impl.app import ReferenceApp, create_app
from reference_impl.facade.app import FACADE_PATH
from reference_impl.identity import DEMO_REDIRECT
from reference_impl.mutants.model import ASGIApp, Subject
from reference_impl.policies import default_policies
from reference_impl.settings import BASE_PATH

KEYS = {
    "main": "sk-demo",
    "other": "sk-demo-other",
    "limited": "sk-demo-limited",
    "narrow": "sk-demo-narrow",
    "budget": "sk-demo-budget",
}
CLIENT = {
    "client_id": "demo-service",
    "client_secret": "demo-service-secret",
    "redirect_uri": DEMO_REDIRECT,
}
WELL_KNOWN = re.compile(r"(/\.well-known/[a-z-]+)/([^/]+)(.*)")
"""Metadata of a server below a path stand before that path (RFC 8414 section 3.1, RFC 9728 section 3.1)."""


def _built(subject: Subject) -> ReferenceApp:
    return create_app(subject.settings, subject.policies(default_policies(subject.settings)))


class Host:
    """ASGI: ``/subjects`` is the index, ``/NAME/…`` is that subject's server.

    ``DELETE /subjects/NAME`` stops that server and forgets its state; asked again, it starts anew.
    """

    def __init__(self, subjects: Sequence[Subject]) -> None:
        self._subjects = {s.name: s for s in subjects}
        self._apps: dict[str, tuple[ASGIApp, AsyncExitStack]] = {}
        self._building = asyncio.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            for running in list(self._apps):
                await self._stop(running)
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["type"] == "websocket" and scope["path"].split("/")[1] not in self._subjects:
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        name, _, rest = scope["path"].removeprefix("/").partition("/")
        known = WELL_KNOWN.fullmatch(scope["path"])
        if known is not None:
            name, rest = known[2], (known[1] + known[3]).removeprefix("/")
        if name == "subjects" and rest and scope.get("method") == "DELETE":
            await self._stop(rest)
            await _answer(send, 204)
            return
        if scope["type"] not in ("http", "websocket") or name not in self._subjects:
            await self._index(scope, send)
            return
        app = await self._app(name)
        prefix = f"/{name}"
        raw = f"/{rest}".encode() if known else scope.get("raw_path", b"").removeprefix(prefix.encode())
        await app({**scope, "path": f"/{rest}", "raw_path": raw, "aiconform.prefix": prefix}, receive, send)

    async def _app(self, name: str) -> ASGIApp:
        async with self._building:
            if name not in self._apps:
                subject = self._subjects[name]
                # In a thread, so that the streams of the other servers keep their pace meanwhile.
                app = await asyncio.to_thread(_built, subject)
                stack = AsyncExitStack()
                await stack.enter_async_context(app.running())
                self._apps[name] = subject.wrap(app), stack
        return self._apps[name][0]

    async def _stop(self, name: str) -> None:
        _, stack = self._apps.pop(name, (None, None))
        if stack is not None:
            await stack.aclose()

    async def _index(self, scope: Any, send: Any) -> None:
        host = dict(scope["headers"]).get(b"host", b"127.0.0.1").decode("latin-1")
        listed = [
            {
                "name": s.name,
                "kind": s.kind,
                "story": s.story,
                "violates": list(s.violates),
                "says": s.says,
                "slow": s.slow,
                "dialect": s.dialect,
                "base_url": f"http://{host}/{s.name}{base_path(s)}",
                "stop_url": f"http://{host}/subjects/{s.name}",
                "keys": KEYS,
                # The metadata of the resource are those of the contract's API, not of the facade beside it.
                "oauth": {"token_url": f"http://{host}/{s.name}/oauth/token", **CLIENT}
                if s.dialect == "contract"
                else None,
            }
            for s in self._subjects.values()
        ]
        found = scope["path"] == "/subjects"
        await _answer(
            send, 200 if found else 404, {"subjects": listed} if found else {"error": "see /subjects"}
        )


async def _answer(send: Any, status: int, content: Any = None) -> None:
    body = b"" if content is None else json.dumps(content).encode()
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": head if body else []})
    await send({"type": "http.response.body", "body": body})


def base_path(subject: Subject) -> str:
    """The path of the API that the suite examines: the contract's, or the facade's beside it."""
    return BASE_PATH if subject.dialect == "contract" else FACADE_PATH
