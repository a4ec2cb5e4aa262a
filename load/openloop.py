"""The open loop: one greenlet per scheduled arrival, started at its time whether or not others have ended."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import gevent

from load.arrival import Plan
from load.engine import Engine

Act = Callable[[float], None]
"""Performs one action whose intended start (monotonic clock) is given."""


def run_plan(engine: Engine, plan: Plan, act: Act) -> None:
    """Start every arrival of this process's part of the plan; returns after the last was started."""
    for moment in plan.arrivals(engine.shard, engine.shards, engine.config.seed):
        due = engine.begun + moment
        while (wait := due - perf_counter()) > 0 and not engine.stopped:
            gevent.sleep(wait)  # counted from when the loop last looked at the clock: it may be short
        if engine.stopped:
            return
        tally = engine.tally
        tally.own["scheduled"] += 1
        if len(engine.greenlets) >= engine.caps.in_flight:
            tally.own["dropped"] += 1  # counted, and the run is INVALID: it did not offer what it claims
            continue
        engine.greenlets.spawn(act, due)
