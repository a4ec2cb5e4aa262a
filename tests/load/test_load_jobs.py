"""Jobs: submitted, polled, and timed by what the server says, against the ground-truth server's known times."""

from __future__ import annotations

import argparse
import random
from dataclasses import replace
from pathlib import Path

import gevent
import httpx
import pytest
from running import LAX, Run, load, started, truth

from conformance.dialects.rules import compile_rule
from load.command import parser
from load.engine import Engine, Stopped
from load.options import Config, read_config
from load.slo import Goodput
from load.tally import Tally
from load.transport.client import Client, Endpoint, Pool
from load.users.actor import Actor
from load.users.chat import session
from load.users.hooks import Receiver
from load.users.job import job


def config_for(url: str, *arguments: str) -> Config:
    options: argparse.Namespace = parser().parse_args([url, "--timeout=5", *arguments])
    return read_config(options, url, 5.0)


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
        tally, engine = run_one(config_for(url, "--callback=http://127.0.0.1:0"))
    assert tally.operations["job"].counts["ok"] == 1
    assert "job_poll" not in tally.operations
    assert tally.operations["job_result"].counts["ok"] == 1
    assert 0.15 <= tally.operations["job"].times["e2e"].high < 3
    assert not tally.operations["job"].times["job_queue"].count
    assert engine.receiver.unsigned == 0


def test_a_webhook_that_is_refused_ends_the_run_with_the_reason() -> None:
    with truth() as url:
        config = config_for(url, "--callback=http://127.0.0.1:0")
        operations = {**config.dialect.operations, "register_webhook": config.dialect.operations["get_job"]}
        engine = Engine(replace(config, dialect=replace(config.dialect, operations=operations)), Goodput())
        actor = Actor(engine, Pool(), random.Random(1))
        actor.params = lambda **own: {"job_id": "none", **own}
        with pytest.raises(Stopped):
            job(actor, None)
        engine.close()
    assert engine.stopped.startswith("the target refused the webhook http://127.0.0.1:")
    assert engine.stopped.endswith("NOT_FOUND")


def test_deliveries_for_others_take_a_bounded_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("load.users.hooks.EARLY", 3)
    receiver = Receiver("http://127.0.0.1:0")
    try:
        waiting = gevent.spawn(receiver.wait, "mine", 5.0)
        gevent.sleep(0)
        for number in range(10):
            receiver.told(f"other{number}", float(number))
        receiver.told("mine", 42.0)
        assert waiting.get() == 42.0
        assert receiver.wait("other9", 0.01) == 9.0
        assert receiver.wait("other1", 0.01) is None
    finally:
        receiver.close()


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


MIX = "--mix=job=2,session=1,chat_stream=1"


def served(folder: Path, *arguments: str) -> Run:
    """A run of jobs and conversations with time to think, against the reference over HTTP."""
    database = folder / "state.sqlite"
    with started("reference_impl", "--db", str(database), "--rate-limits", "off", "--token-ms=2",
                 "--webhook-network=127.0.0.0/8") as url:  # fmt: skip
        run = load(folder, url, "--key=sk-demo", MIX, "--users=4", "--duration=3", "--think=0.01:0.1",
                   "--prompt-tokens=uniform:8:24", "--max-output-tokens=16", *arguments, *LAX)  # fmt: skip
        left = httpx.get(f"{url}/webhooks", headers={"Authorization": "Bearer sk-demo"}).json()
    assert run.code == 0, run.out + run.err
    assert left["data"] == []
    operations = run.document["operations"]
    assert all(o["ok"] == o["requests"] for o in operations.values()), run.out
    assert {"job", "job_submit", "session", "chat_stream"} <= operations.keys()
    assert operations["job"]["ok"] <= operations["job_submit"]["ok"]
    return run


def test_jobs_of_the_reference_polled_to_their_end(tmp_path: Path) -> None:
    run = served(tmp_path)
    job = run.document["operations"]["job"]
    assert job["times"]["job_queue"]["count"] == job["times"]["job_run"]["count"] == job["ok"] > 0
    assert job["times"]["job_queue"]["min"] > 0
    assert job["times"]["job_queue"]["max"] <= job["times"]["e2e"]["max"]
    assert run.document["operations"]["job_poll"]["ok"] >= job["ok"]
    assert "job_queue" in run.out


def test_jobs_of_the_reference_awaited_by_webhook(tmp_path: Path) -> None:
    run = served(tmp_path, "--callback=http://127.0.0.1:0")
    operations = run.document["operations"]
    assert operations["job"]["ok"] == operations["job_result"]["ok"] > 0
    assert operations["register_webhook"]["ok"] == 1
    assert "job_poll" not in operations


def test_a_conversation_sends_more_with_each_turn() -> None:
    with truth("--first-ms=1", "--token-ms=1", "--tokens=4") as url:
        engine = Engine(config_for(url, "--turns=3"), Goodput())
        sizes = []
        send = engine.client.send
        engine.client.send = lambda pool, request: (sizes.append(len(request)), send(pool, request))[1]
        actor = Actor(engine, Pool(), random.Random(1))
        for _ in range(4):
            session(actor, None)
        engine.close()
    assert sizes[0] < sizes[1] < sizes[2]
    assert sizes[3] < sizes[1]  # after its turns a new one begins
