"""Running one server in the foreground: bind, say `ready`, serve, stop cleanly."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from reference_impl.app import ReferenceApp
from reference_impl.http.protocol import DenyingSockets, EnvelopeProtocol
from reference_impl.http.sockets import PING_S, SOCKET_FRAME_LIMIT
from reference_impl.settings import BASE_PATH
from reference_impl.tls import Tls

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class CannotListenError(Exception):
    """The address cannot be bound; the message says why and what to do."""


class _Server(uvicorn.Server):
    """Gives open streams a grace period on shutdown, then lets each say goodbye before it closes."""

    def __init__(self, config: uvicorn.Config, app: ReferenceApp, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._app = app
        self._ready = ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Like uvicorn's, without sending the signal again at the end: the database has yet to be closed."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {number: signal.signal(number, self.handle_exit) for number in _STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        services = self._app.services
        loop = asyncio.get_running_loop()
        loop.call_later(services.settings.shutdown_grace_s, services.stopping.set)
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY on what it accepts; without, each answer waits for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as problem:
        listener.close()
        reason = problem.strerror or str(problem)
        raise CannotListenError(
            f"cannot listen on {host}:{port}: {reason}; choose another --port"
        ) from problem
    return listener


def base_url(host: str, listener: socket.socket, tls: Tls | None = None) -> str:
    """The URL under which the API answers."""
    name = f"[{host}]" if ":" in host else host
    return f"http{'' if tls is None else 's'}://{name}:{listener.getsockname()[1]}{BASE_PATH}"


def server(app: ReferenceApp, ready: Callable[[], None], tls: Tls | None = None) -> uvicorn.Server:
    """A configured uvicorn server; `ready` is called once it accepts connections."""
    return _Server(_config(app, tls), app, ready)


def _config(app: ReferenceApp, tls: Tls | None = None) -> uvicorn.Config:
    grace = app.services.settings.shutdown_grace_s
    return uvicorn.Config(
        app,
        http=EnvelopeProtocol,
        ws=DenyingSockets,
        ws_max_size=SOCKET_FRAME_LIMIT,
        ws_ping_interval=PING_S,
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=round(grace + 2),
        **({} if tls is None else tls.for_uvicorn()),
    )


def run(app: ReferenceApp, host: str, port: int, tls: Tls | None = None) -> None:
    """Serve until SIGTERM or SIGINT, on uvloop where there is one.

    Prints one line on stdout when the API answers.
    """
    with asyncio.Runner(loop_factory=_config(app).get_loop_factory()) as runner:
        runner.run(_serve(app, host, port, tls))


async def _serve(app: ReferenceApp, host: str, port: int, tls: Tls | None) -> None:
    listener = listen(host, port)

    def ready() -> None:
        sys.stdout.write(f"ready {base_url(host, listener, tls)}\n")
        sys.stdout.flush()

    async with app.running():
        await server(app, ready, tls).serve(sockets=[listener])


def configure_logging() -> None:
    """Warnings and up on stderr; Connexion's remarks about every request it refuses are no news."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("connexion").setLevel(logging.ERROR)
