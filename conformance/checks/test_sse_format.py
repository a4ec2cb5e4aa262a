"""The bytes of a stream: media type, JSON, UTF-8, line ends, blocks without data."""

from __future__ import annotations

from conformance.checks.stream_evidence import asked_for_stream, byte_of, ended
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect

REPLACEMENT = "\ufffd"


@check("SSE-01")
def test_a_streamed_answer_has_the_media_type_of_an_event_stream(exchanges: tuple[Reading, ...]) -> str:
    """Every 2xx answer to a request for a stream is ``text/event-stream``."""
    asked = [r for r in asked_for_stream(exchanges) if r.status is not None]
    if not asked:
        raise NotTested("no request for a stream was answered")
    answers = [r for r in asked if r.status is not None and 200 <= r.status < 300]
    if not answers:
        statuses = ", ".join(sorted({str(r.status) for r in asked}))
        raise Inconclusive(f"all {len(asked)} requests for a stream were refused with status {statuses}")
    for reading in answers:
        expect(
            reading.exchange.is_sse,
            expected="Content-Type text/event-stream",
            seen=reading.header("content-type") or "no Content-Type",
            at=reading,
            where="header Content-Type",
        )
        charset = _charset(reading.header("content-type") or "")
        expect(
            charset in ("", "utf-8", "utf8"),
            expected="no charset but utf-8, the only one an event stream can have",
            seen=charset,
            at=reading,
            where="header Content-Type",
        )
    return f"{len(answers)} streamed answers are text/event-stream"


@check("SSE-02")
def test_each_event_is_one_json_value_or_a_known_literal(streams: tuple[Reading, ...]) -> str:
    """The data of each event parses."""
    events = 0
    for reading in ended(streams):
        for index, message in reading.stream.invalid[:1]:
            data = reading.exchange.sse.events[index].data
            expect(
                False,
                expected="one JSON value, or a literal of the format",
                seen=f"{data[:120]!r} ({message})",
                at=reading,
                where=byte_of(reading, index),
            )
        events += len(reading.exchange.sse.events)
    if not events:
        raise Inconclusive("the streams hold no event")
    return f"{events} events in {len(streams)} streams parse"


@check("SSE-09")
def test_streams_are_utf8_and_no_character_is_replaced(
    exchanges: tuple[Reading, ...], stream_unicode: Probed
) -> str:
    """Strict UTF-8 everywhere; what the model gives back of a Japanese text is intact."""
    streams = [r for r in exchanges if r.ok and r.exchange.is_sse and r.exchange.left_at is None]
    for reading in ended(streams):
        bad = reading.exchange.sse.invalid_utf8
        expect(
            not bad,
            expected="valid UTF-8",
            seen=f"{len(bad)} lines that are not",
            at=reading,
            where=f"byte {bad[0]}" if bad else "",
        )
    reading = stream_unicode["unicode"]
    if not (reading.ok and reading.exchange.is_sse):
        raise Inconclusive(f"{reading.exchange.id}: the Unicode text was answered with {reading.status}")
    text, prompt = reading.stream.text, str(reading.exchange.params.get("prompt", ""))
    if REPLACEMENT in text and not _given_back(text, prompt):
        raise Inconclusive("the text has U+FFFD, but the model did not give the text back: it may be its own")
    expect(
        REPLACEMENT not in text,
        expected="the characters of the text",
        seen=f"{text.count(REPLACEMENT)} times U+FFFD in {text[:100]!r}",
        at=reading,
    )
    asked = {c for c in prompt if ord(c) > 0x7F}
    came_back = asked & set(text)
    if not came_back:
        raise Inconclusive("the streams are valid, but the model gave no character beyond ASCII back")
    return f"{len(streams)} streams are valid UTF-8; {len(came_back)} of {len(asked)} characters came back"


