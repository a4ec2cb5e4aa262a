"""A raw HTTP/1.1 server on asyncio that keeps a :class:`Schedule`, and counts what it did."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterable
from typing import Any, cast

import httptools

from load.ground_truth.answers import answer_of, envelope
from load.ground_truth.hooks import HOOK_SECRET, deliver
from load.ground_truth.playback import Playback
from load.ground_truth.schedule import Schedule, chunk, event
from load.ground_truth.state import STREAM_HEAD, State

HTML = b"<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>"


class Protocol(asyncio.Protocol):
    """One connection. Requests are answered one after the other."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport
        self.timers: list[asyncio.TimerHandle] = []
        self._fresh()

    def _fresh(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.path, self.headers, self.body = b"", {}, b""  # type: ignore[var-annotated]
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()
        if self.busy:
            self.state.truth.cut += 1
            self.left()

    # ---- the request (callbacks of httptools)

    def on_url(self, url: bytes) -> None:
        self.path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        path, headers, body = self.path, self.headers, self.body
        self.loop.call_soon(self._renew)
        self._answer(path.split(b"?")[0].decode(), headers, body)

    def _renew(self) -> None:
        busy = self.busy
        self._fresh()
        self.busy = busy

    # ---- the answer

    def _answer(self, path: str, headers: dict[bytes, bytes], raw: bytes) -> None:
        state, schedule = self.state, self.state.schedule
        operation = path.rsplit("/", 1)[-1]
        if operation == "counts":
            self._json(200, state.truth.plain())
            return
        if operation == "models":
            self._json(200, {"object": "list", "data": [{"id": "truth-1", "object": "model"}]})
            return
        key = headers.get(b"authorization", b"").decode()
        truth = state.truth
        truth.requests["jobs" if "/jobs/" in path else operation] += 1
        wait = state.wait(key)
        if wait:
            truth.refused += 1
            self._refuse(429, wait, b"event-stream" in headers.get(b"accept", b""))
            return
        if schedule.capacity and truth.open >= schedule.capacity:
            self._refuse(503, 1.0, streamed=False)
            return
        wanted = b'"stream": true' in raw or b'"stream":true' in raw
        if wanted:
            self._stream("openai" if operation == "completions" else "contract")
        elif operation == "analyze-document":
            self._submit()
        elif operation == "webhooks":
            state.hooks.append(str(json.loads(raw)["url"]))
            self._json(201, {"id": "wh_truth", "secret": HOOK_SECRET})
        elif "/webhooks/" in path:
            state.hooks.clear()
            self.write((b"HTTP/1.1 204 No Content\r\n\r\n",))
        elif "/jobs/" in path:
            self._job(operation)
        else:
            self._complete(operation, headers, raw)

    def _complete(self, operation: str, headers: dict[bytes, bytes], raw: bytes) -> None:
        state = self.state
        idempotency_key = headers.get(b"idempotency-key", b"").decode()
        stored = state.stored.get(idempotency_key) if idempotency_key else None
        if stored is not None and state.schedule.defect != "runs_twice":
            self._json(200, stored, {"Idempotency-Replayed": "true"})
            return
        if idempotency_key:
            state.truth.executions[idempotency_key] += 1
        answer = answer_of(operation, next(state.numbers), state.schedule)
        if idempotency_key:
            state.stored[idempotency_key] = answer
        delay = state.schedule.first
        if delay:
            self._enter()
            self.timers = [self.loop.call_later(delay, self._late, answer)]
        else:
            self._json(200, answer)

    def _late(self, answer: dict[str, Any]) -> None:
        self.left()
        self._json(200, answer)

    def _submit(self) -> None:
        job = f"job_{next(self.state.numbers):06d}"
        schedule = self.state.schedule
        self.state.jobs[job] = time.monotonic()
        for url in self.state.hooks:
            self.loop.call_later(schedule.queue + schedule.run, deliver, url, job)
        self._json(202, {"job_id": job, "status": "queued"}, {"Retry-After": "1"})

    def _job(self, job: str) -> None:
        since = self.state.jobs.get(job)
        if since is None:
            self._json(404, envelope("NOT_FOUND", "There is no such job."))
            return
        age, schedule = time.monotonic() - since, self.state.schedule
        status = "queued" if age < schedule.queue else "processing"
        if age >= schedule.queue + schedule.run:
            self._json(200, {"job_id": job, "status": "complete", "result": {"summary": "word"}})
        else:
            self._json(200, {"job_id": job, "status": status, "progress": 0.4})

    def _refuse(self, status: int, wait: float, streamed: bool) -> None:
        defect = self.state.schedule.defect
        if defect == "html_error":
            self._send(status, "text/html", HTML, {})
            return
        code = "RATE_LIMITED" if status == 429 else "MODEL_OVERLOADED"
        body = envelope(code, "Too many requests; wait as Retry-After says.", retryable=True)
        if defect == "error_in_stream" and streamed:
            self.write((STREAM_HEAD, chunk(event({"type": "error", **body}, "error")), b"0\r\n\r\n"))
            return
        told = 1 if defect == "early_retry" else int(wait) + 1
        self._json(status, body, {} if defect == "no_retry_after" else {"Retry-After": str(told)})

    def _json(self, status: int, body: object, extra: dict[str, str] | None = None) -> None:
        self._send(status, "application/json", json.dumps(body).encode(), extra or {})

    def _send(self, status: int, kind: str, body: bytes, extra: dict[str, str]) -> None:
        lines = "".join(f"{k}: {v}\r\n" for k, v in extra.items())
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
        self.write((head.encode(), body))

    def write(self, parts: Iterable[bytes]) -> None:
        """Each part by a write of its own, as servers do."""
        if not self.transport.is_closing():
            for part in parts:
                self.transport.write(part)

    # ---- streams

    def _enter(self) -> None:
        truth, self.busy = self.state.truth, True
        truth.open += 1
        truth.busiest = max(truth.busiest, truth.open)

    def left(self) -> None:
        """The answer under way has ended."""
        self.state.truth.open -= 1
        self.busy = False

    def _stream(self, name: str) -> None:
        state, schedule = self.state, self.state.schedule
        wire = state.wires[name]
        faulty = state.faulty(next(state.numbers))
        defect = schedule.defect if faulty else "none"
        if defect == "none" and not schedule.first and not schedule.gap:
            self.write(state.instant[name])  # a write per event, as a server makes them
            state.truth.whole += 1
            return
        self._enter()
        self.write((STREAM_HEAD,))
        Playback(self, wire, defect, self.loop.time()).start()


async def serve(schedule: Schedule, listener: socket.socket) -> asyncio.Server:
    """Begin to answer on a bound socket."""
    state = State(schedule)
    return await asyncio.get_running_loop().create_server(
        lambda: Protocol(state), sock=listener, backlog=2048
    )
