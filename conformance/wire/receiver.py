"""A small HTTP server of the suite's own, for what a target sends by itself: webhooks.

It keeps every request as bytes, and answers as a probe has told it to. It trusts nothing that comes in: size,
number and time of requests are bounded.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import h11

MAX_BODY = 256 * 1024
MAX_REQUESTS = 500
PATIENCE = 10.0
"""Seconds a sender may take for one request."""


@dataclass(frozen=True)
class Received:
    """One request; ``at`` is the Unix time at which it was complete. Header names are in lower case."""

    at: float
    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """The values of a header joined by a comma, or an empty text."""
        return ", ".join(v for k, v in self.headers if k == name)


@dataclass(frozen=True)
class Reply:
    """What to answer."""

    status: int = 200
    headers: Mapping[str, str] | None = None


class Receiver:
    """An asynchronous context manager; ``received`` grows while it is open."""

    def __init__(self, host: str, port: int, announced: str | None = None) -> None:
        self._host, self._port, self._announced = host, port, announced
        self._server: asyncio.Server | None = None
        self._replies: dict[str, Sequence[Reply]] = {}
        self._attempts: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._changed = asyncio.Event()
        self.received: list[Received] = []

    async def __aenter__(self) -> Receiver:
        """Listen. Raises ``OSError`` if the port is taken."""
        self._server = await asyncio.start_server(self._connection, self._host, self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._server.wait_closed(), 1.0)

    def url(self, path: str) -> str:
        """The URL under which the target reaches a path of this server."""
        if self._announced is not None:
            return self._announced + path
        if self._server is None:
            raise RuntimeError("the receiver is not open")
        return f"http://{self._host}:{self._server.sockets[0].getsockname()[1]}{path}"

    def answer(self, path: str, *replies: Reply) -> None:
        """Answer the n-th attempt at one message (by its ``webhook-id``) with the n-th reply, then the last."""
        self._replies[path] = replies

    async def until(self, enough: Callable[[Sequence[Received]], bool], seconds: float) -> bool:
        """Wait until enough has come; False if it had not after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                while not enough(self.received):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._exchange(reader, writer)
        except (TimeoutError, OSError, h11.ProtocolError):
            pass  # what is no complete request is no delivery
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        head: h11.Request | None = None
        body = b""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                if connection.they_are_waiting_for_100_continue:
                    go_on = h11.InformationalResponse(status_code=100, headers=[])
                    writer.write(connection.send(go_on) or b"")
                connection.receive_data(await reader.read(65_536))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
                if len(body) > MAX_BODY:
                    return
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                break
            else:
                return
        reply = self._note(head, body)
        headers = {"Content-Length": "0", "Connection": "close", **(reply.headers or {})}
        response = h11.Response(status_code=reply.status, headers=list(headers.items()))
        writer.write((connection.send(response) or b"") + (connection.send(h11.EndOfMessage()) or b""))
        await writer.drain()

    def _note(self, head: h11.Request, body: bytes) -> Reply:
        headers = tuple((k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in head.headers)
        path = head.target.decode("latin-1")
        request = Received(time.time(), head.method.decode("latin-1"), path, headers, body)
        if len(self.received) < MAX_REQUESTS:
            self.received.append(request)
        self._changed.set()
        replies = self._replies.get(path, (Reply(),))
        message = (path, request.header("webhook-id"))
        self._attempts[message] += 1
        return replies[min(self._attempts[message], len(replies)) - 1]
