"""A run attached to Locust: started and ended by its events, counted in each worker, merged in the master."""

from __future__ import annotations

import contextlib
import os
from time import perf_counter as _now
from time import time
from typing import Any

import gevent
from gevent.hub import get_hub
from locust.runners import MasterRunner, WorkerRunner

from load.engine import Engine, Stopped
from load.errors import INTERRUPTED, RUN_ENDED, LoadError
from load.observation import Observation
from load.openloop import run_plan
from load.options import Config, read_config
from load.outcome import Outcome, objectives_of
from load.slo import Objective, goodput_of
from load.tally import Tally
from load.users.actions import act
from load.users.actor import make_actor
from load.users.job import unregister
from load.users.witness import watch_isolation

SHARDS, DRAIN, REPORT = "aiconform_shards", "aiconform_drain", "aiconform_report"
"""Messages between master and workers, beside Locust's own."""

REPORT_WAIT = 5.0
EARLIER = 0.5
"""Seconds by which a run ends before Locust's --run-time, whose clock starts before ours."""


class Session:
    """What this process knows of the run. A master counts nothing itself, a worker reports nothing itself."""

    def __init__(self, environment: Any) -> None:
        self.environment = environment
        self.config: Config | None = None
        self.objectives: tuple[Objective, ...] = ()
        self.engine: Engine | None = None
        self.total = Tally()
        self.shard, self.shards = 0, 1
        self.workers: dict[str, bool] = {}  # whether its last report came
        self.capped = ""
        self.started_at = 0.0
        self.begun = 0.0
        self.ended = 0.0
        self.problem: str = ""
        self.interrupted = False
        self.reported: int | None = None
        self._tells_locust = not environment.parsed_options.no_locust_statistics
        self._loop: gevent.Greenlet | None = None
        if not self._tells_locust and environment.runner is not None:
            environment.runner.stats.total.use_response_times_cache = (
                False  # its history would grow with time
            )
        events = environment.events
        events.test_start.add_listener(self._on_start)
        events.test_stopping.add_listener(self.drain)
        events.test_stop.add_listener(self._on_stop)
        runner = environment.runner
        if isinstance(runner, MasterRunner):
            events.worker_report.add_listener(self._on_worker_report)
            runner.register_message(REPORT, self._on_final_report)
        elif isinstance(runner, WorkerRunner):
            events.report_to_master.add_listener(self._on_report_to_master)
            runner.register_message(SHARDS, self._on_shards)
            runner.register_message(DRAIN, self._on_drain, concurrent=True)

    @property
    def elapsed(self) -> float:
        """Seconds since the test began."""
        return (self.ended or _now()) - self.begun if self.begun else 0.0

    @property
    def seconds_asked(self) -> float | None:
        """How long the test is to last, if that is known: Locust's own stop is too rough to time bytes in."""
        options = self.environment.parsed_options
        if options.stop_after is not None:
            return float(options.stop_after)
        return max(0.5, float(options.run_time) - EARLIER) if options.run_time else None

    @property
    def is_master(self) -> bool:
        return isinstance(self.environment.runner, MasterRunner)

    def prepare(self) -> Config:
        """Check the options, which a web UI may have changed since. Raises :class:`LoadError`."""
        options = self.environment.parsed_options
        self.config = read_config(options, self.environment.host or options.host, self.seconds_asked)
        self.objectives = objectives_of(self.config)
        return self.config

    # ---- Locust's events

    def _on_start(self, environment: Any, **_: object) -> None:
        try:
            config = self.config if self.config and environment.parsed_options.headless else self.prepare()
        except LoadError as error:
            self.problem = str(error)
            gevent.spawn(environment.runner.quit)
            return
        self.total, self.reported, self.workers = Tally(), None, {}
        self.started_at, self.begun, self.ended = time(), _now(), 0.0
        get_hub().loop.update_now()  # timers count from the loop's own clock, which stood still while we prepared
        if self.seconds_asked and not isinstance(environment.runner, WorkerRunner):
            gevent.spawn_later(self.seconds_asked, self._end)
        if self.is_master:
            self._tell_shards()
            return
        self.engine = Engine(
            config,
            goodput_of(self.objectives),
            shard=self.shard,
            shards=self.shards,
            watch=self._tell_locust if self._tells_locust else None,
        )
        self.engine.start()
        if "other" in config.target.keys and self.shard == 0:
            self.engine.greenlets.spawn(watch_isolation, self.engine)
        if config.plan is not None:
            self._loop = gevent.spawn(self._run_plan, self.engine, config)
        gevent.spawn(self._stop_when_capped, self.engine)

    def drain(self, **_: object) -> None:
        """Before Locust ends its users, which takes so long that bytes would be timed late: send nothing more,
        and let calls under way end. A master waits until every worker has done so and has reported."""
        if self.ended:
            return
        self.ended = _now()
        if self.is_master:
            self._drain_workers()
        elif self.engine is not None:
            self.engine.stop()
            self.engine.drain(self._patience)
            unregister(self.engine)

    def _on_stop(self, **_: object) -> None:
        self.ended = self.ended or _now()
        if self.engine is not None:
            if self._loop is not None:
                self._loop.kill(block=False)
            self.engine.close()

    @property
    def _patience(self) -> float:
        return float(self.environment.stop_timeout or 0.0)

    def _run_plan(self, engine: Engine, config: Config) -> None:
        assert config.plan is not None

        def one(due: float) -> None:
            actor = make_actor(engine, engine.pool)
            with contextlib.suppress(Stopped):
                act(actor, due)

        run_plan(engine, config.plan, one)

    def _stop_when_capped(self, engine: Engine) -> None:
        while not engine.stopped:
            gevent.sleep(0.05)
        if not self.ended and not isinstance(self.environment.runner, WorkerRunner):
            self._end()

    def interrupt(self) -> None:
        """Ctrl-C: end as at the end of the time. A second one ends at once."""
        if self.interrupted or not self.begun:
            os._exit(INTERRUPTED)
        self.interrupted = True
        self._end()

    def _end(self) -> None:
        """The time is over, or a cap is reached."""
        if not self.ended:
            self.drain()
            runner = self.environment.runner
            runner.quit() if self.environment.parsed_options.headless else runner.stop()

    def _tell_locust(self, seen: Observation) -> None:
        self.environment.events.request.fire(
            request_type="AI",
            name=seen.operation,
            response_time=seen.e2e * 1000,
            response_length=seen.size,
            exception=seen.code or None,
            context={},
        )

    # ---- distributed

    def _tell_shards(self) -> None:
        runner = self.environment.runner
        clients = sorted(runner.clients.keys())
        self.workers = dict.fromkeys(clients, False)
        self.shards = max(1, len(clients))
        for number, client in enumerate(clients):
            runner.send_message(SHARDS, {"shard": number, "shards": len(clients)}, client)

    def _on_shards(self, environment: Any, msg: Any, **_: object) -> None:
        self.shard, self.shards = msg.data["shard"], msg.data["shards"]

    def _drain_workers(self) -> None:
        runner = self.environment.runner
        for client in list(runner.clients.keys()):
            runner.send_message(DRAIN, {}, client)
        limit = _now() + self._patience + REPORT_WAIT
        while not all(self.workers.values()) and _now() < limit:
            gone = [
                n for n in self.workers if getattr(runner.clients.get(n), "state", None) in (None, "missing")
            ]
            if all(self.workers[n] for n in self.workers if n not in gone):
                return
            gevent.sleep(0.05)

    def _on_drain(self, environment: Any, msg: Any, **_: object) -> None:
        self.drain()
        environment.runner.send_message(REPORT, self._part(final=True))

    def _on_report_to_master(self, client_id: str, data: dict[str, Any]) -> None:
        if self.engine is not None:
            data[REPORT] = self._part(final=False)

    def _part(self, final: bool) -> dict[str, Any]:
        """What this worker counted since its last report."""
        if self.engine is None:
            return {"tally": Tally().plain(), "final": final, "stopped": ""}
        return {"tally": self.engine.take().plain(), "final": final, "stopped": self.engine.stopped}

    def _on_worker_report(self, client_id: str, data: dict[str, Any]) -> None:
        if (report := data.get(REPORT)) is not None:
            self._take_part(client_id, report)

    def _on_final_report(self, environment: Any, msg: Any, **_: object) -> None:
        self._take_part(msg.node_id, msg.data)

    def _take_part(self, client_id: str, report: dict[str, Any]) -> None:
        self.total.merge(Tally.of_plain(report["tally"]))
        if report["final"]:
            self.workers[client_id] = True
        if report["stopped"] not in ("", RUN_ENDED):
            self.capped = report["stopped"]

    # ---- the result

    def tally(self) -> Tally:
        """Everything counted so far by all processes that this one hears of."""
        return self.total if self.engine is None else self.engine.counted()

    def outcome(self) -> Outcome:
        """The finished run."""
        assert self.config is not None
        tally = self.tally()
        lost = [name for name, final in self.workers.items() if not final]
        stopped = self.engine.stopped if self.engine is not None else self.capped
        return Outcome(
            config=self.config,
            objectives=self.objectives,
            tally=tally,
            started_at=self.started_at,
            seconds=max(1e-3, (self.ended or _now()) - self.begun),
            users=_users(self.environment),
            shards=self.shards,
            lost=tuple(lost),
            stopped=stopped,
        )


def _users(environment: Any) -> int:
    return int(getattr(environment.parsed_options, "num_users", None) or 1)
