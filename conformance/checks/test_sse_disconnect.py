"""The client hangs up: generation stops, and nobody else notices."""

from __future__ import annotations

from conformance.checks.stream_evidence import begun
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect

LARGEST_LAG = 0.2  # seconds our own event loop may have stalled where the moment of hanging up matters


@check("SSE-23")
def test_hanging_up_stops_generation(stream_hangup_cost: Probed) -> str:
    """The token limit is charged less than for the whole answer, also after the time that one takes."""
    probe = stream_hangup_cost
    before, between, after = (_remaining(probe[role]) for role in ("before", "between", "after"))
    whole, left = probe["whole"], probe.get("left")
    if left is None:
        raise NotTested(probe.record.reason or "no stream was hung up on")
    if left.exchange.left_at is None:
        raise Inconclusive(f"{left.exchange.id} ended before three events had come")
    output = whole.stream.usage.get("output", 0)
    full, cut = before - between, between - after
    if output < 20 or full < output:
        raise Inconclusive(
            f"the whole answer of {output} output tokens changed the limit by {full}: it tells nothing"
        )
    pieces = len(left.stream.deltas)
    if pieces > output / 4 or left.exchange.lag > LARGEST_LAG:
        raise Inconclusive(f"we hung up late, after {pieces} pieces of text: this machine was busy")
    if cut <= 0:
        raise Inconclusive("nothing was charged for the stream hung up on, or the window ended meanwhile")
    expect(
        cut <= full - output / 2,
        expected=f"clearly fewer tokens than the {full} charged for the whole answer",
        seen=f"{cut} charged for the stream hung up on after {pieces} pieces of text",
        at=left,
    )
    return f"{cut} tokens charged instead of {full}"


@check("SSE-24")
def test_a_disconnect_does_not_disturb_another_stream(
    stream_disconnect: Probed, exchanges: tuple[Reading, ...]
) -> str:
    """The stream beside the one hung up on reaches its terminal."""
    left, stays = stream_disconnect.get("left"), stream_disconnect.get("stays")
    if left is None or stays is None:
        raise NotTested(stream_disconnect.record.reason or "the two streams were not sent")
    for reading in (left, stays):
        if reading.status != 200 or not reading.exchange.is_sse:
            raise Inconclusive(f"{reading.exchange.id} was answered with {reading.status}")
    if left.exchange.left_at is None:
        raise Inconclusive(f"{left.exchange.id} ended before three events had come")
    end = _end(stays)
    cut_at = left.exchange.started_at + left.exchange.left_at
    if end is None or cut_at >= end:
        raise Inconclusive("the other stream had ended before we hung up: the model is too fast")
    if stays.ok and stays.stream.terminals:
        return f"it went on for {end - cut_at:.2f} s and reached {stays.stream.terminal_name}"
    others = [r for r in begun(exchanges) if r.exchange.id != stays.exchange.id]
    if not any(r.ok and r.stream.terminals for r in others):
        raise Inconclusive("no stream of this target reaches its terminal, disturbed or not")
    failure = stays.exchange.failure
    expect(
        False,
        expected=f"{stays.stream.terminal_name} in the stream that we did not leave",
        seen=failure.detail if failure else "a clean end without it",
        at=stays,
        where=f"byte {len(stays.exchange.raw)}",
    )
    return ""


def _remaining(reading: Reading) -> int:
    fact = reading.facts["ratelimit.tokens.remaining"]
    if not fact:
        raise Inconclusive(f"{reading.exchange.id} does not tell how many tokens remain")
    return int(fact.value)


def _end(reading: Reading) -> float | None:
    exchange = reading.exchange
    end = exchange.failure.t if exchange.failure is not None else exchange.t_end
    return None if end is None else exchange.started_at + end
