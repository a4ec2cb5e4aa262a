"""``locust -f load/locustfile.py --host http://127.0.0.1:8000/api/v1 --key sk-demo``: every Locust flag works.

The users speak a dialect (``--dialect``), latency comes from the arrival of bytes, and the contract is checked on
every answer. Locust's own statistics and web UI show what they always show; the report of this tool is written
to ``--out`` when the test ends.
"""

from __future__ import annotations

import signal
import sys
from time import perf_counter
from typing import Any

import gevent
from gevent.hub import get_hub
from locust import User, events, task
from locust.runners import WorkerRunner

from load.engine import Stopped
from load.errors import INTERRUPTED, USAGE, LoadError
from load.live import Dashboard
from load.options import add_options
from load.report.write import finish
from load.session import Session
from load.users.actions import act
from load.users.actor import Actor, make_actor

SPREAD = 0.5
"""Seconds over which the first calls of users that were started together are spread."""

MOMENT = 0.1
"""Seconds of calls, one after the other, after which Locust may look whether the user is to stop."""

_sessions: dict[int, Session] = {}


@events.init_command_line_parser.add_listener
def _options(parser: Any, **_: object) -> None:
    add_options(parser, locust=True)


@events.init.add_listener
def _init(environment: Any, **_: object) -> None:
    session = _sessions[id(environment)] = Session(environment)
    options = environment.parsed_options
    get_hub().loop.update_now()  # Locust's timer for --run-time counts from when the imports began
    if isinstance(environment.runner, WorkerRunner):
        if options.processes:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all: the master ends us
        return
    if options.headless:
        # Python would raise KeyboardInterrupt in whatever greenlet runs, and only that one would end.
        gevent.signal_handler(signal.SIGINT, session.interrupt)
        try:
            session.prepare()  # before a user is started, so that a wrong option is one line
        except LoadError as error:
            sys.stderr.write(f"aiconform: {error}\n")
            sys.exit(USAGE)
        Dashboard(session).start()
    else:
        environment.events.test_stop.add_listener(lambda **_: gevent.spawn_later(4.0, finish, session))


@events.quitting.add_listener
def _quitting(environment: Any, **_: object) -> None:
    session = _sessions[id(environment)]
    if isinstance(environment.runner, WorkerRunner):
        environment.process_exit_code = 0
        return
    if session.problem:
        sys.stderr.write(f"aiconform: {session.problem}\n")
        environment.process_exit_code = USAGE
    elif session.begun:
        session.drain()
        code = finish(session)
        environment.process_exit_code = INTERRUPTED if session.interrupted else code


class AiUser(User):
    """A user of a closed loop. In an open loop it only keeps Locust's runner running."""

    actor: Actor | None = None

    def wait_time(self) -> float:
        config = self._session().config
        low, high = config.think if config is not None else (0.0, 0.0)
        return low if low == high else self._actor().dice.uniform(low, high)

    @task
    def perform(self) -> None:
        """One action of the mix; with no time to think, what fits into a moment: Locust's own round between two
        tasks costs as much as a good part of a call."""
        session = self._session()
        if session.config is None or session.config.plan is not None or session.engine is None:
            gevent.sleep(0.2)
            return
        actor, hurries = self._actor(), session.config.think == (0.0, 0.0)
        until = perf_counter() + MOMENT
        try:
            act(actor)
            while hurries and perf_counter() < until:
                act(actor)
        except Stopped:
            gevent.sleep(0.2)

    def on_start(self) -> None:
        """Begin a little later than the others: users in step are a burst that no real users make."""
        config = self._session().config
        alone = getattr(self.environment.parsed_options, "num_users", None) == 1
        if config is not None and config.plan is None and not alone and self._session().engine is not None:
            gevent.sleep(self._actor().dice.random() * SPREAD)

    def on_stop(self) -> None:
        if self.actor is not None:
            self.actor.pool.close()

    def _session(self) -> Session:
        return _sessions[id(self.environment)]

    def _actor(self) -> Actor:
        if self.actor is None:
            engine = self._session().engine
            assert engine is not None
            self.actor = make_actor(engine)
        return self.actor
