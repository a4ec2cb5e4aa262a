"""Which replica a call goes to: in turn, a retry always elsewhere, a refused call where it was."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

import pytest
from scripted_api import Answering, Asked, Reply, api, completion

from conformance.dialects.model import load_dialect
from conformance.evidence import Chunk, Exchange, Sent
from conformance.probes.jobs import located_path
from conformance.registry import PROBES, load_all
from conformance.replicas import Replicas, below
from conformance.run import BREAKER, Run, RunStopped
from conformance.session import Ask, Session
from conformance.target import Target
from conformance.turns import Turns
from conformance.wire.http import Wire

BASES = ("http://a:1/v1", "http://b:2/v1", "http://c:3/v1")
ASKED: dict[str, Any] = {"prompt": "Say yes.", "max_output_tokens": 16}


class Turned:
    """The replicas, counted from 1, that successive calls of one probe go to."""

    def __init__(self, count: int) -> None:
        self.seen: list[Exchange] = []
        self.bases = BASES[:count]
        self.turns = Turns(self.bases, self.seen)

    def number(self, sent: Sent) -> int:
        assert sent.url.endswith("/v1/chat")
        found = Replicas(self.bases).number(sent.url)
        assert found is not None
        return found

    def call(self, *, key: str = "", principal: Any = "main", **params: Any) -> int:
        headers = (("Idempotency-Key", key),) if key else ()
        return self.number(self.turns.given(request(headers), params, principal))

    def shared(self, *, key: str = "") -> int:
        headers = (("Idempotency-Key", key),) if key else ()
        return self.number(self.turns.at_first(request(headers), {}))

    def answered(self, number: int, body: bytes) -> None:
        url = f"{self.bases[number - 1]}/jobs"
        self.seen.append(exchange(url, body))


def request(headers: tuple[tuple[str, str], ...] = ()) -> Sent:
    return Sent("POST", f"{BASES[0]}/chat", headers)


def exchange(url: str, body: bytes) -> Exchange:
    sent = Sent("POST", url)
    return Exchange("x0001", "p", "r", "chat", "main", {}, sent, 0.0, status=200, chunks=(Chunk(0.1, body),))


def test_calls_go_to_the_replicas_in_turn() -> None:
    turned = Turned(3)
    assert [turned.call() for _ in range(7)] == [1, 2, 3, 1, 2, 3, 1]


def test_one_replica_gets_each_request_as_it_is() -> None:
    turns, sent = Turns(BASES[:1], []), request((("Idempotency-Key", "k"),))
    assert turns.given(sent, {"job_id": "j"}, "main") is sent
    assert turns.at_first(sent, {}) is sent
    assert turns.together([sent]) == [sent]


@pytest.mark.parametrize(("count", "again"), [(2, [2, 2, 2]), (3, [2, 3, 2])])
def test_a_key_that_is_used_again_goes_elsewhere(count: int, again: list[int]) -> None:
    turned = Turned(count)
    assert turned.call(key="k") == 1
    assert [turned.call(key='"k"'), turned.call(idempotency_key_body="k"), turned.call(key="k")] == again


def test_the_retry_of_a_shared_call_goes_elsewhere() -> None:
    turned = Turned(2)
    assert [turned.shared(key="k"), turned.call(key="k"), turned.call(key="k")] == [1, 2, 2]


def test_after_a_shared_call_the_next_replica_has_its_turn() -> None:
    turned = Turned(3)
    assert [turned.shared(), turned.call(), turned.shared(), turned.call(), turned.call()] == [1, 2, 1, 2, 3]


def test_a_thing_is_looked_at_everywhere_beginning_elsewhere() -> None:
    turned = Turned(2)
    turned.answered(1, b'{"job_id": "job_1"}')
    turned.answered(2, b'{"job_id": "job_2"}')
    looks = [turned.call(job_id=job) for job in ("job_1", "job_2", "job_1", "job_2")]
    assert looks == [2, 1, 1, 2]
    assert [turned.call(), turned.call()] == [1, 2]


def test_an_id_that_nobody_gave_out_changes_nothing() -> None:
    turned = Turned(2)
    assert [turned.call(job_id="job_0"), turned.call(message_id="m0"), turned.call()] == [1, 2, 1]


def test_an_issued_token_is_brought_to_the_first() -> None:
    sent = request((("Authorization", "Bearer issued"),))
    turned = Turned(2)
    assert [turned.number(turned.turns.given(sent, {}, "none")) for _ in range(2)] == [1, 1]
    assert [turned.call(principal="none"), turned.call(principal="none")] == [2, 1]


def test_a_connection_stays_at_one() -> None:
    turned = Turned(2)
    numbers = [[turned.number(s) for s in turned.turns.together([request(), request()])] for _ in range(2)]
    assert numbers == [[1, 1], [2, 2]]


def test_what_lies_below_any_base() -> None:
    assert below(BASES, "http://b:2/v1/jobs/j?x=1#part") == "/jobs/j?x=1"
    assert below(("http://h", "http://h/r2"), "http://h/r2/jobs/j") == "/jobs/j"
    for elsewhere in (
        "http://d:4/v1/jobs/j",
        "http://b:2/v2/jobs/j",
        "http://b:2/v1/../x",
        "https://b:2/v1/j",
    ):
        assert below(BASES, elsewhere) is None


def test_the_longer_of_two_bases_is_meant() -> None:
    replicas = Replicas(("http://h", "http://h/r2"))
    urls = ("http://h/chat", "http://h/r2/chat", "http://h/r22", "http://other/chat")
    assert [replicas.number(url) for url in urls] == [1, 2, 1, None]
    assert replicas.name("http://h/r2/chat?a=b") == "replica 2: http://h/r2"
    assert Replicas(("http://h",)).name("http://h/chat") == ""


# ---- over HTTP


def sent_by(
    act: Callable[[Session, Run], Awaitable[Any]],
    *answering: Answering,
    further: tuple[str, ...] = (),
    **target: Any,
) -> tuple[list[list[Asked]], Run]:
    """What each server was asked by a probe that does ``act``, and its run."""
    runs: list[Run] = []

    async def gather(urls: list[str]) -> None:
        dialect = load_dialect("openai-chat")
        async with Wire() as wire:
            described = Target.create(
                urls[0], "openai-chat", model="m", key="sk-k", replicas=[*urls[1:], *further], **target
            )
            runs.append(Run(described, dialect, wire))
            await act(Session(runs[0], "probe"), runs[0])

    with ExitStack() as stack:
        servers = [stack.enter_context(api(answer)) for answer in answering]
        asyncio.run(gather([url for url, _ in servers]))
    return [asked for _, asked in servers], runs[0]


def test_calls_side_by_side_are_spread_and_each_carries_the_key() -> None:
    async def act(session: Session, _run: Run) -> None:
        await asyncio.gather(*(session.call("chat", "r", **ASKED) for _ in range(6)))

    (first, second), _ = sent_by(act, completion, completion)
    assert [len(first), len(second)] == [3, 3]
    assert {a.headers["authorization"] for a in (*first, *second)} == {"Bearer sk-k"}


def test_a_refused_call_is_sent_again_to_the_replica_that_refused_it() -> None:
    left = [429, 200]

    def refusing(asked: Asked) -> Reply:
        refused = Reply({"error": {"message": "wait"}}, 429, {"retry-after-ms": "20"})
        return refused if left.pop(0) == 429 else completion(asked)

    async def act(session: Session, _run: Run) -> None:
        for _ in range(2):
            await session.call("chat", "r", **ASKED)

    (first, second), run = sent_by(act, completion, refusing)
    assert [len(first), len(second)] == [1, 2]
    assert [e.role for e in run.exchanges] == ["r", "r!429", "r"]


def test_the_budget_holds_for_the_sum() -> None:
    async def act(session: Session, _run: Run) -> None:
        for _ in range(3):
            await session.call("chat", "r", **ASKED)
        with pytest.raises(RunStopped, match="the budget of 3 calls is used up"):
            await session.call("chat", "r", **ASKED)

    (first, second), _ = sent_by(act, completion, completion, max_calls=3)
    assert [len(first), len(second)] == [2, 1]


def test_a_replica_that_is_down_ends_the_run_although_others_answer() -> None:
    async def act(session: Session, run: Run) -> None:
        for _ in range(2 * BREAKER):
            await session.call("chat", "r", **ASKED)
        gone = re.escape(f"replica 2: {run.target.bases[1]} is down: {BREAKER} calls in a row")
        with pytest.raises(RunStopped, match=gone):
            await session.call("chat", "r", **ASKED)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        gone = f"http://127.0.0.1:{listener.getsockname()[1]}"
    (first,), _ = sent_by(act, completion, further=(gone,))
    assert len(first) == BREAKER


def test_shared_calls_stay_one() -> None:
    async def act(session: Session, run: Run) -> None:
        await session.shared("chat", "one", **ASKED)
        await Session(run, "other").shared("chat", "two", **ASKED)

    (first, second), _ = sent_by(act, completion, completion)
    assert [len(first), len(second)] == [1, 0]


def test_raw_requests_and_odd_bodies_take_turns_and_a_kept_connection_has_one() -> None:
    async def act(session: Session, _run: Run) -> None:
        await session.raw("GET", "/nowhere", "raw")
        await session.odd("chat", "odd", b"[]")
        await session.in_turn(Ask("chat", "one", params=ASKED), Ask("chat", "two", params=ASKED))

    (first, second), _ = sent_by(act, completion, completion)
    assert [a.path for a in first] == ["/nowhere", *["/chat/completions"] * 2]
    assert [a.body for a in second] == [[]]


def test_a_redirect_to_another_replica_gets_no_credential() -> None:
    """Also not to one that the tester named: no balancer would do that."""
    place: list[str] = []

    async def act(session: Session, _run: Run) -> None:
        place.append(session.target.bases[1])
        reading = await session.raw("GET", "/here", "r")
        assert reading.exchange.failure is not None
        assert reading.exchange.failure.kind == "redirect_refused"

    def onward(_asked: Asked) -> Reply:
        return Reply(status=307, headers={"Location": f"{place[0]}/there"})

    (first, second), _ = sent_by(act, onward, completion)
    assert [len(first), len(second)] == [1, 0]


@pytest.mark.parametrize(
    ("location", "asked"),
    [
        ("/jobs/job_7", "/jobs/job_7"),
        ("{second}/jobs/job_7", "/jobs/job_7"),
        ("https://balancer.example/jobs/job_7", "/jobs/job_7"),
        ("https://balancer.example/other/job_7", None),
    ],
)
def test_where_a_job_is_may_be_said_of_any_replica_or_of_the_balancer(
    location: str, asked: str | None
) -> None:
    async def act(session: Session, run: Run) -> None:
        run.dialect = load_dialect("contract")
        submitted = await session.raw("POST", "/analyze-document", "submitted")
        assert located_path(session, submitted, "job_7") == asked

    place: list[str] = []

    def accepting(_asked: Asked) -> Reply:
        return Reply({"job_id": "job_7"}, 202, {"Location": location.format(second=place[0])})

    with api(completion) as (second, _):
        place.append(second)

        async def gather(first: str) -> None:
            async with Wire() as wire:
                target = Target.create(first, "contract", replicas=[second])
                run = Run(target, load_dialect("contract"), wire)
                await act(Session(run, "probe"), run)

        with api(accepting) as (first, _):
            asyncio.run(gather(first))


def test_the_baseline_asks_each_further_replica_once() -> None:
    load_all()

    async def act(session: Session, _run: Run) -> None:
        await PROBES["baseline"].function(session)

    asked, run = sent_by(act, completion, completion, completion)
    assert [sum(a.method == "POST" for a in of_one) for of_one in asked] == [1, 1, 1]
    assert [e.role for e in run.exchanges if e.operation == "chat"] == ["chat", "replica 2", "replica 3"]
