"""The parser against a plain transcription of the WHATWG text, on any bytes split in any way."""

from __future__ import annotations

import copy
import pickle
import re
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.wire.sse import SseParser, SseTranscript, parse_sse
from conformance.wire.strict_json import NOT_JSON, parse_json
from conformance.wire.transcript import Noted

FRAGMENTS = [
    *(b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b":", b": ka", b":ka\n\n", b" ", b"  "),
    *(
        b"data",
        b"data:",
        b"data: ",
        b"data:  x",
        b'data: {"a":1}',
        b"data: [DONE]",
        b"event: ping",
        b"event:",
    ),
    *(b"event", b"id: 7", b"id", b"id: a\0b", b"retry: 30", b"retry: 3x", b"retry:", b"Data: x", b"other: y"),
    *(b"\xef\xbb\xbf", b"\xef\xbb", b"\xe2\x82\xac", b"\xe2\x82", b"\xf0\x9f\x98\x80", b"\xff", b"\0", b"a"),
    *("data: \u2028\x0b\x0c\x85".encode(), b"data: x\n\n", b"data: y\r\n\r\n", b"data: z\r\r"),
]
BODIES = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=4), max_size=30).map(b"".join)


@dataclass
class Whatwg:
    """HTML 9.2.6, word for word and without any care for speed."""

    events: list[tuple[str, str, str]]
    retries: list[int]


def whatwg(body: bytes) -> Whatwg:
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="replace")
    data = event_type = last_id = id_buffer = ""
    found = Whatwg([], [])
    for line in re.split("\r\n|\r|\n", text)[:-1]:
        if line == "":
            last_id = id_buffer
            if data == "":
                event_type = ""
                continue
            found.events.append((event_type or "message", data.removesuffix("\n"), last_id))
            data = event_type = ""
            continue
        if line.startswith(":"):
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            event_type = value
        elif field == "data":
            data += value + "\n"
        elif field == "id" and "\0" not in value:
            id_buffer = value
        elif field == "retry" and value and all("0" <= c <= "9" for c in value):
            found.retries.append(int(value))
    return found


def as_whatwg(transcript: SseTranscript) -> list[tuple[str, str, str]]:
    """Our events with the last event id a browser would report for them."""
    last_id, seen = "", []
    for block in sorted([*transcript.events, *transcript.empty_blocks], key=lambda b: b.offset):
        last_id = block.id if block.id is not None else last_id
        if block in transcript.events:
            seen.append((block.event, block.data, last_id))
    return seen


def cut(body: bytes, places: list[int]) -> list[tuple[float, bytes]]:
    edges = [0, *sorted(p % (len(body) + 1) for p in places), len(body)]
    return [(float(n), body[a:b]) for n, (a, b) in enumerate(pairwise(edges))]


def without_times(transcript: SseTranscript) -> object:
    return (
        [(e.event, e.data, e.offset, e.end, e.data_lines, e.named, e.id, e.retry) for e in transcript.events],
        [(c.text, c.offset, c.own_block) for c in transcript.comments],
        [(b.fields, b.offset, b.end, b.event, b.id, b.retry) for b in transcript.empty_blocks],
        transcript.unterminated and (transcript.unterminated.data, transcript.unterminated.offset),
        (transcript.line_endings, transcript.spacing, transcript.unknown_fields, transcript.invalid_utf8),
        (transcript.bom, transcript.stray_blank_lines, transcript.size, transcript.overflow),
    )


@given(BODIES, st.lists(st.integers(0, 500), max_size=12))
@settings(max_examples=600)
def test_dispatches_what_the_standard_says(body: bytes, places: list[int]) -> None:
    transcript = parse_sse(cut(body, places))
    assert as_whatwg(transcript) == whatwg(body).events


@given(BODIES, st.lists(st.integers(0, 500), max_size=12))
@settings(max_examples=600)
def test_a_split_changes_nothing_but_times(body: bytes, places: list[int]) -> None:
    whole = without_times(parse_sse([(0.0, body)]))
    assert without_times(parse_sse(cut(body, places))) == whole
    assert without_times(parse_sse((0.0, body[i : i + 1]) for i in range(len(body)))) == whole


