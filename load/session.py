"""A run attached to Locust: started and ended by its events, counted in each worker, merged in the master."""

from __future__ import annotations

from time import perf_counter as _now
from time import time
from typing import Any

import gevent
from locust.runners import MasterRunner, WorkerRunner

from load.engine import Engine, Stopped
from load.errors import LoadError
from load.observation import Observation
from load.openloop import run_plan
from load.options import Config, read_config
from load.outcome import Outcome, objectives_of
from load.slo import Objective, goodput_of
from load.tally import Tally
from load.users.actions import act
from load.users.actor import make_actor
from load.users.witness import watch_isolation

SHARDS = "aiconform_shards"
REPORT = "aiconform"


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
        self.heard: dict[str, float] = {}
        self.started_at = 0.0
        self.begun = 0.0
        self.ended = 0.0
        self.problem: str = ""
        self.reported: int | None = None
        self._loop: gevent.Greenlet | None = None
        events = environment.events
        events.test_start.add_listener(self._on_start)
        events.test_stopping.add_listener(self._on_stopping)
        events.test_stop.add_listener(self._on_stop)
        runner = environment.runner
        if isinstance(runner, MasterRunner):
            events.worker_report.add_listener(self._on_worker_report)
        elif isinstance(runner, WorkerRunner):
            events.report_to_master.add_listener(self._on_report_to_master)
            runner.register_message(SHARDS, self._on_shards)

    @property
    def elapsed(self) -> float:
        """Seconds since the test began."""
        return (self.ended or _now()) - self.begun if self.begun else 0.0

    @property
    def seconds_asked(self) -> float | None:
        """How long the test is to last, if that is known."""
        asked = getattr(self.environment.parsed_options, "run_time", None)
        return float(asked) if asked else None

    @property
    def is_master(self) -> bool:
        return isinstance(self.environment.runner, MasterRunner)

    def prepare(self) -> Config:
        """Check the options, which a web UI may have changed since. Raises :class:`LoadError`."""
        options = self.environment.parsed_options
        seconds = getattr(options, "run_time", None)
        self.config = read_config(options, self.environment.host or options.host, seconds)
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
        self.total, self.reported = Tally(), None
        self.started_at, self.begun, self.ended = time(), _now(), 0.0
        if self.is_master:
            self._tell_shards()
            return
        self.engine = Engine(
            config, goodput_of(self.objectives), shard=self.shard, shards=self.shards, watch=self._tell_locust
        )
        self.engine.start()
        if "other" in config.target.keys and self.shard == 0:
            self.engine.greenlets.spawn(watch_isolation, self.engine)
        if config.plan is not None:
            self._loop = gevent.spawn(self._run_plan, self.engine, config)
        gevent.spawn(self._stop_when_capped, self.engine)

    def _on_stopping(self, **_: object) -> None:
        """Nothing more is sent; calls under way may end (Locust gives users --stop-timeout for it)."""
        self.ended = self.ended or _now()
        if self.engine is not None:
            self.engine.stop()

    def _on_stop(self, **_: object) -> None:
        self.ended = self.ended or _now()
        if self.engine is None:
            return
        if self._loop is not None:
            self._loop.kill(block=False)
        self.engine.drain(self.environment.stop_timeout or 0.0)
        self.engine.close()

    def _run_plan(self, engine: Engine, config: Config) -> None:
        assert config.plan is not None

        def one(due: float) -> None:
            actor = make_actor(engine, engine.pool)
            try:
                act(actor, due)
            except Stopped:
                pass

        run_plan(engine, config.plan, one)

    def _stop_when_capped(self, engine: Engine) -> None:
        while not engine.stopped:
            gevent.sleep(0.05)
        if self.ended == 0.0 and not isinstance(self.environment.runner, WorkerRunner):
            self.environment.runner.quit()

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

    def _on_report_to_master(self, client_id: str, data: dict[str, Any]) -> None:
        if self.engine is not None:
            data[REPORT] = {
                "tally": self.engine.take().plain(),
                "final": bool(self.ended),
                "stopped": self.engine.stopped,
            }

    def _on_worker_report(self, client_id: str, data: dict[str, Any]) -> None:
        report = data.get(REPORT)
        if report is None:
            return
        self.total.merge(Tally.of_plain(report["tally"]))
        self.heard[client_id] = _now()
        if report["final"]:
            self.workers[client_id] = True

    # ---- the result

    def tally(self) -> Tally:
        """Everything counted so far by all processes that this one hears of."""
        if self.engine is not None:
            self.total.merge(self.engine.take())
        return self.total

    def outcome(self) -> Outcome:
        """The finished run."""
        assert self.config is not None
        tally = self.tally()
        lost = [name for name, final in self.workers.items() if not final]
        stopped = self.engine.stopped if self.engine is not None else ""
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
