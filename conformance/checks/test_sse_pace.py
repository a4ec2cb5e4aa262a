"""The pace of a stream: text as it is generated, no stall, and a sign of life while the model is silent."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from statistics import median

from conformance.checks.stream_evidence import arrivals, begun, encoding_of, is_paced
from conformance.checks.stream_times import NETWORK, Pace, bytes_before, longest_silence, pace_of
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect

KEEP_ALIVE = 15.0
BUSY = 0.2
"""Seconds that our own event loop may have stalled where a keep-alive of less than that bound is missed."""

STALL = 5.0
STALL_RATIO = 20
FASTEST = 5000.0
"""Tokens per second; what comes faster was hardly generated while it came."""

ENOUGH_TOKENS = 40
ENOUGH_WAIT = 0.25
"""Seconds by which a long answer must begin later than a short one before that can mean buffering."""

VISIBLE = 0.02
"""Seconds of text from which on its spread is more than the noise of a timer."""


@check("SSE-15")
def test_a_silent_stream_sends_keep_alives(exchanges: tuple[Reading, ...], stream_silent: Probed) -> str:
    """No silence longer than 15 seconds, nor longer than the target itself declares."""
    longest = 0.0
    for reading in begun(exchanges):
        silence = longest_silence(reading)
        expect(
            silence <= KEEP_ALIVE + NETWORK,
            expected=f"some byte every {KEEP_ALIVE:.0f} s",
            seen=f"{silence:.1f} s without a byte",
            at=reading,
        )
        longest = max(longest, silence)
    provoked = stream_silent.get("silent")
    if provoked is None or not (provoked.ok and provoked.exchange.is_sse):
        if longest > KEEP_ALIVE:
            return f"the longest silence is {longest:.1f} s"
        raise NotTested(
            f"no stream was silent for {KEEP_ALIVE:.0f} s (at most {longest:.1f} s)"
            " and none can be made so: needs a provocation for 'slow_first_token'"
        )
    due = float(stream_silent.notes.get("keep_alive_seconds", KEEP_ALIVE))
    silence, lag = longest_silence(provoked), provoked.exchange.lag
    # What one stall of ours can explain, and a stall of the server's beside it on the same busy machine.
    if lag > BUSY and due + NETWORK < silence <= min(KEEP_ALIVE, due + NETWORK + 2 * lag):
        raise Inconclusive(f"{silence:.1f} s without a byte, but this machine stalled for {lag:.1f} s itself")
    expect(
        silence <= due + NETWORK,
        expected=f"a keep-alive after the {due:g} s that the target declares",
        seen=f"{silence:.1f} s without a byte",
        at=provoked,
    )
    if not provoked.exchange.sse.comments and silence < due:
        raise Inconclusive(f"the stream was silent for only {silence:.1f} s: no keep-alive was due")
    return f"the longest silence is {max(longest, silence):.1f} s"


@check("SSE-16")
def test_text_arrives_while_it_is_generated(stream_pace: Probed) -> str:
    """A long answer comes in pieces over time, not at once after a long wait.

    A server is blamed only if all of it holds: 40 tokens or more, faster than 5000 per second, after a wait that is
    250 ms (and what our own loop stalled) and twice longer than that of a short answer. A model that really is so fast
    cannot also need the longer wait, so the error is that of the network alone: two packets of one stream, 100 ms
    apart at its source, would have to arrive within 8 ms. A buffer of less than 250 ms is not found: INCONCLUSIVE.
    """
    return _judge(stream_pace["long"], stream_pace)


@check("SSE-17")
def test_text_arrives_while_it_is_generated_with_compression_accepted(stream_pace: Probed) -> str:
    """The same with ``Accept-Encoding: gzip, br``."""
    reading = stream_pace["encoded"]
    encoding = encoding_of(reading)
    detail = _judge(reading, stream_pace)
    return f"{detail}; {'encoded with ' + encoding if encoding else 'sent without encoding'}"


@check("SSE-35")
def test_text_does_not_stall_in_the_middle(exchanges: tuple[Reading, ...]) -> str:
    """No gap of more than 5 s that is also 20 times the usual gap."""
    judged, longest = 0, 0.0
    for reading in _plain(exchanges):
        first = reading.stream.deltas[0].t
        times = [c.t for c in arrivals(reading) if c.t >= first]
        if reading.exchange.failure is not None and reading.exchange.failure.kind == "timeout_body":
            times.append(reading.exchange.failure.t)
        gaps = [b - a for a, b in pairwise(times)]
        if len(gaps) < 2:
            continue
        judged += 1
        worst = max(gaps)
        longest = max(longest, worst)
        usual = median(sorted(gaps)[:-1])
        expect(
            worst <= STALL + reading.exchange.lag or worst <= STALL_RATIO * usual,
            expected=f"no pause of more than {STALL:.0f} s once text has begun",
            seen=f"{worst:.1f} s without a byte, where {usual * 1000:.0f} ms is usual",
            at=reading,
            where=f"byte {bytes_before(reading, times[gaps.index(worst) + 1])}",
        )
    if not judged:
        raise Inconclusive("no stream came in more than two pieces")
    return f"the longest pause in {judged} streams is {longest:.2f} s"


def _judge(reading: Reading, probe: Probed) -> str:
    """The verdict on one long stream, against the wait for the first piece of a short one."""
    if not (reading.ok and reading.exchange.is_sse):
        raise Inconclusive(f"{reading.exchange.id} was answered with {reading.status}, not with a stream")
    pace = pace_of(reading)
    if pace is None:
        raise Inconclusive(f"{reading.exchange.id} holds no text")
    if _is_progressive(pace):
        return str(pace)
    short = pace_of(probe["short"])
    if short is None:
        raise Inconclusive(f"{pace}; the short stream, to compare with, holds no text")
    wait = pace.first - short.first
    clearly_buffered = (
        pace.tokens >= ENOUGH_TOKENS
        and pace.span <= pace.tokens / FASTEST
        and wait >= ENOUGH_WAIT + pace.lag + short.lag
        and pace.first >= 2 * short.first
    )
    expect(
        not clearly_buffered,
        expected=(
            f"pieces as they are generated: no more than {FASTEST:.0f} tokens per second after a wait that is"
            f" {ENOUGH_WAIT} s longer than that of a short answer ({short.first * 1000:.0f} ms)"
        ),
        seen=str(pace),
        at=reading,
    )
    raise Inconclusive(f"{pace}: too fast or too short to tell buffering from a fast model")


def _is_progressive(pace: Pace) -> bool:
    """Several moments, spread over more than timer noise, and not merely the packets of one large write."""
    return (
        pace.instants >= 3
        and pace.instants * 10 >= pace.pieces
        and pace.span >= VISIBLE
        and pace.span >= pace.tokens / FASTEST
        and pace.span >= 2 * pace.lag
    )


def _plain(exchanges: Iterable[Reading]) -> list[Reading]:
    """Streams whose pieces can be timed and that no provocation made slow."""
    return [r for r in begun(exchanges) if not is_paced(r) and not encoding_of(r) and r.stream.deltas]
