"""GET /jobs/{job_id}/events: the changes of a job as they happen, from any of them on.

The event id is the job's version, so `Last-Event-ID` (WHATWG HTML 9.2) tells where to go on.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator

from starlette.responses import Response

from reference_impl.exchange import Exchange
from reference_impl.http.streaming import EventStream
from reference_impl.policies.errors import ContractError
from reference_impl.services import Services
from reference_impl.store.job_rows import OPEN
from reference_impl.work.visibility import visible_job

_LOOK_AGAIN_S = 1.0
_LOOK_ELSEWHERE_S = 0.25
"""A change by another server on the same database gives no signal here."""


async def job_events(services: Services, exchange: Exchange, job_id: str) -> Response:
    """The event stream of a job that the caller may see."""
    job = await visible_job(services, exchange, job_id)
    last = exchange.headers.get("last-event-id") or ""
    # An id that is none of ours says nothing about what was seen: everything is sent again.
    after = int(last) if last.isascii() and last.isdigit() and len(last) < 10 else 0

    def farewell() -> bytes:
        error = ContractError(
            "MODEL_OVERLOADED",
            "The server is stopping; connect again with Last-Event-ID.",
            details={"retry_after_seconds": 1},
        )
        envelope = services.policies.errors.envelope(error, exchange)
        return services.policies.events.event(
            {"type": "error", "sequence_number": job.version, "error": envelope}, "error"
        )

    return EventStream(
        _follow(services, job_id, after),
        writer=services.policies.events,
        keep_alive_s=services.settings.keep_alive_s,
        stopping=services.stopping,
        farewell=farewell,
    )


async def _follow(services: Services, job_id: str, after: int) -> AsyncGenerator[bytes, None]:
    write = services.policies.events
    look_again_s = _LOOK_ELSEWHERE_S if services.database.shared else _LOOK_AGAIN_S
    with services.wakeups.watching(job_id) as changed:
        while True:
            changed.clear()
            job = await services.jobs.find(job_id)
            for version, data in await services.jobs.events(job_id, after):
                yield b"id: %d\n" % version + write.event(json.loads(data), "job")
                after = version
            if job is None or (job.status not in OPEN and after >= job.version):
                yield write.done()
                return
            try:
                async with asyncio.timeout(look_again_s):
                    await changed.wait()
            except TimeoutError:
                pass
