"""The contract's own stream: its events, its numbers, its headers, its keep-alive."""

from __future__ import annotations

from typing import Any

from conformance.checks.stream_evidence import byte_of, ended, typed, whole
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect

HEADERS = ("X-Request-Id", "API-Version", "RateLimit", "RateLimit-Policy")
CONTROL = ("metadata", "done", "error")
LARGE = 262_144


@check("SSE-03")
def test_tokens_are_counted_and_joined_make_the_final_text(streams: tuple[Reading, ...]) -> str:
    """``token`` and ``index`` in every token event; joined they are ``done.text``."""
    tokens = 0
    judged = whole(_chats(streams))
    for reading in judged:
        pieces = typed(reading, "token")
        for n, (index, data) in enumerate(pieces):
            expect(
                isinstance(data.get("token"), str) and data.get("index") == n,
                expected=f"token (string) and index {n}",
                seen=data,
                at=reading,
                where=byte_of(reading, index),
            )
        joined, final = "".join(data["token"] for _, data in pieces), _done(reading).get("text")
        expect(
            joined == final,
            expected=f"the joined tokens, {joined[-120:]!r}, as text of done",
            seen=final if not isinstance(final, str) else final[-120:],
            at=reading,
        )
        tokens += len(pieces)
    return f"{tokens} tokens in {len(judged)} streams"


@check("SSE-26")
def test_sequence_numbers_begin_at_0_and_grow_by_1(streams: tuple[Reading, ...]) -> str:
    """No number is missing or repeated."""
    for reading in ended(_chats(streams)):
        numbers = reading.stream.sequence_numbers
        expect(numbers, expected="sequence_number in JSON events", seen="none", at=reading)
        for n, placed in enumerate(numbers):
            expect(
                placed.value == n,
                expected=f"sequence_number {n}",
                seen=placed.value,
                at=reading,
                where=byte_of(reading, placed.event),
            )
    return f"in {len(streams)} streams"


@check("SSE-29")
def test_a_streamed_answer_has_the_operational_headers(streams: tuple[Reading, ...]) -> str:
    """Request id, version and limits are in the head of a stream as well."""
    for reading in ended(_chats(streams)):
        missing = [name for name in HEADERS if not reading.header(name)]
        expect(
            not missing,
            expected=f"the headers {', '.join(HEADERS)}",
            seen=f"no {', no '.join(missing)}",
            at=reading,
            where=f"header {missing[0]}" if missing else "",
        )
    return f"{len(streams)} streams"


@check("SSE-30")
def test_a_client_that_accepts_only_json_gets_json_or_406(stream_not_accepted: Probed) -> str:
    """The event stream is not forced on it."""
    reading = stream_not_accepted["json_only"]
    if reading.status == 406:
        return "406"
    if not reading.ok:
        raise Inconclusive(f"{reading.exchange.id} was answered with {reading.status}")
    expect(
        reading.exchange.media_type == "application/json",
        expected="application/json or 406",
        seen=f"{reading.status} {reading.header('content-type')}",
        at=reading,
        where="header Content-Type",
    )
    return "JSON"


@check("SSE-31")
def test_a_turn_stream_needs_credentials_and_no_prompt_in_its_url(turn_streams: Probed) -> str:
    """401 without a key; the URL holds no word of the prompt."""
    posted = _accepted(turn_streams)
    url = str(posted.body.get("stream_url", ""))
    words = {w.strip(".") for w in str(posted.exchange.params["prompt"]).split() if len(w) > 8}
    expect(
        url and not any(w in url for w in words),
        expected="stream_url without text of the prompt",
        seen=url or "no stream_url",
        at=posted,
        where="/stream_url",
    )
    bare = turn_streams["without_key"]
    expect(bare.status == 401, expected="401 without credentials", seen=bare.status, at=bare)
    return "401 without credentials, and an opaque URL"


@check("SSE-33")
def test_an_event_of_256_kb_passes_unbroken(stream_large_event: Probed) -> str:
    """One word of 262144 letters comes back in one piece, or at least whole."""
    reading = stream_large_event.get("large")
    if reading is None:
        raise NotTested(stream_large_event.record.reason or "the large event was not asked for")
    if reading.status != 200:
        raise Inconclusive(f"the request of {LARGE} letters was answered with {reading.status}")
    failure, transcript = reading.exchange.failure, reading.exchange.sse
    largest = max((len(e.data) for e in transcript.events), default=0)
    expect(
        failure is None and transcript.overflow is None and reading.stream.terminals,
        expected="the whole stream",
        seen=failure.detail if failure else f"it ended after {transcript.size} bytes without its terminal",
        at=reading,
        where=f"byte {transcript.size}",
    )
    expect(
        not reading.stream.invalid,
        expected="one JSON value in each event",
        seen=f"an event of {largest} bytes that does not parse",
        at=reading,
    )
    text = reading.stream.text.strip()
    if not text or set(text) != {"x"} or largest < LARGE // 2:
        raise Inconclusive(f"the model did not give the word back: the largest event has {largest} bytes")
    expect(len(text) == LARGE, expected=f"{LARGE} letters", seen=f"{len(text)} letters", at=reading)
    return f"the largest event has {largest} bytes"


