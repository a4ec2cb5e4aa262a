"""One process's part of a run: it performs actions, counts them, and stops itself."""

from __future__ import annotations

import gc
import random
from collections import deque
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from gevent.pool import Group

from conformance.evidence import Principal
from conformance.wire.redact import Scrubber
from load.calls import Called, Caller
from load.errors import RUN_ENDED
from load.gate import Gate
from load.histogram import Histogram
from load.observation import Observation
from load.options import Config
from load.slo import Goodput
from load.tally import Tally
from load.transport.client import Client, Endpoint, Pool

Watch = Callable[[Observation], None]
"""Told of every finished call, for Locust's own statistics."""

EXCERPT = 400
YOUNG_ONLY = (2_000, 20, 1_000)
BACKLOG = 256
"""Streams that may wait to be read; beyond that they are read at once."""

TURN = 0.0003
"""Seconds of reading at a stretch; then arriving bytes get their timestamps."""


class Stopped(Exception):  # noqa: N818 - a signal
    """The run is over; nothing more may be sent."""


class Engine:
    """Sends through one client, counts into one tally. ``shard`` of ``shards`` processes."""

    def __init__(
        self, config: Config, goodput: Goodput, *, shard: int = 0, shards: int = 1, watch: Watch | None = None
    ) -> None:
        self.config, self.goodput = config, goodput
        self.shard, self.shards, self.watch = shard, shards, watch
        target = config.target
        endpoint = Endpoint.of(
            target.base_url,
            total=target.limits.total,
            verify=target.verify,
            ca_bundle=target.ca_bundle,
        )
        self.client = Client(endpoint)
        self.caller = Caller(config.dialect, target, self.client)
        self.tally = Tally()
        self.pool = Pool()  # of an open loop
        self.dice = random.Random(f"{config.seed}/{shard}")
        self.caps = config.caps.share(shards)
        self.stopped = ""
        self.begun = perf_counter()
        self.busy = 0
        self.sent = self.tokens_in = self.tokens_out = 0
        self.gates: dict[str, Gate] = {}
        self.receiver: Any = None  # of webhooks, made by the first job that needs it
        self.registering = BoundedSemaphore(1)
        self.greenlets = Group()
        self._scrubber = Scrubber(list(target.keys.values()))
        self._own: list[gevent.Greenlet] = []
        self._cpu, self._watched = process_time(), self.begun
        self._numbers = 0
        self._later: deque[Called] = deque()
        self._waiting = Event()

    # ---- life

    def start(self) -> None:
        # A full collection takes 50 ms, in which every arriving byte is late. What was loaded by now lives as long
        # as the process, and calls leave no cycles behind.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*YOUNG_ONLY)
        self.begun = self._watched = perf_counter()
        self._cpu = process_time()
        self.client.start()
        self._own = [gevent.spawn(self._sample), gevent.spawn(self._read_later)]

    def stop(self, reason: str = "") -> None:
        """Send nothing more. Calls under way are cut when their greenlets end."""
        if self.stopped:
            return
        self.stopped = reason or RUN_ENDED
        if self.receiver is not None:
            self.receiver.release()
        if self.config.plan is not None:
            self.tally.own["span_ms"] += int(min(self.elapsed, self.config.plan.duration) * 1000)
            self.tally.own["planned"] += int(self.config.plan.requested(0.0, self.elapsed) / self.shards)

    def drain(self, seconds: float) -> None:
        """Let calls under way end, for at most so long."""
        limit = perf_counter() + seconds
        while self.busy and perf_counter() < limit:
            gevent.sleep(0.02)

    def close(self) -> None:
        """End everything. Calls that are still open are counted as unfinished, and cut."""
        self.stop()
        self.tally.own["unfinished"] += self.busy
        self.greenlets.kill(block=False)
        gevent.killall(self._own, block=False)
        self.client.stop()
        if self.receiver is not None:
            self.receiver.close()
        self.pool.close()

    @property
    def elapsed(self) -> float:
        return perf_counter() - self.begun

    def counted(self) -> Tally:
        """What was counted since the last :meth:`take`; streams not yet read count later, unless the run is over."""
        while self.stopped and self._later:
            self._finish(self._later.popleft())
        self._collect(self.tally)
        return self.tally

    def take(self) -> Tally:
        """The same, to keep. The engine goes on with an empty tally."""
        tally, self.tally = self.counted(), Tally()
        for gate in self.gates.values():
            gate.ledger = self.tally.ledger
        return tally

    # ---- calls

    def call(
        self,
        operation: str,
        params: dict[str, Any],
        pool: Pool,
        *,
        principal: Principal = "main",
        intended: float | None = None,
        label: str | None = None,
        cache: str | None = None,
        obey: bool = True,
        defer: bool = False,
    ) -> Called:
        """One call, counted. An obeying caller waits for its key first, and again after each 429 that tells it
        how long; every refusal is counted too. With ``defer`` a stream is read and counted later.

        Raises:
            Stopped: the run is over, or a cap is reached.
        """
        gate = self.gate(principal)
        patience = 3 if obey else 0
        lag = None if intended is None else max(0.0, perf_counter() - intended)
        while True:
            scout = clean = False
            if obey and gate.closed_until:
                may_go, scout = gate.enter(self.begun + self.caps.seconds)
                if not may_go:
                    raise Stopped
                clean = scout and gate.is_clean(_size(params))
                if self.config.plan is None or scout:
                    intended = None  # an obedient wait is not the server's time
            called = None
            try:
                self._admit()
                gate.sent()
                self.busy += 1
                try:
                    called = self.caller.call(
                        operation, params, pool,
                        principal=principal, intended=intended, label=label, cache=cache,
                        defer=defer and len(self._later) < BACKLOG,
                    )  # fmt: skip
                finally:
                    self.busy -= 1
                    gate.answered()
            finally:
                if scout:
                    refused = called is not None and called.seen.status == 429
                    accepted = called is not None and 200 <= (called.seen.status or 0) < 300
                    gate.scouted(refused, accepted, clean, f"{self.shard}-{self._numbers + 1}")
            seen = called.seen
            seen.lag, lag = lag, None
            if called.pending:
                self._later.append(called)
                self._waiting.set()
                return called
            self.count(called)
            if seen.status != 429 or not obey or seen.retry_after is None:
                return called
            gate.refuse(seen.retry_after, _size(params))
            patience -= 1
            if patience <= 0:
                return called
            intended = None

    def count(self, called: Called) -> None:
        """Count a finished call and keep an excerpt of what it broke."""
        seen = called.seen
        self._numbers += 1
        self.tokens_in += seen.tokens_in
        self.tokens_out += seen.tokens_out
        exchange = f"{self.shard}-{self._numbers}"
        if called.reply.t_begun - self.begun < self.config.warmup:
            self.tally.own["warmup"] += 1
            self.tally.ledger.judged(seen.judged)
            for broken in seen.broken:
                self.tally.ledger.broken(broken, exchange)
            return
        if seen.lag is not None:
            self.tally.lag.add(seen.lag)
        at = int((called.reply.t_end or perf_counter()) - self.begun)
        self.tally.add(seen, at, self.goodput.good(seen), exchange)
        if seen.broken:
            self._excerpt(called, exchange)
        if self.watch is not None:
            self.watch(seen)

    def gate(self, principal: str) -> Gate:
        found = self.gates.get(principal)
        if found is None:
            found = self.gates[principal] = Gate(self.tally.ledger, exclusive=self.shards == 1)
        return found

    def _admit(self) -> None:
        if self.stopped:
            raise Stopped
        caps = self.caps
        if reason := caps.exceeded(self.sent, self.tokens_in, self.tokens_out):
            self.stop(reason)
            raise Stopped
        self.sent += 1
        self.tally.own["sent"] += 1

    def _excerpt(self, called: Called, exchange: str) -> None:
        """Show the bytes around the first violation in the samples, without secrets."""
        body = called.reply.body
        for broken in called.seen.broken:
            place = broken.where.removeprefix("byte ")
            at = int(place) if place.isdigit() else 0
            start = max(0, min(at, len(body)) - EXCERPT // 2)
            text = self._scrubber.scrub(body[start : start + EXCERPT]).decode("utf-8", "backslashreplace")
            for sample in self.tally.ledger.record(broken.requirement).samples:
                if sample["exchange"] == exchange:
                    sample["excerpt"] = text

    def _finish(self, called: Called) -> None:
        self.caller.finish(called)
        self.count(called)

    def _read_later(self) -> None:
        """Read ended streams a few at a time. Many that end together would else keep the loop from its sockets
        for as long as it takes to read all of them."""
        later = self._later
        while True:
            if not later:
                self._waiting.clear()
                self._waiting.wait()
            until = perf_counter() + TURN
            while later and perf_counter() < until:
                self._finish(later.popleft())
            gevent.sleep(0)

    # ---- our own state

    def _sample(self) -> None:
        """Once a second: the processor's share that we use, and the busiest moment."""
        while True:
            for _ in range(10):
                gevent.sleep(0.1)
                self.tally.second(int(self.elapsed)).note_busy(str(self.shard), self.busy)
            used, now = process_time(), perf_counter()
            self.tally.own["cpu_us"] += int((used - self._cpu) * 1e6)
            self.tally.own["watched_us"] += int((now - self._watched) * 1e6)
            self._cpu, self._watched = used, now
            if self.elapsed > self.caps.seconds:
                self.stop(f"the cap of {self.caps.seconds:g} seconds is reached")

    def _collect(self, tally: Tally) -> None:
        tally.loop_lag.merge(self.client.lags)
        self.client.lags = Histogram()
        tally.own["connections"] += self.client.connections
        tally.own["resent"] += self.client.resent
        self.client.connections = self.client.resent = 0


def _size(params: dict[str, Any]) -> int:
    """Words of a request, which stand for the tokens that a limit may count."""
    return len(str(params).split())
