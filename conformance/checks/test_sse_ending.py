"""How a stream ends: with its terminal, in time, with a finish reason, and never by falling silent."""

from __future__ import annotations

from conformance.checks.stream_evidence import (
    arrivals,
    asked_for_stream,
    begun,
    byte_of,
    encoding_of,
    ended,
    whole,
)
from conformance.checks.stream_times import close_in_time
from conformance.reading import Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, expect

SILENT_FOR_GOOD = 15.0
BROKEN = ("reset", "protocol")


@check("SSE-04")
def test_a_stream_ends_with_its_terminal_exactly_once(streams: tuple[Reading, ...]) -> str:
    """The last event is the terminal, once; a stream that reported an error is SSE-20's matter."""
    judged = [r for r in ended(streams) if not r.stream.errors]
    if not judged:
        raise Inconclusive("every stream reported an error")
    for reading in judged:
        facts, transcript = reading.stream, reading.exchange.sse
        rest = transcript.unterminated
        if not facts.terminals and rest is not None and rest.data == facts.terminal_name:
            continue  # it is there, but without its blank line: SSE-38
        after = f"after finish_reason {facts.finish_reason}" if facts.finishes else "without a finish_reason"
        expect(
            facts.terminals,
            expected=f"{facts.terminal_name} before the end: without it the answer counts as cut off",
            seen=f"a clean end {after}, after {len(transcript.events)} events",
            at=reading,
            where=f"byte {transcript.size}",
        )
        if _ends_with_the_finish_event(reading):
            continue
        expect(
            len(facts.terminals) == 1,
            expected=f"{facts.terminal_name} once",
            seen=f"{len(facts.terminals)} times",
            at=reading,
            where=byte_of(reading, facts.terminals[0]),
        )
        expect(
            facts.terminals[0] == len(transcript.events) - 1,
            expected=f"nothing after {facts.terminal_name}",
            seen=f"{len(transcript.events) - 1 - facts.terminals[0]} more events",
            at=reading,
            where=byte_of(reading, facts.terminals[0]),
        )
    return f"{len(judged)} streams end with {judged[0].stream.terminal_name}"


@check("SSE-05")
def test_the_response_ends_soon_after_the_terminal(exchanges: tuple[Reading, ...]) -> str:
    """At most one second between the terminal and the end of the response."""
    plain = [r for r in begun(exchanges) if not encoding_of(r)]
    finished = [r for r in plain if r.stream.terminals and not r.stream.errors]
    if not finished:
        raise Inconclusive("no stream reached its terminal")
    # A broken one did end; how is SSE-34's matter.
    whole = [r for r in finished if r.exchange.failure is None or r.exchange.failure.kind not in BROKEN]
    worst = close_in_time(((r, r.stream.terminals[-1]) for r in whole), "the terminal")
    return f"{len(finished)} streams end at most {worst * 1000:.0f} ms after it"


@check("SSE-06")
def test_a_stream_carries_one_finish_reason(streams: tuple[Reading, ...]) -> str:
    """At least one before the terminal, and all of them equal."""
    judged = whole(ended(streams))
    for reading in judged:
        finishes, terminal = reading.stream.finishes, reading.stream.terminals[0]
        expect(
            any(f.event <= terminal for f in finishes),
            expected="a finish_reason before the terminal",
            seen="none",
            at=reading,
            where=byte_of(reading, terminal),
        )
        reasons = sorted({str(f.value) for f in finishes})
        expect(
            len(reasons) == 1,
            expected="one finish_reason",
            seen=" and ".join(reasons),
            at=reading,
            where=byte_of(reading, finishes[-1].event),
        )
    return f"{len(judged)} streams carry one"


@check("SSE-34")
def test_a_stream_does_not_break_off(exchanges: tuple[Reading, ...]) -> str:
    """The response body is complete, or an error event came before it broke."""
    started = begun(exchanges)
    broken = [
        (r, r.exchange.failure)
        for r in started
        if r.exchange.failure is not None and r.exchange.failure.kind in BROKEN and not r.stream.errors
    ]
    if len(broken) == 1 and len(started) > 1:
        only = broken[0][0].exchange
        raise Inconclusive(f"1 of {len(started)} streams broke ({only.id}): the network may have done that")
    for reading, failure in broken[:1]:
        expect(
            False,
            expected="the end of the stream: its terminal or an error event",
            seen=f"{len(broken)} of {len(started)} streams broke off: {failure.detail}",
            at=reading,
            where=f"byte {len(reading.exchange.raw)}",
        )
    return f"{len(started)} streams, none broke off"


@check("SSE-36")
def test_a_stream_does_not_fall_silent_for_good(exchanges: tuple[Reading, ...]) -> str:
    """No stream runs into the deadline without a byte in the last 15 seconds, once its text has begun."""
    asked = [r for r in asked_for_stream(exchanges) if r.exchange.left_at is None]
    started = begun(asked)
    late = [
        (r, r.exchange.failure)
        for r in started
        if r.exchange.failure is not None and r.exchange.failure.kind == "timeout_body"
    ]
    unfinished = [(r, f) for r, f in late if not r.stream.terminals and not r.stream.errors]
    for reading, failure in unfinished:
        silence = failure.t - (arrivals(reading)[-1].t if arrivals(reading) else 0.0)
        expect(
            silence < SILENT_FOR_GOOD or not reading.stream.deltas,
            expected="the end of the stream, or further bytes",
            seen=f"silence for the last {silence:.1f} s until the deadline of {failure.t:.0f} s",
            at=reading,
            where=f"byte {len(reading.exchange.raw)}",
        )
    if unfinished:
        raise Inconclusive(f"{len(unfinished)} streams were still running at the deadline")
    return f"{len(started)} streams ended"


def _ends_with_the_finish_event(reading: Reading) -> bool:
    """Whether the grammar has no terminal of its own, so that the finish events stand for it."""
    return reading.dialect.stream.terminal.eof_after is not None