@check("SSE-39")
def test_a_keep_alive_is_one_comment_line(exchanges: tuple[Reading, ...]) -> str:
    """No blank line of its own."""
    streams = [r for r in exchanges if r.status == 200 and r.exchange.is_sse]
    comments = 0
    for reading in streams:
        for comment in reading.exchange.sse.comments:
            expect(
                not comment.own_block,
                expected="a comment line and no blank line of its own",
                seen=f"comment {comment.text[:40]!r} and a blank line",
                at=reading,
                where=f"byte {comment.offset}",
            )
            comments += 1
    if not comments:
        raise NotTested("no stream was silent for long enough to be kept alive by a comment")
    return f"{comments} comments in {len(streams)} streams"


@check("SSE-41")
def test_the_first_event_is_metadata(streams: tuple[Reading, ...]) -> str:
    """It names id, request_id, trace_id and model_version."""
    judged = ended(_chats(streams))
    for reading in judged:
        events = reading.exchange.sse.events
        first: Any = events[0].json if events else None
        expect(
            isinstance(first, dict) and first.get("type") == "metadata",
            expected="an event of type metadata first",
            seen=events[0].data[:120] if events else "no event",
            at=reading,
            where="byte 0",
        )
        missing = [
            n for n in ("id", "request_id", "trace_id", "model_version") if not isinstance(first.get(n), str)
        ]
        expect(
            not missing,
            expected="id, request_id, trace_id and model_version",
            seen=f"no {', no '.join(missing)}",
            at=reading,
            where=byte_of(reading, 0),
        )
        replayed = reading.header("idempotency-replayed") is not None
        if reading.exchange.operation == "chat_stream" and not replayed:
            expect(
                first["request_id"] == reading.header("x-request-id"),
                expected=f"request_id {reading.header('x-request-id')}, as in the header",
                seen=first["request_id"],
                at=reading,
                where=byte_of(reading, 0),
            )
    return f"{len(judged)} streams begin with it"


@check("SSE-42")
def test_events_are_named_after_their_type_and_done_is_complete(streams: tuple[Reading, ...]) -> str:
    """Tokens are unnamed, control events named; ``done`` is the last JSON event and complete."""
    judged = ended(_chats(streams))
    for reading in judged:
        for kind in ("token", *CONTROL):
            for index, _ in typed(reading, kind):
                event = reading.exchange.sse.events[index]
                name = event.event if event.named else None
                wanted = None if kind == "token" else kind
                expect(
                    name == wanted,
                    expected=f"{kind} events {'without a name' if wanted is None else f'named {wanted}'}",
                    seen=f"event name {name!r}",
                    at=reading,
                    where=byte_of(reading, index),
                )
    complete = whole(judged)
    for reading in complete:
        done = _done(reading)
        wrong = [
            name
            for name, kind in (("id", str), ("finish_reason", str), ("text", str), ("metadata", dict))
            if not isinstance(done.get(name), kind)
        ]
        expect(
            not wrong,
            expected="done with id, finish_reason, text and metadata",
            seen=f"no usable {', '.join(wrong)}",
            at=reading,
            where=byte_of(reading, typed(reading, "done")[-1][0]),
        )
    return f"{len(judged)} streams, {len(complete)} of them whole"


@check("SSE-43")
def test_a_turn_is_generated_once_and_then_replayed(turn_streams: Probed) -> str:
    """The second GET gives the same id and text."""
    _accepted(turn_streams)
    first, again = turn_streams["first"], turn_streams["again"]
    for reading in (first, again):
        if not (reading.ok and reading.exchange.is_sse and reading.stream.terminals):
            raise Inconclusive(f"{reading.exchange.id}: no whole stream, status {reading.status}")
    one, two = _done(first), _done(again)
    for name in ("id", "text"):
        expect(
            one.get(name) == two.get(name),
            expected=f"the {name} of the first time, {one.get(name)!r}",
            seen=two.get(name),
            at=again,
        )
    return f"{len(first.stream.deltas)} tokens, the same twice"


def _chats(streams: tuple[Reading, ...]) -> tuple[Reading, ...]:
    return tuple(r for r in streams if r.exchange.operation in ("chat_stream", "turn_stream"))


def _done(reading: Reading) -> dict[str, Any]:
    """The ``done`` event of a whole stream, which must be its last JSON event."""
    found = typed(reading, "done")
    last = max((i for kind in ("token", *CONTROL) for i, _ in typed(reading, kind)), default=-1)
    expect(
        found and found[-1][0] == last,
        expected="done as the last JSON event",
        seen="none" if not found else f"event {last} after it",
        at=reading,
    )
    return found[-1][1]


def _accepted(probe: Probed) -> Reading:
    posted = probe["posted"]
    if posted.status != 202:
        raise Inconclusive(f"the deferred turn was answered with {posted.status}")
    return posted
