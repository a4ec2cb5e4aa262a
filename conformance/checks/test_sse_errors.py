"""Errors of streaming requests: before the first event by status, after it by one error event."""

from __future__ import annotations

from conformance.checks.stream_evidence import begun, byte_of, encoding_of, typed
from conformance.checks.stream_times import close_in_time
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect


@check("SSE-19")
def test_errors_known_before_the_first_event_use_the_status(stream_invalid: Probed) -> str:
    """An invalid streaming request is not answered with a 200 that holds only an error, or nothing."""
    refused = 0
    for reading in stream_invalid.some():
        if reading.status == 429:
            continue  # refused for another reason
        if reading.status is None or not 200 <= reading.status < 300:
            refused += reading.status is not None and 400 <= reading.status < 600
            continue
        if not reading.exchange.is_sse:
            expect(
                reading.error.code is None and not reading.error.raw_code,
                expected="the status of the error, 4xx",
                seen=f"status {reading.status} and an error in its body",
                at=reading,
            )
            continue
        facts = reading.stream
        expect(
            facts.deltas or not facts.errors,
            expected="the status of the error, 4xx",
            seen=f"status {reading.status} and a stream that holds only an error event",
            at=reading,
            where=byte_of(reading, facts.errors[0][0]) if facts.errors else "",
        )
        expect(
            reading.exchange.sse.events,
            expected="the status of the error, 4xx, or an answer",
            seen=f"status {reading.status} and a stream without any event",
            at=reading,
        )
    if not refused:
        raise Inconclusive("the target accepts an unknown model and messages that are no list")
    return f"{refused} invalid streaming requests are refused by status"


@check("SSE-20")
def test_a_failing_stream_says_so_in_one_error_event(stream_fault: Probed) -> str:
    """One error with code and message, no text after it, and no ``stop``."""
    reading = _faulty(stream_fault)
    facts = reading.stream
    expect(
        len(facts.errors) == 1,
        expected="one error event",
        seen=f"{len(facts.errors)} error events, finish_reason {facts.finish_reason}",
        at=reading,
    )
    place, error = facts.errors[0]
    expect(
        (error.raw_code or error.type) and error.message,
        expected="an error with a code and a message",
        seen=reading.exchange.sse.events[place].data,
        at=reading,
        where=byte_of(reading, place),
    )
    later = [d for d in facts.deltas if d.event > place]
    expect(
        not later,
        expected="no text after the error",
        seen=f"{len(later)} more pieces of text",
        at=reading,
        where=byte_of(reading, later[0].event) if later else "",
    )
    expect(
        "stop" not in {f.value for f in facts.finishes},
        expected="no finish_reason stop in a stream that failed",
        seen="stop",
        at=reading,
    )
    return f"{error.code or error.raw_code.value} after {len(facts.deltas)} pieces of text"


@check("SSE-21")
def test_the_error_event_is_a_block_of_its_own(stream_fault: Probed) -> str:
    """Every event of the failing stream parses, and nothing is left behind the last."""
    reading = _faulty(stream_fault)
    facts, rest = reading.stream, reading.exchange.sse.unterminated
    for index, message in facts.invalid[:1]:
        expect(
            False,
            expected="one JSON value in each event",
            seen=f"{reading.exchange.sse.events[index].data[:120]!r} ({message})",
            at=reading,
            where=byte_of(reading, index),
        )
    expect(
        rest is None,
        expected="a blank line after the error event",
        seen=f"{rest.data[:120]!r} without one" if rest else "",
        at=reading,
        where=f"byte {rest.offset}" if rest else "",
    )
    if not facts.errors:
        raise Inconclusive("the failing stream holds no error event: SSE-20")
    place = facts.errors[0][0]
    expect(
        all(d.event != place for d in facts.deltas),
        expected="nothing but the error in its event",
        seen="text in the same event",
        at=reading,
        where=byte_of(reading, place),
    )
    return f"event {place} is the error alone"


@check("SSE-22")
def test_the_response_ends_soon_after_an_error_event(exchanges: tuple[Reading, ...]) -> str:
    """At most one second between the error and the end of the response."""
    failing = [r for r in begun(exchanges) if r.stream.errors and not encoding_of(r)]
    if not failing:
        raise NotTested("no stream reported an error: needs a provocation for 'fault_midstream'")
    worst = close_in_time(((r, r.stream.errors[0][0]) for r in failing), "the error event")
    return f"{len(failing)} failing streams end at most {worst * 1000:.0f} ms after the error"


@check("SSE-40")
def test_a_failing_stream_carries_no_terminal(exchanges: tuple[Reading, ...]) -> str:
    """Neither ``done`` nor ``[DONE]`` in a stream with an error."""
    failing = [r for r in begun(exchanges) if r.stream.errors]
    if not failing:
        raise NotTested("no stream reported an error: needs a provocation for 'fault_midstream'")
    for reading in failing:
        done = [index for index, _ in typed(reading, "done")]
        found = sorted((*reading.stream.terminals, *done))
        expect(
            not found,
            expected="neither done nor the terminal in a stream that failed",
            seen=reading.exchange.sse.events[found[0]].data[:80] if found else "",
            at=reading,
            where=byte_of(reading, found[0]) if found else "",
        )
    return f"none in {len(failing)} failing streams"


def _faulty(probe: Probed) -> Reading:
    reading = probe["fault"]
    if not (reading.ok and reading.exchange.is_sse):
        raise Inconclusive(f"the fault was answered with {reading.status} before the stream began")
    return reading
