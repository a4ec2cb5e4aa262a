"""From an operation and its parameters to an observation: render, send, read, judge, measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter, time
from typing import Any
from urllib.parse import urlsplit

from conformance.dialects.facts import Facts
from conformance.dialects.interpret import read_answer
from conformance.dialects.model import Dialect
from conformance.dialects.request import build_request
from conformance.evidence import Chunk, Exchange, Failure, Principal, Sent
from conformance.target import Target
from load.answers import LIMIT_CODES, judge_error, retry_after_of
from load.ledger import Broken
from load.observation import Observation
from load.streams.checks import gaps_of, judge_stream
from load.streams.plan import StreamPlan
from load.streams.reader import StreamRecord, read_record
from load.transport.client import Client, Pool
from load.transport.exchange import Reply

STALL = 0.1
STALL_RATIO = 5.0
"""A stall is a gap of at least ``STALL`` seconds and ``STALL_RATIO`` times the stream's median gap."""

MAX_RENDERED = 1024
STREAMS = ("chat_stream", "turn_stream")


@dataclass(slots=True)
class Called:
    """A finished call. ``record`` of a stream, ``exchange`` of any other answer (built when it was needed)."""

    seen: Observation
    reply: Reply
    sent: Sent
    record: StreamRecord | None = None
    exchange: Exchange | None = None
    facts: Facts | None = None
    start: float = 0.0
    pending: bool = False

    @property
    def text(self) -> str:
        """The text of the answer, empty if there is none."""
        if self.record is not None:
            return "".join(self.record.deltas)
        value = self.facts["text"].value if self.facts else None
        return value if isinstance(value, str) else ""

    @property
    def response_id(self) -> str:
        if self.record is not None:
            return next(iter(self.record.response_ids), "")
        return str(self.facts["response_id"].value or "") if self.facts else ""


