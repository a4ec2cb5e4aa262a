"""One conversation on a WebSocket: reads messages, starts and cancels answers."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass, field, replace
from typing import Any

from reference_impl.api.chat import Opened, open_stream, prepare
from reference_impl.api.stream import Answer
from reference_impl.exchange import Exchange
from reference_impl.http.schema import MessageCheck, invalid_request
from reference_impl.http.sockets import (
    GOING_AWAY,
    IDLE,
    POLICY,
    TOO_BIG,
    Socket,
    event_of,
    message_id_of,
    named,
)
from reference_impl.outages import OutageError
from reference_impl.policies.errors import ContractError, unavailable
from reference_impl.policies.metadata import AnswerFacts, Usage
from reference_impl.services import Services
from reference_impl.settings import BASE_PATH
from reference_impl.store.ledger import StoredAnswer

MOST_AT_ONCE = 8
MOST_BAD_MESSAGES = 20
"""In a row; a client that only talks nonsense is cut off."""

ENDINGS = ("done", "error", "cancelled")

_log = logging.getLogger("aiconform.reference")


@dataclass
class _Turn:
    """One answer on a socket. `ended` is set before its last event is sent."""

    exchange: Exchange
    message_id: str | None
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    ended: bool = False


class Talk:
    """One conversation: reads messages, starts and cancels answers."""

    def __init__(self, services: Services, check: MessageCheck, exchange: Exchange, socket: Socket) -> None:
        self._services = services
        self._check = check
        self._upgrade = exchange
        self._socket = socket
        self._turns: list[_Turn] = []
        self._bad = 0
        self._busy_until = time.monotonic()

    @property
    def _under_way(self) -> list[_Turn]:
        return [turn for turn in self._turns if not turn.ended]

    async def run(self) -> None:
        """Until the client closes, is idle for too long or misbehaves, or the server stops."""
        stopping = asyncio.create_task(self._services.stopping.wait())
        reading = asyncio.create_task(self._socket.receive())
        try:
            while True:
                await asyncio.wait(
                    (reading, stopping),
                    timeout=self._patience(),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if stopping.done():
                    await self._socket.close(GOING_AWAY, "the server is stopping; connect again")
                    return
                if not reading.done():
                    if self._patience() == 0:
                        await self._socket.close(IDLE, "idle for too long")
                        return
                    continue
                self._busy_until = time.monotonic()
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

    def _patience(self) -> float:
        """Seconds that the connection may still be idle."""
        limit = self._services.settings.socket_idle_s
        return limit if self._turns else max(0.0, self._busy_until + limit - time.monotonic())

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
                why = "send text frames with JSON, not binary ones"
                raise invalid_request([{"pointer": "", "message": why}])
            message = self._services.policies.parsing.parse(raw.encode("utf-8", "surrogatepass"))
            message_id = message_id_of(message)
            self._check(message)
            self._bad = 0
            if message["type"] == "ping":
                await self._socket.send(named({"type": "pong"}, message_id))
            elif message["type"] == "cancel":
                self._cancel(message_id)
            else:
                self._start(exchange, message, message_id)
        except ContractError as error:
            self._bad += error.code in ("INVALID_JSON", "INVALID_REQUEST")
            await self._socket.send(named(self._error(exchange, error), message_id))

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
            notices=[],
        )

    def _cancel(self, message_id: str | None) -> None:
        found = [turn for turn in self._under_way if message_id in (None, turn.message_id)]
        if not found:
            message = "names no answer that is under way"
            raise invalid_request([{"pointer": "/message_id", "message": message}])
        for turn in found:
            turn.cancelled.set()

    def _start(self, exchange: Exchange, message: dict[str, Any], message_id: str | None) -> None:
        if message["request"].get("deferred"):
            why = "is not possible over a WebSocket"
            raise invalid_request([{"pointer": "/request/deferred", "message": why}])
        if message_id is not None and any(turn.message_id == message_id for turn in self._under_way):
            why = "names an answer that is under way"
            raise invalid_request([{"pointer": "/message_id", "message": why}])
        if len(self._under_way) >= MOST_AT_ONCE:
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
            prepared = await prepare(self._services, exchange, payload)
            opened = await open_stream(self._services, exchange, payload, prepared)
            if isinstance(opened, StoredAnswer):
                stored = {"type": "error", "sequence_number": 0, "error": json.loads(opened.body)["error"]}
                await self._say(turn, stored)
            elif opened.answer is None:
                # A replay: nothing runs that could be cancelled.
                async for block in opened.blocks:
                    await self._send_block(turn, block)
            else:
                await self._send_all(turn, opened, opened.answer)
        except ContractError as error:
            await self._say(turn, self._error(exchange, error))
        except OutageError as problem:
            _log.warning("the answer to request %s: %s", exchange.request_id, problem)
            await self._say(turn, self._error(exchange, unavailable()))
        except Exception:  # noqa: BLE001 - a bug must end the answer as an error, not as silence
            _log.exception("the answer to request %s failed", exchange.request_id)
            bug = ContractError("INTERNAL", "The server failed; the request id helps its operator.")
            await self._say(turn, self._error(exchange, bug))
        finally:
            self._services.policies.limits.release(exchange)
            self._turns.remove(turn)
            self._busy_until = time.monotonic()

    async def _send_all(self, turn: _Turn, opened: Opened, answer: Answer) -> None:
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
                if block is None or await self._send_block(turn, block) in ("done", "error"):
                    return
        finally:
            for task in (cancelled, coming, opened.work if turn.cancelled.is_set() else None):
                if task is not None:
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
            await opened.blocks.aclose()
        if turn.cancelled.is_set():
            await self._say(turn, self._cancelled(turn.exchange, answer))

    async def _send_block(self, turn: _Turn, block: bytes) -> str | None:
        event = event_of(block)
        if event is None:
            return None
        await self._say(turn, event)
        return str(event["type"])

    async def _say(self, turn: _Turn, event: dict[str, Any]) -> None:
        """Send an event of an answer. Who has seen its last one may use its name and its slot again."""
        if event["type"] in ENDINGS:
            turn.ended = True
            self._services.policies.limits.release(turn.exchange)
        await self._socket.send(named(event, turn.message_id))

    def _cancelled(self, exchange: Exchange, answer: Answer) -> dict[str, Any]:
        facts = AnswerFacts(answer.call.model, Usage(answer.call.input_tokens, answer.produced), answer.extra)
        return {
            "type": "cancelled",
            "sequence_number": next(answer.sequence),
            "id": answer.id,
            "metadata": self._services.policies.metadata.block(exchange, facts),
        }

    def _error(self, exchange: Exchange, error: ContractError) -> dict[str, Any]:
        envelope = self._services.policies.errors.envelope(error, exchange)
        return {"type": "error", "sequence_number": 0, "error": envelope}
