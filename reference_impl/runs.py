"""Generations that outlive the connection that started them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine

_log = logging.getLogger(__name__)


class Recording:
    """The event blocks of one generation, readable by any number of streams while it grows."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._closed = False
        self._changed = asyncio.Event()

    @property
    def content(self) -> bytes:
        """Everything so far."""
        return b"".join(self._blocks)

    def append(self, block: bytes) -> None:
        """Add a block and wake the readers."""
        self._blocks.append(block)
        self._wake()

    def close(self) -> None:
        """No more blocks will come."""
        self._closed = True
        self._wake()

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """Every block from the first on, as soon as it exists."""
        position = 0
        while True:
            changed = self._changed
            while position < len(self._blocks):
                yield self._blocks[position]
                position += 1
            if self._closed and position == len(self._blocks):
                return
            if changed is self._changed:
                await changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Runs:
    """The detached tasks of one server. They end with the server, not with a client."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def active(self) -> int:
        """How many are running now."""
        return len(self._tasks)

    def start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run `work` to its end, whoever listens. Cancelling the task ends it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def stop(self) -> None:
        """Cancel what is still running and wait until it has cleaned up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            _log.error("a detached generation failed", exc_info=failure)
