"""How the calls of one probe go out: in turn through the run's slots, on its budget, sent again as a 429 tells."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.budget import GENERATING, Share, most_of
from conformance.evidence import Exchange, Frame, Principal, Sent
from conformance.reading import Reading
from conformance.run import Run
from conformance.target import Limits
from conformance.wire.http import Recorded
from conformance.wire.websocket import Conversation, converse

TRIES = 2
"""How often a refused call is sent again: when its turn comes, and once more after the wait it is told then."""

LIMITED = "!429"
"""Suffix of the role of an answer that was refused by a limit and then sent again as told."""

HangUp = Callable[[bytes], bool]


@dataclass(frozen=True)
class Ask:
    """A call of :meth:`~conformance.session.Session.in_turn`; the fields are the parameters of its ``call``."""

    operation: str
    role: str
    principal: Principal = "main"
    body: bytes | None = None
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outgoing:
    """A request and what is recorded with it. ``budgeted_as``: the operation whose cost it may have, if another."""

    sent: Sent
    operation: str
    role: str
    principal: Principal = "main"
    params: Mapping[str, Any] = field(default_factory=dict)
    hang_up: HangUp | None = None
    limits: Limits | None = None
    budgeted_as: str = ""

    @property
    def like(self) -> str:
        return self.budgeted_as or self.operation

    @property
    def most(self) -> Share:
        """The most tokens that it can take."""
        return most_of(self.like, self.params, self.sent.body)


class Sender:
    """Sends for one probe; ``sent`` are its exchanges so far. ``exhausts``: it is after refusals by a limit."""

    def __init__(self, run: Run, probe: str, *, exhausts: bool) -> None:
        self._run, self._probe, self._exhausts = run, probe, exhausts
        self._wire = run.wire
        self.sent: list[Exchange] = []

    def without_certificate(self) -> Sender:
        """The same, over connections on which the client shows no certificate."""
        other = copy.copy(self)
        other._wire = self._run.bare_wire
        return other

    async def send(self, call: Outgoing) -> Reading:
        """Send it, and, if a limit refuses it, again to the same replica, if there is time and budget for it."""
        reading = await self._once(call)
        if self._exhausts or self._run.wait_of(reading) is None:
            return reading
        refused_at = time.monotonic()
        async with self._run.line(call.principal):
            for _ in range(TRIES):
                wait = self._run.wait_of(reading)
                if wait is None:
                    break
                await asyncio.sleep(max(0.0, refused_at + wait - time.monotonic()))
                reading = await self._once(call)
                refused_at = time.monotonic()
        return reading

    async def send_in_turn(self, calls: Sequence[Outgoing]) -> list[Reading]:
        """One after the other on one connection; fewer readings than calls if it could not be kept open."""
        async with self._run.slots:
            for call in calls:
                self._run.admit(call.most)
            started = time.time()
            answers = await self._wire.send_in_turn([c.sent for c in calls], self._limits("chat"))
        readings = []
        for call, recorded in zip(calls, answers, strict=False):
            reading = self._recorded(recorded, call, started)
            started += reading.exchange.t_end or 0.0
            self._run.note(reading, call.most)
            readings.append(reading)
        for call in calls[len(answers) :]:
            self._run.withdraw(call.most)
        return readings

    async def converse(
        self, call: Outgoing, most: Share, script: Callable[[Conversation], Awaitable[None]]
    ) -> Reading:
        """Open a WebSocket and run ``script`` on it. ``most``: what the conversation may take."""
        async with self._run.slots:
            self._run.admit(most)
            started = time.time()
            limits = call.limits or self._run.target.limits
            recorded, frames = await converse(self._wire, call.sent, limits, script)
        reading = self._recorded(recorded, call, started, frames)
        # What the answers on it took stands in their frames; only an upgrade that was refused took nothing for sure.
        self._run.note(reading, most, most if reading.status == 101 else Share())
        return reading

    async def _once(self, call: Outgoing) -> Reading:
        async with self._run.slots:
            most = call.most
            self._run.admit(most)
            started = time.time()
            recorded = await self._wire.send(call.sent, call.limits or self._limits(call.like), call.hang_up)
        if recorded.recording.status == 429 and not self._exhausts:
            call = replace(call, role=call.role + LIMITED)
        reading = self._recorded(recorded, call, started)
        self._run.note(reading, most)
        return reading

    def _recorded(
        self, recorded: Recorded, call: Outgoing, started: float, frames: tuple[Frame, ...] = ()
    ) -> Reading:
        exchange = Exchange(
            id=self._run.next_id(),
            probe=self._probe,
            role=call.role,
            operation=call.operation,
            principal=call.principal,
            params=call.params,
            sent=recorded.sent,
            started_at=started,
            frames=frames,
            **recorded.response(),
        )
        self.sent.append(exchange)
        return Reading(exchange, self._run.dialect)

    def _limits(self, operation: str) -> Limits:
        # A model may work as long as the whole call may take before the head of its answer comes.
        limits = self._run.target.limits
        return replace(limits, headers=limits.total) if operation in GENERATING else limits
