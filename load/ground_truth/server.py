"""A raw HTTP/1.1 server on asyncio that keeps a :class:`Schedule`, and counts what it did."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

import httptools

from load.ground_truth.schedule import Schedule, Wire, chunk, contract_wire, event, metadata, openai_wire

HTML = b"<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>"
DONE = b"data: [DONE]\n\n"
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-store\r\n"
    b'X-Request-Id: req_truth\r\nAPI-Version: 2026-11-01\r\nRateLimit-Policy: "requests";q=1000000;w=60\r\n'
    b'RateLimit: "requests";r=999999;t=60\r\nTransfer-Encoding: chunked\r\n\r\n'
)


@dataclass
class Truth:
    """What the server did, by its own count."""

    requests: Counter[str] = field(default_factory=Counter)
    whole: int = 0
    cut: int = 0
    refused: int = 0
    early: int = 0
    open: int = 0
    busiest: int = 0
    executions: Counter[str] = field(default_factory=Counter)

    def plain(self) -> dict[str, Any]:
        twice = sum(1 for n in self.executions.values() if n > 1)
        return {
            "requests": dict(self.requests),
            "whole": self.whole,
            "cut": self.cut,
            "refused": self.refused,
            "early": self.early,
            "busiest": self.busiest,
            "keys": len(self.executions),
            "executed_twice": twice,
        }


@dataclass
class Window:
    """One key's fixed window of requests."""

    used: int = 0
    until: float = 0.0


class State:
    """All that connections share."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.truth = Truth()
        self.windows: dict[str, Window] = {}
        self.stored: dict[str, dict[str, Any]] = {}
        self.jobs: dict[str, float] = {}
        self.numbers = count()
        self.wires: dict[str, Wire] = {"contract": contract_wire(schedule), "openai": openai_wire(schedule)}
        self.instant = {name: self._all(wire) for name, wire in self.wires.items()}

    def _all(self, wire: Wire) -> tuple[bytes, ...]:
        return (STREAM_HEAD, wire.before, *wire.tokens, wire.after, chunk(DONE), b"0\r\n\r\n")

    def faulty(self, number: int) -> bool:
        """Whether this stream has the defect; spread evenly over the share."""
        share = self.schedule.share
        return int((number + 1) * share) > int(number * share)

    def wait(self, key: str) -> float:
        """Seconds until the key's window has room; 0 if the request is admitted (and counted)."""
        schedule = self.schedule
        if not schedule.limit:
            return 0.0
        window = self.windows.setdefault("all" if schedule.defect == "shared_limit" else key, Window())
        now = time.monotonic()
        if now >= window.until:
            window.used, window.until = 0, now + schedule.window
        if window.used < schedule.limit:
            window.used += 1
            return 0.0
        return window.until - now


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
        self.streaming = False

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
        if self.streaming:
            self.state.truth.cut += 1
            self._left()

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
        streaming = self.streaming
        self._fresh()
        self.streaming = streaming

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
        self._left()
        self._json(200, answer)

    def _submit(self) -> None:
        job = f"job_{next(self.state.numbers):06d}"
        self.state.jobs[job] = time.monotonic()
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
            self._write((STREAM_HEAD, chunk(event({"type": "error", **body}, "error")), b"0\r\n\r\n"))
            return
        told = 1 if defect == "early_retry" else int(wait) + 1
        self._json(status, body, {} if defect == "no_retry_after" else {"Retry-After": str(told)})

    def _json(self, status: int, body: object, extra: dict[str, str] | None = None) -> None:
        self._send(status, "application/json", json.dumps(body).encode(), extra or {})

    def _send(self, status: int, kind: str, body: bytes, extra: dict[str, str]) -> None:
        lines = "".join(f"{k}: {v}\r\n" for k, v in extra.items())
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
        self._write((head.encode(), body))

    def _write(self, parts: Iterable[bytes]) -> None:
        if not self.transport.is_closing():
            for part in parts:
                self.transport.write(part)

    # ---- streams

    def _enter(self) -> None:
        truth = self.state.truth
        truth.open += 1
        truth.busiest = max(truth.busiest, truth.open)

    def _left(self) -> None:
        self.state.truth.open -= 1
        self.streaming = False

    def _stream(self, name: str) -> None:
        state, schedule = self.state, self.state.schedule
        wire = state.wires[name]
        faulty = state.faulty(next(state.numbers))
        defect = schedule.defect if faulty else "none"
        if defect == "none" and not schedule.first and not schedule.gap:
            self._write(state.instant[name])  # a write per event, as a server makes them
            state.truth.whole += 1
            return
        self.streaming = True
        self._enter()
        self._write((STREAM_HEAD,))
        Playback(self, wire, defect, self.loop.time()).start()