@check("SSE-10")
def test_a_stream_has_no_byte_order_mark(streams: tuple[Reading, ...]) -> str:
    """The first bytes are not EF BB BF."""
    for reading in ended(streams):
        expect(
            not reading.exchange.sse.bom,
            expected="no byte order mark",
            seen="EF BB BF",
            at=reading,
            where="byte 0",
        )
    return f"none in {len(streams)} streams"


@check("SSE-11")
def test_a_stream_uses_one_kind_of_line_end(streams: tuple[Reading, ...]) -> str:
    """LF, or CRLF, or CR: never mixed."""
    kinds: set[str] = set()
    for reading in ended(streams):
        ends = reading.exchange.sse.line_endings
        kinds |= set(ends)
        expect(
            len(ends) <= 1,
            expected="one kind of line end",
            seen=", ".join(f"{n.count} {k}" for k, n in ends.items()),
            at=reading,
            where=f"byte {max((n.offset for n in ends.values()), default=0)}",
        )
    if not kinds:
        raise Inconclusive("the streams hold no line")
    return f"{' and '.join(sorted(kinds))} throughout {len(streams)} streams"


@check("SSE-12")
def test_data_lines_have_one_space_after_the_colon(streams: tuple[Reading, ...]) -> str:
    """``data: `` and then the value."""
    lines = 0
    for reading in ended(streams):
        for kind, noted in reading.exchange.sse.spacing.items():
            seen = f"{noted.count} data lines with {'no' if kind == 'none' else 'more than one'} space"
            expect(kind == "one", expected="one space", seen=seen, at=reading, where=f"byte {noted.offset}")
            lines += noted.count
    if not lines:
        raise Inconclusive("the streams hold no data line")
    return f"{lines} data lines"


@check("SSE-13")
def test_no_block_has_fields_but_no_data(streams: tuple[Reading, ...]) -> str:
    """No lone ``retry``, ``event`` or ``id``."""
    for reading in ended(streams):
        for block in reading.exchange.sse.empty_blocks[:1]:
            expect(
                False,
                expected="data in every block",
                seen=f"a block of only {', '.join(block.fields)}",
                at=reading,
                where=f"byte {block.offset}",
            )
    return f"none in {len(streams)} streams"


@check("SSE-14")
def test_no_blank_line_without_data_follows_an_id(streams: tuple[Reading, ...]) -> str:
    """After an ``id`` the OpenAI SDK takes every such blank line for an event."""
    with_id = 0
    for reading in ended(streams):
        transcript = reading.exchange.sse
        ids = [e.offset for e in transcript.events if e.id is not None]
        with_id += bool(ids)
        after = [c for c in transcript.comments if c.own_block and ids and c.offset > ids[0]]
        for comment in after[:1]:
            expect(
                False,
                expected="a comment without a blank line of its own in a stream with id",
                seen=f"comment {comment.text[:40]!r} and a blank line",
                at=reading,
                where=f"byte {comment.offset}",
            )
        expect(
            not (ids and transcript.stray_blank_lines),
            expected="no blank line that ends nothing in a stream with id",
            seen=f"{transcript.stray_blank_lines} of them",
            at=reading,
        )
    return f"{with_id} of {len(streams)} streams send an id"


@check("SSE-38")
def test_the_last_event_too_ends_with_a_blank_line(streams: tuple[Reading, ...]) -> str:
    """Nothing is left that a strict parser throws away."""
    for reading in ended(streams):
        rest = reading.exchange.sse.unterminated
        expect(
            rest is None,
            expected="a blank line after the last event",
            seen=f"{rest.data[:60]!r} at the end without one" if rest else "",
            at=reading,
            where=f"byte {rest.offset}" if rest else "",
        )
    return f"{len(streams)} streams end with a blank line"


def _given_back(text: str, prompt: str) -> bool:
    """Whether what is left between the replaced characters is, for the most part, text of the prompt."""
    pieces = [p.strip() for p in text.split(REPLACEMENT)]
    known = sum(len(p) for p in pieces if len(p) >= 3 and p in prompt)
    return known >= 5 and known * 2 >= sum(map(len, pieces))


def _charset(content_type: str) -> str:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower()
    return ""
