"""A job: submitted, then polled until it is done, or until a webhook says so."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import gevent

from load.calls import Called
from load.engine import Engine, Stopped
from load.errors import WEBHOOK_REFUSED
from load.observation import Observation
from load.users.actor import Actor
from load.users.hooks import Receiver

FIRST_POLL, LONGEST_POLL = 0.05, 2.0
"""Seconds between polls; the wait doubles from one to the other."""

WAITING, DONE = "queued", "complete"
EVENTS = ("job.completed", "job.failed", "job.cancelled")
LOST = ("failed", "cancelled", "expired")
"""Statuses as the dialects map them."""


def job(actor: Actor, intended: float | None) -> None:
    """Submit a document and wait for its result. Queue time ends with the first status that is not waiting.

    With a webhook (``--callback``) the job ends when it is told of, and the result is fetched then; what of the time
    was queue and what was run cannot be told, since no delivery says that a job has begun."""
    engine, prompt = actor.engine, actor.prompt()
    receiver = _receiver(actor)
    submitted = engine.call(
        "submit_job",
        actor.params(document=prompt.text),
        actor.pool,
        principal=actor.principal,
        intended=intended,
        label="job_submit",
        obey=not actor.impatient,
    )
    number = _fact(submitted, "job.id")
    if not submitted.seen.ok or not number:
        return
    begun = submitted.reply.t_begun if intended is None else intended
    deadline = begun + engine.config.target.limits.total
    try:
        if receiver is not None:
            _await(actor, receiver, submitted, number, begun, deadline)
        else:
            _poll(actor, submitted, number, begun, deadline)
    except Stopped:
        engine.tally.own["unfinished"] += 1
        raise


def _await(
    actor: Actor, receiver: Receiver, submitted: Called, number: str, begun: float, deadline: float
) -> None:
    """Until a delivery says that the job has ended."""
    told = receiver.wait(number, max(0.0, deadline - perf_counter()))
    if told is None and actor.engine.stopped:
        raise Stopped
    code = "job timeout" if told is None else _fetch(actor, number)
    _count(actor, submitted, Observation("job", (told or perf_counter()) - begun, code=code))


def _poll(actor: Actor, submitted: Called, number: str, begun: float, deadline: float) -> None:
    """Until an answer says that the job has ended."""
    engine = actor.engine
    running: float | None = None
    wait = FIRST_POLL
    while perf_counter() < deadline:
        gevent.sleep(wait)
        wait = min(wait * 2, LONGEST_POLL)
        polled = engine.call(
            "get_job", actor.params(job_id=number), actor.pool, principal=actor.principal, label="job_poll",
            obey=not actor.impatient,
        )  # fmt: skip
        status = str(_fact(polled, "job.status") or "")
        now = polled.reply.t_end or perf_counter()
        if running is None and status and status != WAITING:
            running = now
        if status == DONE or status in LOST:
            seen = Observation("job", now - begun, code="" if status == DONE else f"job {status}")
            seen.queued = (running or now) - begun
            seen.run = now - (running or now)
            _count(actor, polled, seen)
            return
    _count(actor, submitted, Observation("job", perf_counter() - begun, code="job timeout"))


def _receiver(actor: Actor) -> Receiver | None:
    """The webhook receiver of this process, registered at the target by the first who needs it."""
    engine, base = actor.engine, actor.engine.config.callback
    if base is None:
        return None
    with engine.registering:  # a job submitted before the registration is answered would never be told of
        if engine.receiver is None:
            engine.receiver = _register(actor, Receiver(base))
    found: Receiver = engine.receiver
    return found


def _register(actor: Actor, receiver: Receiver) -> Receiver:
    """Tell the target where to deliver. Without that every job would be waited for in vain: the run ends."""
    made = actor.engine.call(
        "register_webhook",
        actor.params(url=receiver.url, events=EVENTS),
        actor.pool,
        principal=actor.principal,
        label="register_webhook",
    )
    document = made.exchange.json if made.exchange is not None and made.seen.ok else None
    if not isinstance(document, dict):
        receiver.close()
        actor.engine.stop(f"{WEBHOOK_REFUSED} {receiver.url}: {made.seen.code or 'no JSON object'}")
        raise Stopped
    secret, number = document.get("secret"), document.get("id")
    receiver.secret = secret if isinstance(secret, str) else None
    receiver.webhook = number if isinstance(number, str) else None
    return receiver


def unregister(engine: Engine) -> None:
    """Remove the webhook from the target when the run is over: a dead address would be tried for days."""
    receiver, gone = engine.receiver, "delete_webhook"
    if receiver is None or receiver.webhook is None or gone not in engine.config.dialect.operations:
        return
    engine.caller.call(gone, {"webhook_id": receiver.webhook}, engine.pool)
    receiver.webhook = None


def _fetch(actor: Actor, number: str) -> str:
    """Fetch the result of a job that was told to have ended; the code of what is wrong with it, empty if nothing."""
    fetched = actor.engine.call(
        "get_job", actor.params(job_id=number), actor.pool, principal=actor.principal, label="job_result",
        obey=not actor.impatient,
    )  # fmt: skip
    if not fetched.seen.ok:
        return fetched.seen.code
    status = str(_fact(fetched, "job.status") or "unknown")
    return "" if status == DONE else f"job {status}"


def _fact(called: Called, name: str) -> Any:
    fact = called.facts.get(name) if called.facts is not None else None
    return fact.value if fact is not None else None


def _count(actor: Actor, last: Called, seen: Observation) -> None:
    """The job as a whole is counted as one more operation, beside its calls."""
    actor.engine.count(Called(seen, last.reply, last.sent))