class Caller:
    """Calls operations of one target through a dialect."""

    def __init__(self, dialect: Dialect, target: Target, client: Client) -> None:
        self.dialect, self.target, self.client = dialect, target, client
        self.plan = StreamPlan(dialect)
        self.usage_offered = dialect.offer("usage").state == "offered"
        self.usage_seen = False
        self._rendered: dict[tuple[str, str, str], tuple[Sent, bytes]] = {}
        parts = urlsplit(target.base_url)
        self._host = parts.netloc.rpartition("@")[2]

    def call(
        self,
        operation: str,
        params: Mapping[str, Any],
        pool: Pool,
        *,
        principal: Principal = "main",
        intended: float | None = None,
        label: str | None = None,
        cache: str | None = None,
        defer: bool = False,
    ) -> Called:
        """Send one request and read what came.

        ``intended`` is when it should have begun (monotonic clock): latency counts from there. ``cache`` names
        requests that are the same byte for byte, so that they are rendered once. With ``defer`` a stream is
        left ``pending``, to be read by :meth:`finish` when there is time.
        Raises ``UnsupportedOperation`` if the dialect cannot send it.
        """
        sent, raw = self._request(operation, params, principal, cache)
        begun = perf_counter()
        start = begun if intended is None else intended
        reply = self.client.send(pool, raw)
        ended = reply.t_end if reply.t_end is not None else perf_counter()
        seen = Observation(label or operation, ended - start, status=reply.status)
        seen.size = reply.size
        if reply.t_first is not None:
            seen.ttfb = reply.t_first - start
        called = Called(seen, reply, sent, start=start)
        status = reply.status
        if status is not None and 200 <= status < 300 and operation in STREAMS:
            called.pending = True
            if not defer:
                self.finish(called)
        elif status is not None and status >= 400 and reply.failure is None:
            self._error(called, operation, principal)
        elif reply.failure is not None or status is None:
            seen.code = reply.failure or "protocol"
        elif status >= 300:
            seen.code = f"HTTP {status}"
        else:
            self._answer(called, operation, principal)
        return called

    def exchange(self, called: Called, operation: str, principal: Principal = "main") -> Exchange:
        """The call as the wire layer's evidence."""
        if called.exchange is None:
            reply = called.reply
            start = reply.t_begun
            failure = reply.failure and Failure(reply.failure, reply.detail, (reply.t_end or start) - start)  # type: ignore[arg-type]
            called.exchange = Exchange(
                id="",
                probe="load",
                role="",
                operation=operation,
                principal=principal,
                params={},
                sent=called.sent,
                started_at=time() - (perf_counter() - start),
                status=reply.status,
                http_version="HTTP/1.1",
                headers=tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in reply.headers),
                t_headers=None if reply.t_head is None else reply.t_head - start,
                chunks=tuple(Chunk(t - start, data) for t, data in reply.pieces),
                t_end=None if failure or reply.t_end is None else reply.t_end - start,
                failure=failure or None,
            )
        return called.exchange

    # ---- the request

    def _request(
        self, operation: str, params: Mapping[str, Any], principal: Principal, cache: str | None
    ) -> tuple[Sent, bytes]:
        key = (operation, principal, cache or "")
        if cache is not None and (found := self._rendered.get(key)) is not None:
            return found
        sent = build_request(self.dialect, operation, params, self.target, principal)
        rendered = sent, self._bytes(sent)
        if cache is not None and len(self._rendered) < MAX_RENDERED:
            self._rendered[key] = rendered
        return rendered

    def _bytes(self, sent: Sent) -> bytes:
        parts = urlsplit(sent.url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        names = {name.lower() for name, _ in sent.headers}
        headers = [("Host", self._host), *sent.headers]
        if "user-agent" not in names:
            headers.append(("User-Agent", "aiconform-load"))
        if "accept-encoding" not in names:
            headers.append(("Accept-Encoding", "identity"))
        if sent.body or sent.method in ("POST", "PUT", "PATCH"):
            headers.append(("Content-Length", str(len(sent.body))))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return f"{sent.method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + sent.body

    # ---- what came

    def finish(self, called: Called) -> None:
        """Read, judge and measure a pending stream."""
        called.pending = False
        seen, reply, start = called.seen, called.reply, called.start
        if reply.media_type != "text/event-stream":
            seen.judged = ("SSE-01",)
            shown = reply.header(b"content-type") or "no Content-Type"
            seen.broken.append(
                Broken("SSE-01", "Content-Type text/event-stream", shown, "header Content-Type")
            )
            seen.code = "not a stream"
            return
        seen.judged = ("SSE-01",)
        encoding = (reply.header(b"content-encoding") or "").strip().lower()
        if encoding not in ("", "identity"):
            seen.code = f"content-encoding {encoding}"[:60]  # events inside a compressed body have no times
            return
        record = called.record = read_record(self.plan, reply.pieces)
        transcript = record.events.transcript
        if transcript is not None and transcript.overflow:
            seen.code = "too_large"  # the rest was not read: nothing can be said about the end
            return
        self.usage_seen = self.usage_seen or bool(record.usages)
        usage = self.usage_offered and self.usage_seen  # one who never reports it does not offer it
        judged, seen.broken = judge_stream(self.plan, reply, record, usage, self.client.lag)
        seen.judged += judged
        _measure(seen, record, start)
        if record.errors:
            code = str(record.errors[0][1] or "error event")[:60]
            seen.code = code
            if code in LIMIT_CODES and not record.deltas:
                seen.judged += ("RATE-17",)
                seen.broken.append(Broken("RATE-17", "HTTP 429", f"{code} in a 200 stream"))
        elif reply.failure is not None:
            seen.code = reply.failure
        elif not record.terminals:
            seen.code = "no terminal"
        cut_by_us = reply.failure == "too_large"
        seen.truncated = not record.terminals and not record.errors and not cut_by_us

    def _error(self, called: Called, operation: str, principal: Principal) -> None:
        exchange = self.exchange(called, operation, principal)
        seen = called.seen
        seen.code, seen.judged, seen.broken = judge_error(self.dialect, exchange)
        seen.retry_after = retry_after_of(self.dialect, exchange)
        if exchange.status == 429 and operation in STREAMS:
            seen.judged += ("RATE-17",)

    def _answer(self, called: Called, operation: str, principal: Principal) -> None:
        exchange = self.exchange(called, operation, principal)
        facts = called.facts = read_answer(self.dialect, exchange)
        for name in ("input", "output"):
            value = facts[f"usage.{name}"].value
            if isinstance(value, int) and not isinstance(value, bool):
                setattr(called.seen, "tokens_in" if name == "input" else "tokens_out", value)
                self.usage_seen = True


def _measure(seen: Observation, record: StreamRecord, start: float) -> None:
    """Times of a stream. What arrived in one receive has no gap in between: it is counted as coalesced."""
    times = record.delta_times
    usage = record.usage
    seen.tokens_in, seen.tokens_out = usage.get("input", 0), usage.get("output", len(times))
    if not times:
        return
    first, last = times[0], times[-1]
    seen.ttft = first - start
    if last == first:
        seen.coalesced = len(times) - 1
        return
    gaps = seen.gaps = gaps_of(times)
    seen.coalesced = len(times) - 1 - len(gaps)
    worst = seen.worst_gap = max(gaps)
    if seen.tokens_out > 1:
        seen.tpot = (last - first) / (seen.tokens_out - 1)
    if worst >= STALL:
        bound = max(STALL, STALL_RATIO * sorted(gaps)[len(gaps) // 2])
        seen.stalls = sum(1 for gap in gaps if gap >= bound)
