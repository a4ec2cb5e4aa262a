"""GET /chat/ws: the events of POST /chat over a WebSocket, several answers at a time."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from reference_impl.api.chat import Opened, open_stream
from reference_impl.api.prompts import chat_call
from reference_impl.exchange import Exchange
from reference_impl.http.dispatch import Handler
from reference_impl.http.entry import Entry
from reference_impl.http.schema import MessageCheck, invalid_request
from reference_impl.http.sockets import (
    GOING_AWAY,
    IDLE,
    POLICY,
    SERVER_ERROR,
    TOO_BIG,
    Closed,
    Socket,
    accept,
    as_request,
    refuse,
)
from reference_impl.http.wiring import admit
from reference_impl.policies.errors import ContractError
from reference_impl.policies.metadata import AnswerFacts, Usage
from reference_impl.policies.sockets import SUBPROTOCOL
from reference_impl.services import Services
from reference_impl.settings import BASE_PATH
from reference_impl.store.ledger import StoredAnswer

PATH = "/chat/ws"
MOST_AT_ONCE = 8
MOST_BAD_MESSAGES = 20
"""In a row; a client that only talks nonsense is cut off."""

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
        try:
            if scope["path"] != BASE_PATH + PATH:
                raise ContractError("NOT_FOUND", "There is no such resource.")
            await admit(policies, exchange)
            policies.versioning.check(exchange.headers)
            policies.sockets.check_origin(exchange.headers)
            subprotocol = policies.sockets.subprotocol(exchange.headers)
        except ContractError as error:
            await refuse(self._entry, policies, exchange, error, receive, send)
            return
        socket = await accept(self._entry, exchange, receive, send, subprotocol)
        talk = _Talk(self._services, self._check, exchange, socket)
        try:
            await talk.run()
        except Closed:
            pass
        except Exception:  # noqa: BLE001 - the client gets a close code, not a cut
            _log.exception("the WebSocket of request %s failed", exchange.request_id)
            await socket.close(SERVER_ERROR, "the server failed")
        finally:
            await talk.end()


@dataclass
class _Turn:
    """One answer under way on a socket."""

    exchange: Exchange
    message_id: str | None
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class _Talk:
    """One conversation: reads messages, starts and cancels answers."""

    def __init__(self, services: Services, check: MessageCheck, exchange: Exchange, socket: Socket) -> None:
        self._services = services
        self._check = check
        self._upgrade = exchange
        self._socket = socket
        self._turns: list[_Turn] = []
        self._bad = 0

    async def run(self) -> None:
        """Until the client closes, is idle for too long or misbehaves, or the server stops."""
        stopping = asyncio.create_task(self._services.stopping.wait())
        reading = asyncio.create_task(self._socket.receive())
        try:
            while True:
                limit = None if self._turns else self._services.settings.socket_idle_s
                await asyncio.wait((reading, stopping), timeout=limit, return_when=asyncio.FIRST_COMPLETED)
                if stopping.done():
                    await self._socket.close(GOING_AWAY, "the server is stopping; connect again")
                    return
                if not reading.done():
                    if not self._turns:
                        await self._socket.close(IDLE, "idle for too long")
                        return
                    continue
                message = reading.result()
                if len(message) > self._services.settings.max_body_bytes:
                    await self._socket.close(TOO_BIG, "the message is too big")
                    return
                await self._take(message)
                if self._bad >= MOST_BAD_MESSAGES:
                    await self._socket.close(POLICY, "too many messages that cannot be understood")
                    return
                reading = asyncio.create_task(self._socket.receive())
        finally:
            for task in (reading, stopping):
                task.cancel()
            await asyncio.gather(reading, stopping, return_exceptions=True)

    async def end(self) -> None:
        """Stop what is still generated for a client that has gone."""
        tasks = [turn.task for turn in self._turns if turn.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _take(self, raw: str | bytes) -> None:
        exchange = self._exchange()
        message_id: str | None = None
        try:
            if isinstance(raw, bytes):
                raise invalid_request(
                    [{"pointer": "", "message": "send text frames with JSON, not binary ones"}]
                )
            message = self._services.policies.parsing.parse(raw.encode("utf-8", "surrogatepass"))
            message_id = _message_id(message)
            self._check(message)
            self._bad = 0
            if message["type"] == "ping":
                await self._socket.send(_named({"type": "pong"}, message_id))
            elif message["type"] == "cancel":
                self._cancel(message_id)
            else:
                self._start(exchange, message, message_id)
        except ContractError as error:
            self._bad += error.code in ("INVALID_JSON", "INVALID_REQUEST")
            await self._socket.send(_named(self._error(exchange, error), message_id))

    def _exchange(self) -> Exchange:
        """Every message is a request of its own, on the path of the operation that it stands for."""
        tracing = self._services.policies.tracing
        return replace(
            self._upgrade,
            method="POST",
            path=f"{BASE_PATH}/chat",
            request_id=tracing.request_id(),
            started=time.perf_counter(),
            quotas=(),
        )

    def _cancel(self, message_id: str | None) -> None:
        found = [turn for turn in self._turns if message_id in (None, turn.message_id)]
        if not found:
            message = "names no answer that is under way"
            raise invalid_request([{"pointer": "/message_id", "message": message}])
        for turn in found:
            turn.cancelled.set()

    def _start(self, exchange: Exchange, message: dict[str, Any], message_id: str | None) -> None:
        if message["request"].get("deferred"):
            why = "is not possible over a WebSocket"
            raise invalid_request([{"pointer": "/request/deferred", "message": why}])
        if message_id is not None and any(turn.message_id == message_id for turn in self._turns):
            why = "names an answer that is under way"
            raise invalid_request([{"pointer": "/message_id", "message": why}])
        if len(self._turns) >= MOST_AT_ONCE:
            raise ContractError(
                "MODEL_OVERLOADED",
                f"At most {MOST_AT_ONCE} answers at a time on one connection.",
                details={"retry_after_seconds": 1},
            )
        turn = _Turn(exchange, message_id)
        self._turns.append(turn)
        turn.task = asyncio.create_task(self._answer(turn, {**message["request"], "stream": True}))

    async def _answer(self, turn: _Turn, payload: dict[str, Any]) -> None:
        exchange = turn.exchange
        try:
            await self._services.policies.limits.admit_request(exchange)
            call = chat_call(self._services.engine, payload)
            opened = await open_stream(self._services, exchange, payload, call)
            if isinstance(opened, StoredAnswer):
                stored = {"type": "error", "sequence_number": 0, "error": json.loads(opened.body)["error"]}
                await self._socket.send(_named(stored, turn.message_id))
            else:
                await self._send_all(turn, opened)
        except ContractError as error:
            await self._socket.send(_named(self._error(exchange, error), turn.message_id))
        except Exception:  # noqa: BLE001 - a bug must end the answer as an error, not as silence
            _log.exception("the answer to request %s failed", exchange.request_id)
            bug = ContractError("INTERNAL", "The server failed; the request id helps its operator.")
            await self._socket.send(_named(self._error(exchange, bug), turn.message_id))
        finally:
            self._turns.remove(turn)

    async def _send_all(self, turn: _Turn, opened: Opened) -> None:
        """Every event of the stream as a frame, until it ends or the client cancels it."""
        cancelled = asyncio.create_task(turn.cancelled.wait())
        coming: asyncio.Task[bytes | None] | None = None
        try:
            while not cancelled.done():
                coming = asyncio.create_task(anext(opened.blocks, None))
                await asyncio.wait((coming, cancelled), return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    break
                block = coming.result()
                if block is None:
                    return
                event = event_of(block)
                if event is not None:
                    await self._socket.send(_named(event, turn.message_id))
                    if event["type"] in ("done", "error"):
                        return
        finally:
            for task in (cancelled, coming, opened.work if turn.cancelled.is_set() else None):
                if task is not None:
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
            await opened.blocks.aclose()
        if turn.cancelled.is_set():
            await self._socket.send(_named(self._cancelled(turn.exchange, opened), turn.message_id))

    def _cancelled(self, exchange: Exchange, opened: Opened) -> dict[str, Any]:
        answer = opened.answer
        usage = Usage(answer.call.input_tokens, answer.produced)
        return {
            "type": "cancelled",
            "sequence_number": next(answer.sequence),
            "id": answer.id,
            "metadata": self._services.policies.metadata.block(
                exchange, AnswerFacts(answer.call.model, usage)
            ),
        }

    def _error(self, exchange: Exchange, error: ContractError) -> dict[str, Any]:
        envelope = self._services.policies.errors.envelope(error, exchange)
        return {"type": "error", "sequence_number": 0, "error": envelope}


def event_of(block: bytes) -> dict[str, Any] | None:
    """The JSON of a server-sent event block, None for the terminal and for comments."""
    for line in block.split(b"\n"):
        if line.startswith(b"data: {"):
            event: dict[str, Any] = json.loads(line[len(b"data: ") :])
            return event
    return None


def _named(event: dict[str, Any], message_id: str | None) -> dict[str, Any]:
    return event if message_id is None else {**event, "reply_to": message_id}


def _message_id(message: Any) -> str | None:
    found = message.get("message_id") if isinstance(message, dict) else None
    return found if isinstance(found, str) and 0 < len(found) <= 128 else None
