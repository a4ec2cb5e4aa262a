"""A job: submitted, then polled until it is done."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import gevent

from load.calls import Called
from load.observation import Observation
from load.users.actor import Actor

FIRST_POLL, LONGEST_POLL = 0.05, 2.0
"""Seconds; the wait doubles from one to the other, unless the server says how long (Retry-After)."""

WAITING = frozenset({"queued", "pending", "validating"})
DONE = frozenset({"complete", "completed", "succeeded"})
LOST = frozenset({"failed", "cancelled", "canceled", "expired"})


def job(actor: Actor, intended: float | None) -> None:
    """Submit a document and wait for its result. Queue time ends with the first status that is not waiting."""
    engine, prompt = actor.engine, actor.prompt()
    submitted = engine.call(
        "analyze_document",
        actor.params(text=prompt.text, document=prompt.text),
        actor.pool,
        principal=actor.principal,
        intended=intended,
        label="job_submit",
        obey=not actor.impatient,
    )
    number = _member(submitted, "job_id", "id")
    if not submitted.seen.ok or not number:
        return
    begun = submitted.reply.t_begun if intended is None else intended
    deadline = begun + engine.config.target.limits.total
    running: float | None = None
    wait = FIRST_POLL
    while perf_counter() < deadline:
        gevent.sleep(wait)
        wait = min(wait * 2, LONGEST_POLL)
        polled = engine.call(
            "job", actor.params(job_id=number), actor.pool, principal=actor.principal, label="job_poll",
            obey=not actor.impatient,
        )  # fmt: skip
        status = str(_member(polled, "status") or "").lower()
        now = polled.reply.t_end or perf_counter()
        if running is None and status and status not in WAITING:
            running = now
        if status in DONE or status in LOST:
            seen = Observation("job", now - begun, code="" if status in DONE else f"job {status}")
            seen.queued = (running or now) - begun
            seen.run = now - (running or now)
            _count(actor, polled, seen)
            return
    _count(actor, submitted, Observation("job", perf_counter() - begun, code="job timeout"))


def _member(called: Called, *names: str) -> Any:
    document = called.exchange.json if called.exchange is not None else None
    if not isinstance(document, dict):
        return None
    return next((document[name] for name in names if document.get(name)), None)


def _count(actor: Actor, last: Called, seen: Observation) -> None:
    """The job as a whole is counted as one more operation, beside its calls."""
    actor.engine.count(Called(seen, last.reply, last.sent))