@given(BODIES, st.lists(st.integers(0, 500), max_size=12))
@settings(max_examples=400)
def test_times_are_those_of_the_bytes(body: bytes, places: list[int]) -> None:
    chunks = cut(body, places)
    arrival = [t for t, data in chunks for _ in data]
    transcript = parse_sse(chunks)
    for event in transcript.events:
        assert event.t_first == arrival[event.offset]
        blank = body[event.offset : event.end]
        completes = event.end - (2 if blank.endswith(b"\r\n") and blank[:-2].endswith((b"\r", b"\n")) else 1)
        assert event.t == arrival[completes]
    assert transcript.t_last == (arrival[-1] if arrival else 0.0)


@given(st.binary(max_size=300), st.integers(1, 40), st.integers(0, 4))
@settings(max_examples=300)
def test_no_bytes_and_no_bounds_make_it_raise(body: bytes, max_line: int, max_events: int) -> None:
    body += b"\ndata: more\n\n:c\n\n" * 3
    transcript = parse_sse([(0.0, body)], max_line, max_events)
    assert len(transcript.events) + len(transcript.comments) + len(transcript.empty_blocks) <= max_events
    assert all(len(e.data.encode()) <= 3 * max_line for e in transcript.events)


def test_the_examples_of_the_standard() -> None:
    stream = b"data: YHOO\ndata: +2\ndata: 10\n\n"
    assert [e.data for e in parse_sse([(0.0, stream)]).events] == ["YHOO\n+2\n10"]
    stream = b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event"
    found = parse_sse([(0.0, stream)])
    assert [(e.data, e.id) for e in found.events] == [("first event", "1"), ("second event", "")]
    assert found.unterminated is not None
    assert found.unterminated.data == " third event"
    assert [e.data for e in parse_sse([(0.0, b"data\n\ndata\ndata\n\ndata:")]).events] == ["", "\n"]
    found = parse_sse([(0.0, b"data:test\n\ndata: test\n\n")])
    assert [e.data for e in found.events] == ["test", "test"]
    assert found.spacing == {"none": Noted(1, 0), "one": Noted(1, 11)}


def test_an_event_knows_where_and_when_it_was() -> None:
    chunks = [(1.0, b": hi\nda"), (2.0, b'ta: {"a":'), (3.0, b"1}\n"), (9.0, b"\nrest")]
    (event,) = parse_sse(chunks).events
    assert (event.offset, event.end, event.t_first, event.t) == (5, 20, 1.0, 9.0)
    assert event.json == {"a": 1}
    assert parse_sse(chunks).trailing(event) == 4


def test_a_cr_whose_lf_comes_later_keeps_its_own_time() -> None:
    chunks = [(1.0, b"data: a\r\n\r"), (5.0, b"\ndata: b\r\n\r\n")]
    found = parse_sse(chunks)
    assert [(e.data, e.t) for e in found.events] == [("a", 1.0), ("b", 5.0)]
    assert found.line_endings == {"CRLF": Noted(4, 7)}
    parser = SseParser()
    assert parser.feed(b"data: a\r\r", 1.0) == []
    assert [e.t for e in parser.close(8.0)] == [1.0]


@pytest.mark.parametrize(
    ("stream", "own_block"),
    [
        (b": ka\n\n", [True]),
        (b": ka\ndata: x\n\n", [False]),
        (b"data: x\n: ka\n\n", [False]),
        (b": a\n: b\n\n", [False, True]),
        (b"data: x\n\n: ka\ndata: y\n\n", [False]),
        (b"data: x\n\n: ka", [False]),
        (b"id: 1\n: ka\n\n", [False]),
    ],
)
def test_a_comment_with_its_own_blank_line(stream: bytes, own_block: list[bool]) -> None:
    assert [c.own_block for c in parse_sse([(0.0, stream)]).comments] == own_block


def test_what_a_browser_throws_away_is_noted() -> None:
    stream = b"\xef\xbb\xbfretry: 10\n\nevent: ping\r\n\ndata:   x\nfoo: 1\nfoo\n\n\ndata: \xe2\x82\n\n"
    found = parse_sse([(0.0, stream)])
    assert found.bom
    assert [(b.fields, b.retry, b.event) for b in found.empty_blocks] == [
        (("retry",), 10, None),
        (("event",), None, "ping"),
    ]
    assert found.line_endings.keys() == {"LF", "CRLF"}
    assert found.spacing == {"more": Noted(1, stream.index(b"data:   x")), "one": Noted(1, len(stream) - 10)}
    assert found.unknown_fields == {"foo": Noted(2, stream.index(b"foo"))}
    assert found.invalid_utf8 == (stream.index(b"\xe2"),)
    assert found.stray_blank_lines == 1
    assert [e.data for e in found.events] == ["  x", "�"]


