"""A second principal that calls seldom: while the first is at its limit it must be served (RATE-14)."""

from __future__ import annotations

import gevent

from load.engine import Engine, Stopped
from load.ledger import Broken
from load.users.actor import Actor, make_actor

EVERY = 1.0
"""Seconds between its calls: too few to reach a limit of its own."""

NEEDED = 2


def watch_isolation(engine: Engine) -> None:
    """Run until the engine stops. Judged for the contract's format, where limits are per principal; for
    another, two refusals may mean that the keys belong to one account."""
    actor = make_actor(engine)
    actor.impatient = False
    served_before = refused = 0
    while not engine.stopped:
        closed = engine.gate("main").closed
        try:
            served = _call(actor)
        except Stopped:
            return
        ledger = engine.tally.ledger
        if not (closed and engine.gate("main").closed):
            served_before += served
        elif served:
            refused = 0
            ledger.judged(("RATE-14",))
        elif not served_before or engine.config.dialect.name != "contract":
            ledger.undecided("RATE-14", "the second key was refused, which a limit of its own would explain")
        else:
            refused += 1
            if refused >= NEEDED:
                ledger.judged(("RATE-14",))
                seen = f"{refused} of its calls in a row refused while another key is at its limit"
                ledger.broken(Broken("RATE-14", "a principal with few calls is served", seen), "witness")
            else:
                ledger.undecided("RATE-14", "one refusal; two in a row are needed")
        gevent.sleep(EVERY)


def _call(actor: Actor) -> bool:
    called = actor.engine.call(
        "chat", actor.params(prompt="Say yes."), actor.pool, principal="other", label="witness", obey=False
    )
    return called.seen.status != 429
