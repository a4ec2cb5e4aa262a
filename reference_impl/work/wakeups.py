"""Who has to look again at the database, in this process. Losing a signal costs time, never work."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Wakeups:
    """Signals between handlers, workers and event streams of one server."""

    def __init__(self) -> None:
        self.jobs = asyncio.Event()
        self.deliveries = asyncio.Event()
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._working: dict[str, asyncio.Task[None]] = {}

    def job_changed(self, job_id: str) -> None:
        """A job has a new version: tell who watches it, and see whether messages are due."""
        for watcher in self._watchers.get(job_id, ()):
            watcher.set()
        self.deliveries.set()

    @contextmanager
    def watching(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event that is set at every change of the job."""
        watcher = asyncio.Event()
        self._watchers[job_id].add(watcher)
        try:
            yield watcher
        finally:
            self._watchers[job_id].discard(watcher)
            if not self._watchers[job_id]:
                del self._watchers[job_id]

    def working(self, job_id: str, task: asyncio.Task[None]) -> None:
        """This task works on the job, until it is done."""
        self._working[job_id] = task
        task.add_done_callback(lambda _: self._working.pop(job_id, None))

    @property
    def at_work(self) -> frozenset[str]:
        """The ids of the jobs that tasks work on now."""
        return frozenset(self._working)

    def stop_work(self, job_id: str) -> None:
        """End the work on a job that has ended for another reason."""
        if (task := self._working.get(job_id)) is not None:
            task.cancel()
