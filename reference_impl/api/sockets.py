"""GET /chat/ws: the events of POST /chat over a WebSocket, several answers at a time."""

from __future__ import annotations

import logging

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from reference_impl.api.socket_talk import Talk
from reference_impl.exchange import Exchange
from reference_impl.http.dispatch import Handler
from reference_impl.http.entry import Entry
from reference_impl.http.schema import MessageCheck
from reference_impl.http.security import admit
from reference_impl.http.sockets import (
    SERVER_ERROR,
    Closed,
    Socket,
    accept,
    as_request,
    refuse,
)
from reference_impl.outages import OutageError
from reference_impl.policies.errors import ContractError, unavailable
from reference_impl.policies.sockets import SUBPROTOCOL
from reference_impl.services import Services
from reference_impl.settings import BASE_PATH

PATH = "/chat/ws"

_log = logging.getLogger("aiconform.reference")
_KINDS = {"chat": "ChatMessage", "cancel": "CancelMessage", "ping": "PingMessage"}


def operations(_services: Services) -> dict[str, Handler]:
    """Handlers by operationId: what a plain GET of the socket's path is told."""

    async def open_chat_socket(exchange: Exchange) -> Response:
        raise ContractError(
            "UPGRADE_REQUIRED",
            "This is a WebSocket: send Upgrade: websocket.",
            details={"subprotocols": [SUBPROTOCOL]},
            headers={"Upgrade": "websocket", "Connection": "Upgrade"},
        )

    return {"openChatSocket": open_chat_socket}


class ChatSocket:
    """The ASGI application for every WebSocket of a server."""

    def __init__(self, services: Services, entry: Entry) -> None:
        self._services = services
        self._entry = entry
        self._check = MessageCheck(services.document, _KINDS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse in HTTP what can be refused before the upgrade, else converse until one side closes."""
        policies = self._services.policies
        exchange = self._entry.open(as_request(scope))
        status, code = 101, None
        try:
            try:
                subprotocol = await self._admitted(exchange)
            finally:
                # A connection that waits holds no slot; every answer on it does.
                policies.limits.release(exchange)
            await self._talk(exchange, await accept(self._entry, exchange, receive, send, subprotocol))
        except (ContractError, OutageError) as problem:
            error = problem if isinstance(problem, ContractError) else unavailable()
            code = error.code
            status = await refuse(self._entry, policies, exchange, error, receive, send)
        finally:
            self._services.telemetry.answered(exchange, status, code)

    async def _admitted(self, exchange: Exchange) -> str:
        """The subprotocol to speak with a caller that may open a socket."""
        policies = self._services.policies
        if exchange.path != BASE_PATH + PATH:
            raise ContractError("NOT_FOUND", "There is no such resource.")
        exchange.route = PATH
        await admit(policies, exchange)
        policies.versioning.check(exchange.headers)
        policies.sockets.check_origin(exchange.headers)
        return policies.sockets.subprotocol(exchange.headers)

    async def _talk(self, exchange: Exchange, socket: Socket) -> None:
        talk = Talk(self._services, self._check, exchange, socket)
        try:
            await talk.run()
        except Closed:
            pass
        except Exception:  # noqa: BLE001 - the client gets a close code, not a cut
            _log.exception("the WebSocket of request %s failed", exchange.request_id)
            await socket.close(SERVER_ERROR, "the server failed")
        finally:
            await talk.end()
