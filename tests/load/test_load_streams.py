"""The fast reader gives what the wire layer and the dialects give, for every byte and every chunking."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.dialects.interpret import read_stream
from conformance.dialects.model import builtin_dialects, load_dialect
from conformance.evidence import Chunk, Exchange, Sent
from conformance.wire.sse import parse_sse
from load.streams.events import read_events
from load.streams.plan import StreamPlan
from load.streams.reader import read_record

CONTRACT = (
    'event: metadata\ndata: {"type":"metadata","id":"c1","model_version":"m","trace_id":"t"}\n\n'
    'data: {"type":"token","token":"Hé ","index":0,"sequence_number":1}\n\n'
    'data: {"type":"token","token":"you","index":1,"sequence_number":2}\n\n'
    'event: done\ndata: {"type":"done","id":"c1","finish_reason":"stop","text":"Hé you",'
    '"metadata":{"model_version":"m","tokens_used":{"input":3,"output":2,"total":5}}}\n\n'
    "data: [DONE]\n\n"
)
OPENAI = (
    'data: {"id":"x","model":"g","choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
    'data: {"id":"x","model":"g","choices":[{"delta":{"content":"Hi"},"finish_reason":null}]}\n\n'
    'data: {"id":"x","model":"g","choices":[{"delta":{"content":[{"type":"text","text":"!"}]}}]}\n\n'
    'data: {"id":"x","model":"g","choices":[{"delta":{},"finish_reason":"eos_token"}]}\n\n'
    'data: {"id":"x","model":"g","choices":[],"usage":{"prompt_tokens":4,"completion_tokens":2,"total_tokens":6}}\n\n'
    "data: [DONE]\n\n"
)
ERRORS = (
    'event: error\ndata: {"type":"error","error":{"code":"UPSTREAM_ERROR","message":"no"}}\n\n',
    'data: {"error":{"message":"slow down","type":"rate_limit_error","code":429}}\n\n',
)
FRAGMENTS = [
    b"data: ", b"data:", b"event: ", b"event:", b"id: 1", b"retry: 5", b": ping", b"\n", b"\n\n", b"\r\n", b"\r",
    b"{}", b'{"token":"x","index":0}', b"[DONE]", b"done", b"error", b"\xff", "é".encode(), b" ", b"null", b"1",
    b"\xef\xbb\xbf", b"x: y", b'{"error":{"code":"A","message":"b"}}', b"NaN", b'[{"token":"x"}]', b"\x00",
]  # fmt: skip


def pieces(body: bytes, cuts: list[int]) -> list[tuple[float, bytes]]:
    places = sorted({0, len(body), *(c % (len(body) + 1) for c in cuts)})
    return [(float(i), body[a:b]) for i, (a, b) in enumerate(pairwise(places), 1)]


bodies = st.one_of(
    st.lists(st.sampled_from(FRAGMENTS), max_size=40).map(b"".join),
    st.binary(max_size=200),
    st.lists(st.sampled_from([*CONTRACT.encode().split(b"\n\n"), *FRAGMENTS]), max_size=12).map(
        lambda blocks: b"\n\n".join(blocks) + b"\n\n"
    ),
)


@settings(deadline=None)
@given(bodies.filter(bool), st.lists(st.integers(0, 1000), max_size=6))
def test_events_are_those_of_the_wire_parser(body: bytes, cuts: list[int]) -> None:
    parts = pieces(body, cuts)
    expected = parse_sse(parts)
    seen = read_events(parts)
    assert seen.names == [e.event for e in expected.events]
    assert seen.data == [e.data for e in expected.events]
    assert seen.times == [e.t for e in expected.events]
    assert seen.ends == [e.end for e in expected.events]
    assert seen.size == expected.size
    if seen.transcript is None:  # plain form: nothing besides the events may have been there
        unseen = [
            expected.comments,
            expected.empty_blocks,
            expected.invalid_utf8,
            expected.bom,
            expected.unterminated,
        ]
        assert not any([*unseen, expected.stray_blank_lines, expected.unknown_fields])
        assert set(expected.line_endings) <= {"LF"}
        assert set(expected.spacing) <= {"one"}


@pytest.mark.parametrize("name", builtin_dialects())
@settings(deadline=None)
@given(data=st.data())
def test_facts_are_those_of_the_dialects(name: str, data: st.DataObject) -> None:
    blocks = [b for text in (CONTRACT, OPENAI, *ERRORS) for b in text.encode().split(b"\n\n") if b]
    chosen = data.draw(
        st.lists(
            st.sampled_from(
                [
                    *blocks,
                    b'event: message_stop\ndata: {"type":"message_stop"}',
                    b'data: {"type":"response.completed","response":{"id":"r"}}',
                    b'data: {"id":""}',
                    b"data: nope",
                    b"data: [1]",
                ]
            )
        )
    )
    body = b"".join(block + b"\n\n" for block in chosen)
    if not body:
        return
    dialect = load_dialect(name)
    exchange = Exchange("e", "p", "", "chat_stream", "main", {}, Sent("POST", ""), 0.0, status=200,
                        headers=(("Content-Type", "text/event-stream"),), chunks=(Chunk(1.0, body),))  # fmt: skip
    expected = read_stream(dialect, exchange)
    seen = read_record(StreamPlan(dialect), [(1.0, body)])
    assert "".join(seen.deltas) == expected.text
    assert [(i, v) for i, v in seen.finishes] == [(f.event, f.value) for f in expected.finishes]
    assert seen.usage == expected.usage
    assert seen.terminals == list(expected.terminals)
    assert seen.invalid == [i for i, _ in expected.invalid]
    assert [i for i, _, _ in seen.errors] == [i for i, _ in expected.errors]
    assert seen.response_ids == {str(p.value) for p in expected.response_ids if p.value != ""}
    assert seen.models == {str(p.value) for p in expected.model_versions if p.value != ""}


def test_a_plain_stream_takes_the_fast_way() -> None:
    for text in (CONTRACT, OPENAI):
        assert read_events([(1.0, text.encode())]).transcript is None


def test_shapes_are_bounded_whatever_a_server_sends() -> None:
    plan = StreamPlan(load_dialect("contract"))
    for i in range(2000):
        plan.shape("message", {f"k{i}": 1})
    assert len(plan._shapes) <= 512
