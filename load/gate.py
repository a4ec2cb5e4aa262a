"""Obeying Retry-After exactly, and judging it: who waits as told and comes first must be served (RATE-04).

All obeying users of a key wait together. When the time is over one of them, the scout, goes first; the others
follow its answer. Only a scout that was alone on the key says anything about the server: any other request may
have taken the room that was promised.
"""

from __future__ import annotations

from time import perf_counter

import gevent
from gevent.event import Event

from load.ledger import Broken, Ledger

MARGIN = 0.005
"""Seconds added to a wait, for a clock that runs a little faster than the server's."""

NEEDED = 2
"""Clean refusals in a row that break the promise: one may be the fault of somebody else on the key."""


class Gate:
    """One key's limit as its users see it."""

    def __init__(self, ledger: Ledger, exclusive: bool) -> None:
        """``exclusive``: no other process of this run uses the key."""
        self.ledger, self.exclusive = ledger, exclusive
        self.closed_until = 0.0
        self.in_flight = 0
        self.last_sent = 0.0
        self.refused_at = 0.0
        self.refusals = 0
        self.scouting = False
        self._told = 0.0
        self._size = 0
        self._passed = Event()
        self._passed.set()

    @property
    def closed(self) -> bool:
        return self.scouting or perf_counter() < self.closed_until

    def sent(self) -> None:
        self.in_flight += 1
        self.last_sent = perf_counter()

    def answered(self) -> None:
        self.in_flight -= 1

    def refuse(self, wait: float, size: int) -> None:
        """An obeying user was told to wait with a request of this size."""
        now = perf_counter()
        self.refused_at = now
        until = now + wait + MARGIN
        if until > self.closed_until:
            self.closed_until, self._told, self._size = until, wait, size

    def enter(self, give_up: float) -> tuple[bool, bool]:
        """Wait until the key is open. ``(may_go, is_scout)``; not ``may_go`` if that takes beyond ``give_up``."""
        while True:
            now = perf_counter()
            if self.closed_until > give_up:
                return False, False
            if now < self.closed_until:
                gevent.sleep(self.closed_until - now)
                continue
            if self.scouting:
                self._passed.wait()
                continue
            if self.closed_until:
                self.scouting = True
                self._passed.clear()
                return True, True
            return True, False

    def is_clean(self, size: int) -> bool:
        """Whether the scout, about to send, is alone: nothing of this key is open or was sent since the refusal.
        And whether it asks for no more than the request that was refused: a limit of tokens promised room for
        that one."""
        alone = self.exclusive and self.in_flight == 0 and self.last_sent <= self.refused_at
        return alone and size <= self._size

    def scouted(self, refused: bool, accepted: bool, clean: bool, exchange: str) -> None:
        """What the scout's request came to. Opens the gate for the others unless it was refused."""
        told = self._told
        if accepted:
            self.ledger.judged(("RATE-04",))
            self.refusals = 0
        elif refused and not clean:
            self.ledger.undecided(
                "RATE-04",
                "the room that was promised may have been taken by others, or was for a smaller request",
            )
        elif refused:
            self.refusals += 1
            if self.refusals >= NEEDED:
                self.ledger.judged(("RATE-04",))
                seen = f"{self.refusals} refusals in a row, each after the wait of Retry-After ({told:g} s)"
                self.ledger.broken(
                    Broken("RATE-04", "a request is accepted after Retry-After", seen), exchange
                )
            else:
                self.ledger.undecided("RATE-04", "one refusal after a full wait; two in a row are needed")
        if not refused:
            self.closed_until = 0.0
        self.scouting = False
        self._passed.set()
