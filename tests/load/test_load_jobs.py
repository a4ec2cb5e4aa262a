"""Jobs: submitted, polled, and timed by what the server says, against the ground-truth server's known times."""

from __future__ import annotations

import argparse
import random
from dataclasses import replace

import pytest
from running import truth

from conformance.dialects.model import Operation, load_dialect
from conformance.dialects.rules import compile_rule
from load.engine import Engine
from load.options import Config, read_config
from load.slo import Goodput
from load.tally import Tally
from load.transport.client import Client, Endpoint, Pool
from load.users.actor import Actor
from load.users.hooks import Receiver
from load.users.job import job


def config_for(url: str) -> Config:
    """A configuration whose dialect has jobs, in the contract's words."""
    from load.command import parser

    options: argparse.Namespace = parser().parse_args([url, "--timeout=5"])
    config = read_config(options, url, 5.0)
    dialect = load_dialect("contract")
    submit = Operation(
        "POST", "/analyze-document", {"Accept": "application/json"}, {}, {"document": "{document}"}
    )
    get = Operation("GET", "/jobs/{job_id}", {"Accept": "application/json"})
    hook = Operation(
        "POST", "/webhooks", {"Accept": "application/json"}, {}, {"url": "{url}", "events": "{events}"}
    )
    own = replace(
        dialect,
        operations={**dialect.operations, "submit_job": submit, "get_job": get, "register_webhook": hook},
        answer={**dialect.answer, "job.id": compile_rule("$.job_id"), "job.status": compile_rule("$.status")},
    )
    return replace(config, dialect=own)


def test_a_job_is_timed_by_what_the_server_says() -> None:
    with truth() as url:
        engine = Engine(config_for(url), Goodput())
        engine.start()
        try:
            job(Actor(engine, Pool(), random.Random(1)), None)
        finally:
            engine.close()
        tally = engine.take()
    operation = tally.operations["job"]
    assert operation.counts["ok"] == 1
    assert tally.operations["job_submit"].counts["ok"] == 1
    assert tally.operations["job_poll"].counts["ok"] >= 1
    # The server queues for 50 ms and runs for 100; a poll can only see it later.
    assert 0.05 <= operation.times["job_queue"].high < 2
    assert 0.15 <= operation.times["e2e"].high < 3
    whole = operation.times["job_queue"].total + operation.times["job_run"].total
    assert whole == pytest.approx(operation.times["e2e"].total)


def test_a_job_that_never_ends_is_an_error() -> None:
    with truth() as url:
        config = config_for(url)
        lost = {**config.dialect.answer, "job.status": compile_rule({"const": "processing"})}
        limits = replace(config.target.limits, total=0.5)
        dialect, target = replace(config.dialect, answer=lost), replace(config.target, limits=limits)
        engine = Engine(replace(config, dialect=dialect, target=target), Goodput())
        engine.start()
        try:
            job(Actor(engine, Pool(), random.Random(1)), None)
        finally:
            engine.close()
        assert engine.take().operations["job"].codes == {"job timeout": 1}


def run_one(config: Config) -> tuple[Tally, Engine]:
    engine = Engine(config, Goodput())
    engine.start()
    try:
        job(Actor(engine, Pool(), random.Random(1)), None)
    finally:
        engine.close()
    return engine.take(), engine


def test_a_webhook_tells_when_a_job_is_done() -> None:
    with truth() as url:
        tally, engine = run_one(replace(config_for(url), callback="http://127.0.0.1:0"))
    assert tally.operations["job"].counts["ok"] == 1
    assert "job_poll" not in tally.operations
    assert 0.15 <= tally.operations["job"].times["e2e"].high < 3
    assert engine.receiver.unsigned == 0


def test_a_delivery_with_a_wrong_signature_is_none() -> None:
    receiver = Receiver("http://127.0.0.1:0")
    receiver.secret = "whsec_" + "AAAA"
    try:
        port = int(receiver.url.rsplit(":", 1)[1].split("/")[0])
        body = b'{"data": {"job_id": "job_1"}}'
        request = (
            b"POST /job HTTP/1.1\r\nHost: x\r\nwebhook-signature: v1,bad\r\nContent-Length: %d\r\n\r\n"
            % len(body)
        )
        client = Client(Endpoint("127.0.0.1", port))
        reply = client.send(Pool(), request + body)
        assert reply.status == 401
        assert receiver.wait("job_1", 0.05) is None
        assert receiver.unsigned == 1
    finally:
        receiver.close()
