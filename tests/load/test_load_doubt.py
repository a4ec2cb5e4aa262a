"""What would be an accusation of a server that did nothing wrong: our own bounds, our own clock, our own requests."""

from __future__ import annotations

from time import perf_counter, sleep

import pytest

from conformance.dialects.model import load_dialect
from conformance.evidence import Exchange, Sent
from conformance.target import Target
from conformance.wire.sse import MAX_EVENTS
from load.answers import judge_error
from load.calls import Called, Caller
from load.gate import Gate
from load.ledger import Ledger
from load.observation import Observation
from load.transport.client import Client, Endpoint
from load.transport.exchange import Reply

URL = "http://127.0.0.1:9/v1"
TOKEN = b'data: {"type":"token","token":"a","index":0}\n\n'
DONE = b'event: done\ndata: {"type":"done","finish_reason":"stop","text":"a"%b}\n\ndata: [DONE]\n\n'
USAGE = b',"metadata":{"tokens_used":{"input":3,"output":1}}'


def caller() -> Caller:
    return Caller(load_dialect("contract"), Target.create(URL, "contract"), Client(Endpoint("127.0.0.1", 9)))


def finished(by: Caller, body: bytes, failure: str | None = None, **headers: str) -> Called:
    """A stream of this body, judged."""
    reply = Reply()
    reply.status, reply.failure = 200, failure
    reply.headers = [(b"content-type", b"text/event-stream")]
    reply.headers += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    reply.pieces, reply.size, reply.t_end = [(1.0, body)], len(body), 1.0
    called = Called(Observation("chat_stream", 1.0, status=200), reply, Sent("POST", URL), start=0.5)
    by.finish(called)
    return called


def broken(called: Called) -> set[str]:
    return {b.requirement for b in called.seen.broken}


def test_a_stream_beyond_our_bounds_is_not_one_without_an_end() -> None:
    called = finished(caller(), b": x\n\n" * (MAX_EVENTS + 1) + TOKEN + DONE % USAGE)
    assert called.seen.code == "too_large"
    assert not called.seen.truncated
    assert broken(called) == set()
    assert not finished(caller(), TOKEN, failure="too_large").seen.truncated


def test_a_compressed_stream_is_not_judged_by_its_compressed_bytes() -> None:
    called = finished(caller(), b"\x1f\x8b\x08\x00\xff\xfe\n", content_encoding="gzip")
    assert called.seen.code == "content-encoding gzip"
    assert broken(called) == set()
    assert called.seen.judged == ("SSE-01",)
    assert finished(caller(), TOKEN + DONE % USAGE, content_encoding="identity").seen.ok


def test_usage_is_demanded_of_a_server_that_reports_it() -> None:
    by = caller()
    assert "SSE-07" not in finished(by, TOKEN + DONE % b"").seen.judged
    assert "SSE-07" in finished(by, TOKEN + DONE % USAGE).seen.judged
    assert broken(finished(by, TOKEN + DONE % b"")) == {"SSE-07"}


def test_a_look_that_is_overdue_counts_as_lag() -> None:
    client = Client(Endpoint("127.0.0.1", 9))
    assert client.lag == 0.0
    client.start()
    try:
        import gevent

        gevent.sleep(0.01)
        sleep(0.3)  # the loop stands still: its sweep has not noticed yet
        assert client.lag >= 0.2
    finally:
        client.stop()


@pytest.mark.parametrize(("size", "verdict"), [(32, (1, 1)), (200, (0, 0))])
def test_room_for_a_small_request_is_no_promise_to_a_larger_one(size: int, verdict: tuple[int, int]) -> None:
    ledger = Ledger()
    gate = Gate(ledger, exclusive=True)
    for _ in range(2):
        gate.refuse(0.0, 32)
        may_go, scout = gate.enter(perf_counter() + 5)
        assert may_go
        assert scout
        gate.scouted(refused=True, accepted=False, clean=gate.is_clean(size), exchange="x")
    record = ledger.record("RATE-04")
    assert (record.judged, record.broken) == verdict


def test_a_429_that_its_status_classifies_names_what_happened() -> None:
    """As the suite judges it: without a code of its own it is ERR-19's matter, not also RATE-26's."""
    body = b'{"error":{"message":"slow down"}}'
    from conformance.evidence import Chunk

    exchange = Exchange("e", "load", "", "chat", "main", {}, Sent("POST", URL), 0.0, status=429,
                        headers=(("Content-Type", "application/json"), ("Retry-After", "1")),
                        chunks=(Chunk(0.1, body),))  # fmt: skip
    _, judged, faults = judge_error(load_dialect("openai-chat"), exchange)
    assert "RATE-26" in judged
    assert {f.requirement for f in faults} == {"ERR-19"}
