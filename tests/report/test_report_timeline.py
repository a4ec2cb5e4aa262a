"""Pictures on a time axis: what is drawn where, and never too much of it."""

from __future__ import annotations

import report_samples as samples

from conformance.dialects.model import load_dialect
from conformance.evidence import Exchange
from conformance.reading import Reading
from conformance.report.timeline import (
    LEFT,
    MAX_CALLS,
    RIGHT,
    WIDTH,
    Axis,
    limit_pictures,
    seconds,
    stream_picture,
)


def reading(exchange: Exchange) -> Reading:
    return Reading(exchange, load_dialect("contract"))


def test_a_stream_has_a_lane_per_kind_and_a_silence() -> None:
    picture = stream_picture(reading(samples.exchanges()[1]))
    assert picture is not None
    lanes = {lane.label for lane in picture.lanes}
    assert lanes == {"27 chunks", "24 tokens", "1 control event", "1 comment", "2 terminals"}
    assert [gap.label for gap in picture.gaps] == ["1.15 s"]
    assert picture.caption.startswith(
        "27 events in 27 chunks, first byte after 120 ms, first token after 300 ms"
    )
    assert picture.end_x is not None
    assert picture.gaps[0].x + picture.gaps[0].width < picture.end_x


def test_a_stream_that_came_at_once_says_so() -> None:
    picture = stream_picture(reading(samples.stream("x0002", (0.8, b"".join(samples.TOKENS)))))
    assert picture is not None
    assert picture.caption == (
        "24 events in 1 chunk, first byte after 800 ms, first token after 800 ms, last byte after 800 ms."
    )
    assert picture.gaps == ()


def test_what_is_no_stream_has_no_picture() -> None:
    assert stream_picture(reading(samples.exchange("x0001"))) is None
    assert stream_picture(reading(samples.stream("x0002", (0.1, b""), chunks=()))) is None


def test_ten_thousand_events_make_a_small_picture() -> None:
    chunks = ((i / 1000, samples.TOKENS[0]) for i in range(10_000))
    picture = stream_picture(reading(samples.stream("x0002", *chunks)))
    assert picture is not None
    assert sum(len(lane.path) for lane in picture.lanes) < 12_000
    assert picture.lanes[1].label == "10,000 tokens"


def test_a_burst_shows_each_call_and_the_wait_it_was_told() -> None:
    (picture,) = limit_pictures([reading(e) for e in samples.exchanges()])
    assert [call.label for call in picture.calls] == ["200"] * 5 + ["429", "429", "200"]
    assert [call.kind for call in picture.calls].count("limited") == 2
    refused = picture.calls[5]
    assert refused.wait_label == "wait 2 s"
    assert refused.wait_x == refused.x + refused.width
    assert refused.wait_x + refused.wait_width < picture.calls[7].x
    assert not refused.cut
    assert picture.caption == "8 requests, 2 refused with 429. Asked to wait: 2 s."


def test_a_long_wait_does_not_flatten_the_burst() -> None:
    calls = [
        samples.exchange(
            f"x{i:04}",
            samples.LIMITED,
            status=429,
            started_at=samples.STARTED + i / 10,
            headers=(("Retry-After", "86400"),),
        )
        for i in range(100)
    ]
    (picture,) = limit_pictures([reading(c) for c in calls])
    assert len(picture.calls) == MAX_CALLS
    assert picture.caption.endswith("The first 40 are drawn.")
    assert all(call.cut for call in picture.calls)
    assert picture.calls[-1].x - picture.calls[0].x > (WIDTH - LEFT - RIGHT) / 5
    assert all(c.wait_x + c.wait_width <= WIDTH - RIGHT for c in picture.calls)


def test_calls_that_met_no_limit_are_no_picture() -> None:
    assert limit_pictures([reading(samples.exchange(f"x{i:04}")) for i in range(5)]) == ()


def test_an_axis_has_a_few_round_ticks() -> None:
    for span in (0.001, 0.05, 0.33, 1.0, 2.72, 9.99, 31.0, 600.0):
        ticks = Axis(span).ticks()
        assert 3 <= len(ticks) <= 8
        assert ticks[0].label == "0"
        assert all(LEFT <= t.x <= WIDTH - RIGHT for t in ticks)


def test_times_are_said_as_people_say_them() -> None:
    assert [seconds(t) for t in (0, 0.0804, 0.9999, 1.234, 14.23, 600)] == [
        "0", "80.4 ms", "1 s", "1.23 s", "14.2 s", "600 s",
    ]  # fmt: skip
