"""What all probes of one run share: recorded exchanges, budget, patience, circuit breaker."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from conformance.budget import Ledger, OverBudget, Share
from conformance.dialects.model import Dialect
from conformance.evidence import Exchange, Principal
from conformance.reading import Reading
from conformance.replicas import Replicas
from conformance.sharing import Sharing
from conformance.target import Target
from conformance.wire.http import Wire

BREAKER = 4
"""Calls in a row to one replica without a response, or without an end of it, after which the target counts as down."""

PATIENCE = 30.0
"""Seconds after the start of a run until which a probe still waits as long as a 429 asks, and sends again."""


class RunStopped(Exception):  # noqa: N818 - a signal
    """The run's budget is used up or the target is down; what was recorded stays."""


class Run:
    """State shared by all probes of one run: recorded exchanges, budget, breaker.

    ``kept``: calls of the budget that are not spent on sending refused calls again, but kept for the probes that
    come last.
    """

    def __init__(
        self,
        target: Target,
        dialect: Dialect,
        wire: Wire,
        on_call: Callable[[int], None] = lambda _: None,
        bare_wire: Wire | None = None,
        kept: int = 0,
    ) -> None:
        """``bare_wire`` shows no client certificate; where ``wire`` shows none, they may be the same."""
        self.target, self.dialect, self.wire, self._on_call = target, dialect, wire, on_call
        self.bare_wire = bare_wire or wire
        self.exchanges: list[Exchange] = []
        self.ledger = Ledger(target.whole_budget, target.price or dialect.price)
        self.issued: set[str] = set()
        """Credentials that the target gave out during the run: as secret as those that the tester gave."""
        self.secrets: set[str] = set()
        """Signing secrets: kept out of what is written, but no credentials, so the target may repeat them."""
        self._ids = itertools.count(1)
        self._replicas = Replicas(target.bases)
        self._failures: dict[str, int] = {}
        self._patience_ends = time.monotonic() + PATIENCE
        self._kept = kept
        self._lines: dict[Principal, asyncio.Lock] = {}
        self.slots = asyncio.Semaphore(target.concurrency)
        self.sharing = Sharing()
        self.mark = secrets.token_hex(16)
        """In what the probes of this run name together, and no other run has named."""

    def admit(self, most: Share) -> None:
        """Count one call that may take ``most`` tokens, or raise :class:`RunStopped`."""
        for base, failures in self._failures.items():
            if failures >= BREAKER:
                who = self._replicas.name(base) or "the target"
                raise RunStopped(f"{who} is down: {failures} calls in a row got no whole response")
        try:
            self.ledger.reserve(most)
        except OverBudget as over:
            raise RunStopped(str(over)) from None
        self._on_call(self.ledger.calls)

    def withdraw(self, most: Share) -> None:
        """Give back what was admitted and not sent."""
        self.ledger.calls -= 1
        self.ledger.settle(most, Share())

    def line(self, principal: Principal) -> asyncio.Lock:
        """Where refused calls of one principal wait for their turn: all at once, they would be refused again."""
        return self._lines.setdefault(principal, asyncio.Lock())

    def wait_of(self, reading: Reading) -> float | None:
        """How long the target asks us to wait, if it refused by a limit and there is time and budget for it."""
        if reading.status != 429:
            return None
        if self.target.max_calls is not None and self.ledger.calls >= self.target.max_calls - self._kept:
            return None
        asked = reading.facts["retry_after"]
        in_time = asked and 0 < asked.value <= self._patience_ends - time.monotonic()
        return float(asked.value) if in_time else None

    def use_model(self, model: str) -> None:
        """The model of every later call that names none."""
        self.target = replace(self.target, model=model)

    def note(self, reading: Reading, most: Share, took: Share | None = None) -> None:
        """Keep an exchange, and settle the ``most`` that was reserved for it (default: by what its answer says)."""
        exchange = reading.exchange
        self.exchanges.append(exchange)
        self.ledger.settle(most, _taken(reading, most) if took is None else took)
        if exchange.left_at is None:
            base = self._replicas.base(exchange.sent.url)
            self._failures[base] = self._failures.get(base, 0) + 1 if _is_down(exchange) else 0

    def next_id(self) -> str:
        return f"x{next(self._ids):04d}"


def _taken(reading: Reading, most: Share) -> Share:
    """What a call took, as far as its answer says so; an error took nothing, silence all that it could."""
    exchange = reading.exchange
    if most == Share() or (exchange.failure is None and (exchange.status or 0) >= 400):
        return Share()
    if exchange.failure is not None or exchange.left_at is not None:
        return most
    if exchange.is_sse:
        said = dict(reading.stream.usage)
    else:
        said = {name: reading.facts[f"usage.{name}"].value for name in ("input", "output")}
    return Share(_count(said.get("input"), most.input), _count(said.get("output"), most.output))


def _count(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else otherwise


def _is_down(exchange: Exchange) -> bool:
    """No answer, or one without end. A connection that broke says nothing about the next one."""
    failure = exchange.failure
    return failure is not None and (exchange.status is None or failure.kind != "reset")
