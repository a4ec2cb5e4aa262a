"""The loops of one server that take due work from the database, do it, and sleep until there is more."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine

from reference_impl.outages import OutageError
from reference_impl.services import Services
from reference_impl.store.housekeeping import drop_expired
from reference_impl.work.courier import deliver
from reference_impl.work.perform import perform

_log = logging.getLogger("aiconform.reference")

_LONGEST_SLEEP_S = 30.0
_LOOK_AGAIN_S = 1.0
"""What other servers on the same database do gives no signal here (docs/decisions/0017-several-replicas.md)."""
_AFTER_A_FAULT_S = 1.0
_HOUSEKEEPING_S = 60.0
_SETTLED_FOR_S = 86_400.0


class Workers:
    """Started with the server and stopped with it; what they leave unfinished, the next start takes over."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._loops: list[asyncio.Task[None]] = []
        # Apart, so that endpoints which never answer hold up no job.
        self._jobs: set[asyncio.Task[None]] = set()
        self._deliveries: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin. What a dead server left is taken over when its leases have ended."""
        services = self._services
        renewed = (
            self._extend_jobs,
            services.ledger.renew,
            services.turns.renew,
            services.sessions.renew,
            services.agent_runs.renew,
            services.policies.limits.renew,
        )
        loops = [
            self._serve(services.wakeups.jobs, self._take_jobs, services.jobs.next_deadline),
            self._serve(services.wakeups.deliveries, self._take_deliveries, services.outbox.next_due),
            # One by one, so that no lease runs out because another could not be renewed.
            *(self._every(services.database.lease_s / 3, renew) for renew in renewed),
            self._every(_HOUSEKEEPING_S, self._tidy),
        ]
        if services.database.shared:
            loops.append(self._every(_LOOK_AGAIN_S, self._stop_lost_jobs))
            loops.append(self._every(_AFTER_A_FAULT_S, services.ledger.settle_owed))
        self._loops = [asyncio.create_task(loop) for loop in loops]

    async def stop(self) -> None:
        """Stop at once. Every step is a transaction, so there is nothing to wait for; others may go on right away."""
        tasks = [*self._loops, *self._jobs, *self._deliveries]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await self._services.jobs.give_back()
            await self._services.outbox.give_back()
        except OutageError as problem:
            _log.warning("what was under way is taken up again when its leases have ended: %s", problem)

    async def _serve(
        self,
        wakeup: asyncio.Event,
        take: Callable[[], Awaitable[None]],
        next_due: Callable[[], Awaitable[float | None]],
    ) -> None:
        longest_s = _LOOK_AGAIN_S if self._services.database.shared else _LONGEST_SLEEP_S
        while True:
            wakeup.clear()
            try:
                await take()
                due = await next_due()
                sleep_s = longest_s if due is None else min(longest_s, due - time.time())
            except OutageError as problem:
                _log.warning("background work waits: %s", problem)
                sleep_s = _AFTER_A_FAULT_S
            except Exception:  # noqa: BLE001 - a fault of the database must not end the loop
                _log.exception("background work failed; it is tried again")
                sleep_s = _AFTER_A_FAULT_S
            try:
                async with asyncio.timeout(max(0.02, sleep_s)):
                    await wakeup.wait()
            except TimeoutError:
                pass

    async def _take_jobs(self) -> None:
        services = self._services
        for job_id in await services.jobs.expire_overdue():
            services.wakeups.stop_work(job_id)
            services.wakeups.job_changed(job_id)
        while len(self._jobs) < services.settings.background_tasks:
            job = await services.jobs.lease()
            if job is None:
                return
            services.wakeups.job_changed(job.id)
            services.wakeups.working(job.id, self._start(perform(services, job), self._jobs))

    async def _extend_jobs(self) -> None:
        await self._services.jobs.extend(self._services.wakeups.at_work)

    async def _stop_lost_jobs(self) -> None:
        for job_id in await self._services.jobs.lost(self._services.wakeups.at_work):
            self._services.wakeups.stop_work(job_id)

    async def _take_deliveries(self) -> None:
        lease_s = 2 * self._services.settings.webhook_timeout_s + self._services.database.lease_s
        while len(self._deliveries) < 2 * self._services.settings.background_tasks:
            delivery = await self._services.outbox.lease(lease_s)
            if delivery is None:
                return
            self._start(deliver(self._services, delivery), self._deliveries)

    def _start(self, work: Coroutine[None, None, None], among: set[asyncio.Task[None]]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        among.add(task)
        task.add_done_callback(among.discard)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._services.wakeups.jobs.set()
        self._services.wakeups.deliveries.set()
        if task.cancelled() or (failure := task.exception()) is None:
            return
        if isinstance(failure, OutageError):
            _log.warning("background work is taken up again later: %s", failure)
        else:
            _log.error("background work ended with a fault", exc_info=failure)

    async def _tidy(self) -> None:
        await self._services.jobs.forget_expired()
        await self._services.outbox.forget(_SETTLED_FOR_S)
        await drop_expired(self._services.database)

    async def _every(self, seconds: float, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await act()
            except OutageError as problem:
                _log.warning("background work waits: %s", problem)
            except Exception:  # noqa: BLE001 - as above
                _log.exception("background work failed; it is tried again")
            await asyncio.sleep(seconds)
