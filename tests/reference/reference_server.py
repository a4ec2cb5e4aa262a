"""A reference server of this process's own, on a free port, for tests that talk to it over real HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvicorn
from described import check_described, check_events
from reference_state import placed
from starlette.types import ASGIApp

from reference_impl.app import ReferenceApp, create_app
from reference_impl.engine.base import Engine
from reference_impl.policies import Policies
from reference_impl.serve import base_url, listen, server
from reference_impl.settings import Settings
from reference_impl.tls import Tls

T = TypeVar("T")

KEY = "sk-demo"
OTHER_KEY = "sk-demo-other"
LIMITED_KEY = "sk-demo-limited"
WAIT_S = 10.0


class ReferenceServer:
    """Runs in a thread with its own event loop; use as a context manager."""

    def __init__(
        self,
        settings: Settings,
        policies: Policies | None = None,
        wrap: Callable[[ReferenceApp], ASGIApp] | None = None,
        tls: Tls | None = None,
        engine: Engine | None = None,
        site: Path | None = None,
    ) -> None:
        self.app = create_app(placed(settings), policies, engine, site=site)
        self._listener = listen("127.0.0.1", 0)
        self.url = base_url("127.0.0.1", self._listener, tls)
        self.origin = self.url.removesuffix("/api/v1")
        self._tls = tls
        self.port: int = self._listener.getsockname()[1]
        self._wrap = wrap
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._server: uvicorn.Server

    def __enter__(self) -> ReferenceServer:
        self._thread.start()
        assert self._ready.wait(WAIT_S), "the server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive(), "the server did not stop"

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = server(self.app, self._ready.set, self._tls)
        if self._wrap is not None:
            self._server.config.app = self._wrap(self.app)
        async with self.app.running():
            await self._server.serve(sockets=[self._listener])

    def stop_soon(self) -> None:
        """Begin to shut down; leaving the context waits for the end."""
        self._server.should_exit = True

    def client(self, key: str | None = KEY) -> httpx.Client:
        """An HTTP client with this API key; each answer it gets is held against the description."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        # Plain HTTP only, and reading the trust store takes longer than most tests.
        return httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=WAIT_S,
            event_hooks={"response": [check_described]},
            verify=False,
            trust_env=False,
        )

    def ask(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run a coroutine on the server's loop and wait for its result."""

        async def run() -> T:
            return await work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(WAIT_S)

    def eventually(self, condition: Callable[[], bool]) -> None:
        """Wait until the server's state fulfils the condition, looked at between two steps of its loop."""

        async def watch() -> None:
            async with asyncio.timeout(WAIT_S):
                while not condition():
                    await asyncio.sleep(0.005)

        self.ask(watch)

    def raw(self, request: bytes) -> bytes:
        """The bytes of one answer to the bytes of one request; the request must make the server close."""
        with closing(socket.create_connection(("127.0.0.1", self.port), WAIT_S)) as connection:
            connection.sendall(request)
            received = b""
            while chunk := connection.recv(65_536):
                received += chunk
            return received

    def connection(self) -> http.client.HTTPConnection:
        """One keep-alive connection, for tests about what a connection survives."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)


def chat(text: str = "Tell me something", **fields: Any) -> dict[str, Any]:
    """A chat request with one user message."""
    return {"messages": [{"role": "user", "content": text}], **fields}


def post_bytes(path: str, body: bytes, *, headers: str = "", key: str = KEY) -> bytes:
    """A raw POST that asks the server to close afterwards."""
    head = (
        f"POST /api/v1{path} HTTP/1.1\r\nHost: reference\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}Connection: close\r\n\r\n"
    )
    return head.encode() + body


def events(stream: str) -> list[dict[str, Any]]:
    """The JSON events of a stream, in order, held against the description; the terminal is left out."""
    data = [line.removeprefix("data: ") for line in stream.split("\n") if line.startswith("data: ")]
    parsed = [json.loads(text) for text in data if text != "[DONE]"]
    check_events(parsed)
    return parsed


def error(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The error object of an answer that must be this error, with everything each error carries."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body.keys() == {"error"}
    envelope: dict[str, Any] = body["error"]
    assert envelope["code"] == code
    assert envelope.keys() == {
        "code", "message", "details", "type", "param", "retryable", "request_id", "docs_url"
    }  # fmt: skip
    assert isinstance(envelope["details"], dict)
    assert envelope["message"]
    assert envelope["request_id"] == response.headers["x-request-id"]
    assert response.headers["api-version"] == "2026-11-01"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["server-timing"].startswith('trace;desc="00-')
    return envelope
