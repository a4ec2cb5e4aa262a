"""Calls with an idempotency key, sent twice: whatever happens, the work must be done once."""

from __future__ import annotations

from uuid import uuid4

import gevent

from load.calls import Called
from load.engine import Stopped
from load.ledger import Broken
from load.transport.client import Pool
from load.users.actor import Actor


def retry(actor: Actor, intended: float | None) -> None:
    """A call, and the same again with its key, as a client does whose connection broke (IDEM-01, IDEM-02)."""
    first = _keyed(actor, key := _key(), actor.pool, intended, "retry")
    if not first.seen.ok:
        return
    second = _keyed(actor, key, actor.pool, None, "retry")
    if not second.seen.ok:
        return
    ledger, exchange = actor.engine.tally.ledger, f"key {key}"
    ledger.judged(("IDEM-01", "IDEM-02"))
    if not _same(first, second):
        ledger.broken(
            Broken(
                "IDEM-01",
                "the stored answer",
                f"another one: id {second.response_id} after {first.response_id}",
            ),
            exchange,
        )
    marks = [_replayed(called) for called in (first, second)]
    if marks != [False, True]:
        seen = f"first answer {'marked' if marks[0] else 'unmarked'}, second {'marked' if marks[1] else 'unmarked'}"
        ledger.broken(
            Broken("IDEM-02", "the mark on the replay only", seen, "header Idempotency-Replayed"), exchange
        )


def race(actor: Actor, intended: float | None) -> None:
    """Two equal calls with one key at the same time: one is executed, the other gets its answer or 409 (IDEM-06)."""
    key = _key()
    pools = [actor.pool, Pool()]
    racers = [gevent.spawn(_run, actor, key, pool, intended) for pool in pools]
    try:
        gevent.joinall(racers, raise_error=True)
    finally:
        gevent.killall(racers)
        pools[1].close()
    answers: list[Called] = [racer.value for racer in racers if racer.value is not None]
    done = [a for a in answers if a.seen.ok]
    waiting = [a for a in answers if a.seen.status == 409]
    if len(done) + len(waiting) < 2 or not done:
        return  # refused by a limit or failed: nothing was promised
    ledger, exchange = actor.engine.tally.ledger, f"key {key}"
    ledger.judged(("IDEM-06",))
    if len(done) == 2 and not _same(*done):
        ids = " and ".join(a.response_id for a in done)
        ledger.broken(Broken("IDEM-06", "one execution", f"two answers: {ids}"), exchange)
    if waiting and waiting[0].seen.retry_after is None:
        ledger.broken(
            Broken("IDEM-06", "409 with Retry-After", "409 without it", "header Retry-After"), exchange
        )


def _run(actor: Actor, key: str, pool: Pool, intended: float | None) -> Called | None:
    """One of two racers; None if the run is over."""
    try:
        return _keyed(actor, key, pool, intended, "race")
    except Stopped:
        return None


def _keyed(actor: Actor, key: str, pool: Pool, intended: float | None, label: str) -> Called:
    return actor.engine.call(
        "chat",
        actor.params(prompt="Say one sentence about the sea.", idempotency_key=key),
        pool,
        principal=actor.principal,
        intended=intended,
        label=label,
        obey=not actor.impatient,
    )


def _key() -> str:
    """Never the same again: a key of an earlier run may still be stored."""
    return f"load-{uuid4().hex}"


def _same(first: Called, second: Called) -> bool:
    return (first.response_id, first.text) == (second.response_id, second.text)


def _replayed(called: Called) -> bool:
    value = called.facts["replayed"].value if called.facts else None
    return value is True or str(value).lower() == "true"
