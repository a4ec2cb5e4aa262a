"""What the connections of the server share: its counts, its limits, what it stored."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from load.ground_truth.schedule import Schedule, Wire, chunk, contract_wire, openai_wire

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
        self.hooks: list[str] = []
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
