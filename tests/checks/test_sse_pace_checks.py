from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest
from building import answer, gathered
from sample_streams import BOTH, contract_events, openai_events, sent

from conformance.checks import test_sse_pace as checks
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotTested, Violation

WORDS = tuple(f"word{n} " for n in range(100))
Timed = list[tuple[float, bytes]]


def _events(speaks: str, words: tuple[str, ...] = WORDS) -> list[bytes]:
    return contract_events(words) if speaks == "contract" else openai_events(words)


def _at(events: list[bytes], start: float, step: float) -> Timed:
    return [(start + n * step, e) for n, e in enumerate(events)]


def _probe(speaks: str, long: Timed, role: str = "long", **more: Any) -> Probed:
    short = _at(_events(speaks, ("a ", "b ", "c ")), 0.05, 0.01)
    return gathered(
        "stream_pace",
        _stream(speaks, short, role="short"),
        _stream(speaks, long, role=role, **more),
    )


def _stream(speaks: str, timed: Timed, **more: Any) -> Reading:
    return sent(speaks, timed, **more)


@pytest.mark.parametrize("speaks", BOTH)
@pytest.mark.parametrize(("start", "step"), [(0.05, 0.01), (4.0, 0.001), (0.2, 0.3)])
def test_sse_16_passes_text_that_comes_over_time(speaks: str, start: float, step: float) -> None:
    detail = checks.test_text_arrives_while_it_is_generated(_probe(speaks, _at(_events(speaks), start, step)))
    assert "100 tokens" in detail


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_16_names_text_that_comes_at_once_after_a_long_wait(speaks: str) -> None:
    for timed in (_at(_events(speaks), 1.0, 0.0), [(1.0, b"".join(_events(speaks)))]):
        with pytest.raises(Violation, match="within 0 ms, the first after 1000 ms"):
            checks.test_text_arrives_while_it_is_generated(_probe(speaks, timed))


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_16_does_not_blame_a_fast_model(speaks: str) -> None:
    """Everything at once, but no later than a short answer; a short answer after a wait; our own stall."""
    check = checks.test_text_arrives_while_it_is_generated
    for probe in (
        _probe(speaks, _at(_events(speaks), 0.06, 0.0)),
        _probe(speaks, _at(_events(speaks), 0.06, 0.00005)),
        _probe(speaks, _at(_events(speaks, WORDS[:20]), 1.0, 0.0)),
        _probe(speaks, _at(_events(speaks), 1.0, 0.0), lag=0.9),
    ):
        with pytest.raises(Inconclusive):
            check(probe)


def test_sse_16_is_undecided_about_a_few_large_writes() -> None:
    events = _events("contract")
    bursts = [(t, b"".join(events[n : n + 26])) for t, n in ((0.3, 0), (0.7, 26), (1.1, 52), (1.5, 78))]
    with pytest.raises(Inconclusive, match="4 moments"):
        checks.test_text_arrives_while_it_is_generated(_probe("contract", bursts))


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_17_judges_the_arrival_of_encoded_bytes(speaks: str) -> None:
    check = checks.test_text_arrives_while_it_is_generated_with_compression_accepted
    headers = {"Content-Encoding": "gzip"}
    flushing = zlib.compressobj(wbits=31)
    flushed = [
        (t, flushing.compress(e) + flushing.flush(zlib.Z_SYNC_FLUSH))
        for t, e in _at(_events(speaks), 0.05, 0.01)
    ]
    flushed.append((flushed[-1][0], flushing.flush()))
    assert "encoded with gzip" in check(_probe(speaks, flushed, role="encoded", headers=headers))
    whole = gzip.compress(b"".join(_events(speaks)))
    held_back = [(0.05, whole[:10]), (1.0, whole[10:-8]), (1.0, whole[-8:])]
    with pytest.raises(Violation, match="the first after 1000 ms"):
        check(_probe(speaks, held_back, role="encoded", headers=headers))
    plain = _probe(speaks, _at(_events(speaks), 0.05, 0.01), role="encoded")
    assert "without encoding" in check(plain)


def test_a_refused_stream_says_nothing_about_pace() -> None:
    probe = gathered("stream_pace", answer({}, status=400, operation="chat_stream", role="long"))
    with pytest.raises(Inconclusive, match="400"):
        checks.test_text_arrives_while_it_is_generated(probe)


def _silent(*chunks: tuple[float, bytes], keep_alive: float = 10.0) -> Probed:
    notes = {"keep_alive_seconds": keep_alive}
    return gathered("stream_silent", _stream("contract", list(chunks), role="silent"), notes=notes)


def test_sse_15_asks_for_a_keep_alive_as_often_as_declared() -> None:
    head, *rest = contract_events()
    ordinary = (sent("contract", contract_events()),)
    kept = _silent((0.01, head), (10.1, b": keep-alive\n"), (11.5, b"".join(rest)))
    assert "10.1 s" in checks.test_a_silent_stream_sends_keep_alives(ordinary, kept)
    silent = _silent((0.01, head), (11.5, b"".join(rest)))
    with pytest.raises(Violation, match=r"11\.5 s without a byte"):
        checks.test_a_silent_stream_sends_keep_alives(ordinary, silent)
    quick = _silent((0.01, head), (0.1, b"".join(rest)))
    with pytest.raises(Inconclusive):
        checks.test_a_silent_stream_sends_keep_alives(ordinary, quick)


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_15_judges_long_silence_wherever_it_happens(speaks: str) -> None:
    events = _events(speaks)
    nothing = gathered("stream_silent", outcome="skipped", reason="no provocation")
    late = _stream(speaks, [(20.0, b"".join(events))])
    with pytest.raises(Violation, match=r"20\.0 s without a byte"):
        checks.test_a_silent_stream_sends_keep_alives((late,), nothing)
    with pytest.raises(NotTested, match="slow_first_token"):
        checks.test_a_silent_stream_sends_keep_alives((sent(speaks, events),), nothing)


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_35_names_a_stall_in_the_middle_of_the_text(speaks: str) -> None:
    check = checks.test_text_does_not_stall_in_the_middle
    events = _events(speaks, WORDS[:10])
    stalled = [*_at(events[:5], 0.05, 0.02), *_at(events[5:], 10.15, 0.02)]
    with pytest.raises(Violation, match=r"10\.0 s without a byte") as raised:
        check((_stream(speaks, stalled),))
    assert raised.value.where == f"byte {sum(map(len, events[:5]))}"


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_35_allows_slow_models_thinking_and_provoked_delays(speaks: str) -> None:
    check = checks.test_text_does_not_stall_in_the_middle
    events = _events(speaks, WORDS[:10])
    slow = _stream(speaks, _at(events, 0.05, 6.0))
    thinking = _stream(speaks, [(0.05, events[0]), *_at(events[1:], 12.0, 0.02)])
    assert check((slow, thinking))
    stalled = [*_at(events[:5], 0.05, 0.02), *_at(events[5:], 10.15, 0.02)]
    with pytest.raises(Inconclusive):
        check((_stream(speaks, stalled, params={"sandbox": {"scenario": "slow_tokens"}}),))