class Playback:
    """One stream on its schedule: every event has an absolute time, so that delays do not add up."""

    def __init__(self, protocol: Protocol, wire: Wire, defect: str, begun: float) -> None:
        self.protocol, self.wire, self.defect = protocol, wire, defect
        self.schedule, self.begun = protocol.state.schedule, begun
        self.index = 0
        self.shift = 0.0

    def start(self) -> None:
        self._at(self.schedule.first)

    def _at(self, offset: float) -> None:
        self.protocol.timers[:] = [self.protocol.loop.call_at(self.begun + offset + self.shift, self._step)]

    def _step(self) -> None:
        wire, index, protocol, defect = self.wire, self.index, self.protocol, self.defect
        middle = index == len(wire.tokens) // 2
        if middle and defect == "stall" and not self.shift:
            self.shift = self.schedule.stall
            self._at(self.schedule.first + index * self.schedule.gap)
            return
        if middle and defect == "hang":
            return
        if middle and defect == "cut":
            protocol.transport.close()
            return
        if middle and defect == "error_event":
            failed = {"type": "error", **envelope("UPSTREAM_ERROR", "The model failed.", retryable=True)}
            self._end((chunk(event(failed, "error")), b"0\r\n\r\n"))
            return
        parts = [self._before(), wire.tokens[index]] if index == 0 else [self._token(middle)]
        self.index += 1
        if self.index == len(wire.tokens):
            self._end((*parts, wire.after, *self._ending(), b"0\r\n\r\n"))
            return
        protocol._write(parts)
        self._at(self.schedule.first + self.index * self.schedule.gap)

    def _before(self) -> bytes:
        return chunk(b"\xef\xbb\xbf") + self.wire.before if self.defect == "bom" else self.wire.before

    def _token(self, middle: bool) -> bytes:
        if middle and self.defect == "bad_utf8":
            return chunk(b'data: {"type":"token","token":"\xff\xfe"}\n\n')
        if middle and self.defect == "bad_json":
            return chunk(b'data: {"type":"token","tok\n\n')
        return self.wire.tokens[self.index]

    def _ending(self) -> tuple[bytes, ...]:
        times = {"no_terminal": 0, "two_terminals": 2}.get(self.defect, 1)
        return (chunk(DONE),) * times

    def _end(self, parts: Iterable[bytes]) -> None:
        self.protocol._write(parts)
        self.protocol.state.truth.whole += 1
        self.protocol._left()


def envelope(code: str, message: str, *, retryable: bool = False) -> dict[str, Any]:
    """The contract's error."""
    return {"error": {"code": code, "message": message, "details": {}, "retryable": retryable}}


def answer_of(operation: str, number: int, schedule: Schedule) -> dict[str, Any]:
    """A complete answer of one operation; no two have the same id."""
    block = metadata(schedule.tokens)
    if operation == "classify":
        return {"id": f"cls_{number}", "category": "billing", "confidence": 0.94, "metadata": block}
    text = "".join(f"word{i} " for i in range(schedule.tokens))
    if operation == "completions":
        message = {"role": "assistant", "content": text}
        usage = {
            "prompt_tokens": 8,
            "completion_tokens": schedule.tokens,
            "total_tokens": schedule.tokens + 8,
        }
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {"id": f"chatcmpl-{number}", "object": "chat.completion", "choices": [choice], "usage": usage}
    return {
        "id": f"chat_{number}",
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
        "metadata": block,
    }


async def serve(schedule: Schedule, listener: socket.socket) -> asyncio.Server:
    """Begin to answer on a bound socket."""
    state = State(schedule)
    return await asyncio.get_running_loop().create_server(
        lambda: Protocol(state), sock=listener, backlog=2048
    )
