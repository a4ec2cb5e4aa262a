"""How late our own event loop was: a timing claim about a server needs to know."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

TICK = 0.010


class Watch:
    """The worst stall, in seconds, while it was watched."""

    worst = 0.0


class LagMonitor:
    """A task that sleeps 10 ms at a time and notes by how much it overslept."""

    def __init__(self) -> None:
        self._watches: set[Watch] = set()
        self._due = 0.0
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def watch(self) -> Iterator[Watch]:
        """Follow the lag from here to the end of the block, a stall that is still going on included."""
        watch = Watch()
        self._watches.add(watch)
        if self._task is None:
            self._due = time.perf_counter() + TICK
            self._task = asyncio.create_task(self._run())
        try:
            yield watch
        finally:
            self._note(time.perf_counter() - self._due)
            self._watches.discard(watch)

    async def _run(self) -> None:
        while True:
            self._due = time.perf_counter() + TICK
            await asyncio.sleep(TICK)
            self._note(time.perf_counter() - self._due)

    def _note(self, overshoot: float) -> None:
        for watch in self._watches:
            watch.worst = max(watch.worst, overshoot)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