def test_id_and_retry_follow_the_standard() -> None:
    (event,) = parse_sse([(0.0, b"id: 1\nid: 2\0\nretry: 5\nretry: +6\nretry: \xd9\xa7\ndata: x\n\n")]).events
    assert (event.id, event.retry, event.named) == ("1", 5, False)
    (event,) = parse_sse([(0.0, b"retry: " + b"9" * 5000 + b"\nevent: e\ndata: x\n\n")]).events
    assert (event.retry, event.event, event.named) == (None, "e", True)


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (b"data: 1\n\n" + b"data: " + b"x" * 200, "a line is longer than 100 bytes (byte 9)"),
        (b"data: 1\n\n" + b"data: 4567\n" * 50, "an event has more than 100 bytes of data (byte 9)"),
        (b"data: 1\n\n" * 5, "more than 4 events and comments"),
        (b"data: 1\n\n" + b":\n" * 5, "more than 4 events and comments"),
    ],
)
def test_a_bound_that_is_passed_is_named(stream: bytes, said: str) -> None:
    found = parse_sse(((0.0, stream[i : i + 7]) for i in range(0, len(stream), 7)), 100, 4)
    assert found.overflow is not None
    assert found.overflow.startswith(said)
    assert found.events[0].data == "1"
    assert found.size == len(stream)
    assert found.unterminated is None


@pytest.mark.parametrize(
    "data", ["", "[DONE]", "{", "NaN", '{"a": Infinity}', "[" * 100_000, "1" * 5000, "{} {}"]
)
def test_data_that_is_not_json(data: str) -> None:
    (event,) = parse_sse([(0.0, f"data: {data}\n\n".encode())]).events
    assert event.json is NOT_JSON
    assert not event.json


def test_a_long_line_in_small_pieces_costs_no_quadratic_time() -> None:
    parser = SseParser()
    for _ in range(300_000):
        parser.feed(b"xyz", 0.0)  # would copy 135 GB if each piece were joined to the rest
    (event,) = [*parser.feed(b"\ndata: x\n\n", 1.0)]
    assert event.data == "x"


def test_the_sentinel_survives_copies() -> None:
    assert copy.deepcopy(NOT_JSON) is copy.copy(NOT_JSON) is pickle.loads(pickle.dumps(NOT_JSON)) is NOT_JSON
    assert repr(NOT_JSON) == "NOT_JSON"
    assert parse_json(b'"\xc3\xa9"') == "é"
    assert parse_json(b'"\xc3"') is NOT_JSON
    assert parse_json(b"\xef\xbb\xbf{}") is NOT_JSON


def test_input_after_an_overflow_or_the_end_changes_nothing() -> None:
    parser = SseParser(max_line=10)
    assert parser.feed(b"data: " + b"x" * 20, 0.0) == []
    assert parser.feed(b"\n\ndata: y\n\n", 0.0) == []
    assert parser.close(0.0) == []
    assert parser.overflow == "a line is longer than 10 bytes (byte 0)"
    assert parse_sse([]).events == ()
    assert parse_sse([]).unterminated is None


def test_fields_nobody_knows_are_counted_up_to_a_bound() -> None:
    lines = b"".join(b"x-%d: 1\n" % n for n in range(500)) * 2 + b"event: e\ndata: x\n\n"
    found = parse_sse([(0.0, lines)])
    assert len(found.unknown_fields) == 100
    assert found.unknown_fields["x-1"] == Noted(2, 7)
    assert found.events[0].event == "e"


def test_invalid_lines_are_noted_up_to_a_bound() -> None:
    found = parse_sse([(0.0, b"data: \xff\n" * 1500 + b"\n")])
    assert len(found.invalid_utf8) == 1000
    assert found.invalid_utf8[:2] == (6, 14)
