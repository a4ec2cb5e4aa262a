"""The policies by themselves, where a property says more than an example."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl.engine.base import Message
from reference_impl.engine.tokens import count_messages, count_text, pieces
from reference_impl.exchange import RequestHeaders
from reference_impl.policies.errors import ContractError
from reference_impl.policies.events import PlainEvents, split_blocks
from reference_impl.policies.idempotency import LedgerIdempotency
from reference_impl.policies.negotiation import AcceptHeader, prefers_problem
from reference_impl.policies.parsing import StrictJson
from reference_impl.policies.tracing import parse_traceparent

JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@given(JSON_VALUES, st.booleans(), st.sampled_from([None, 2]))
def test_strict_json_reads_all_json(value: Any, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert StrictJson().parse(text.encode()) == value


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\u0dD8NaN-1e9 \n', max_size=60).map(str.encode))
def test_strict_json_refuses_the_rest_with_a_position(body: bytes) -> None:
    refusal = refused_json(body)
    if refusal is None:
        # What was taken is JSON for anybody.
        assert json.loads(body) == StrictJson().parse(body)
        return
    assert refusal.code == "INVALID_JSON"
    assert 0 <= refusal.details["offset"] <= len(body)
    assert refusal.details["line"] >= 1
    assert refusal.details["column"] >= 1


def refused_json(body: bytes) -> ContractError | None:
    """How the body is refused, or None."""
    try:
        StrictJson().parse(body)
    except ContractError as refusal:
        return refusal
    return None


@given(st.dictionaries(st.text().filter(lambda name: name != "idempotency_key"), JSON_VALUES), st.randoms())
def test_a_fingerprint_ignores_order_spelling_and_the_key(value: dict[str, Any], dice: Any) -> None:
    policy = LedgerIdempotency(60)
    members = list(value.items())
    dice.shuffle(members)
    respelled = json.loads(json.dumps(dict(members), ensure_ascii=True, indent=3))
    respelled["idempotency_key"] = "k"
    assert policy.fingerprint(value) == policy.fingerprint(respelled)


@pytest.mark.parametrize("other", [{"a": 2}, {"a": "1"}, {"a": True}, {"a": [1]}, {"a": 1, "b": None}, {}])
def test_a_fingerprint_tells_payloads_apart(other: dict[str, Any]) -> None:
    policy = LedgerIdempotency(60)
    assert policy.fingerprint({"a": 1}) != policy.fingerprint(other)
    assert policy.fingerprint({"a": 1}) == policy.fingerprint({"a": 1.0})


@pytest.mark.parametrize(
    ("values", "key"),
    [
        (["k"], "k"),
        (['"k"'], "k"),
        ([" k "], "k"),
        ([r'"a\"b\\c"'], 'a"b\\c'),
        (['a"b'], 'a"b'),
        (["with space"], "with space"),
    ],
)
def test_a_key_is_read_bare_or_quoted(values: list[str], key: str) -> None:
    headers = RequestHeaders([(b"Idempotency-Key", value.encode()) for value in values])
    assert LedgerIdempotency(60).key(headers, {}) == key


@pytest.mark.parametrize(
    "values", [[""], ['"'], [r'"\x"'], ['"a" b'], ["a", "b"], ["a", "a"], ["\x7f"], ["\xe9"]]
)
def test_a_malformed_key_is_refused(values: list[str]) -> None:
    headers = RequestHeaders([(b"idempotency-key", value.encode("latin-1")) for value in values])
    with pytest.raises(ContractError) as refused:
        LedgerIdempotency(60).key(headers, {})
    assert refused.value.code == "IDEMPOTENCY_KEY_INVALID"


@pytest.mark.parametrize(
    ("value", "trace_id"),
    [
        (f"00-{TRACE}-{SPAN}-01", TRACE),
        (f"00-{TRACE}-{SPAN}-00", TRACE),
        (f"01-{TRACE}-{SPAN}-01", TRACE),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-brings", TRACE),
        (f"00-{TRACE}-{SPAN}-01-extra", None),
        (f"cc-{TRACE}-{SPAN}-01x", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE[:-1]}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}", None),
        (f"00-{TRACE}-{SPAN}-1", None),
        ("", None),
    ],
)
def test_traceparent_is_read_as_w3c_says(value: str, trace_id: str | None) -> None:
    assert parse_traceparent(value) == trace_id


@given(st.text(max_size=80))
def test_no_traceparent_is_an_error(value: str) -> None:
    assert parse_traceparent(value) is None


@pytest.mark.parametrize(
    ("accept", "media_type", "accepted"),
    [
        ([], "application/json", True),
        (["*/*"], "text/event-stream", True),
        (["application/*"], "application/json", True),
        (["application/*"], "text/event-stream", False),
        (["application/json;q=0"], "application/json", False),
        (["application/json;q=0, */*"], "application/json", False),
        (["text/html, */*;q=0.1"], "application/json", True),
        (["text/html", "application/json"], "application/json", True),
        (["Application/JSON; charset=utf-8"], "application/json", True),
        (["application/problem+json"], "application/json", True),
        (["nonsense"], "application/json", False),
    ],
)
def test_accept_is_taken_at_its_word(accept: list[str], media_type: str, accepted: bool) -> None:
    assert AcceptHeader().accepts(accept, media_type) is accepted


@pytest.mark.parametrize(
    ("accept", "problem"),
    [
        ([], False),
        (["*/*"], False),
        (["application/problem+json"], True),
        (["application/problem+json, application/json"], True),
        (["application/json, application/problem+json;q=0.5"], False),
        (["application/problem+json;q=0"], False),
    ],
)
def test_problem_documents_are_sent_to_those_who_ask(accept: list[str], problem: bool) -> None:
    assert prefers_problem(accept) is problem


@given(st.text())
def test_pieces_are_the_text_and_as_many_as_its_tokens(text: str) -> None:
    assert "".join(pieces(text)) == text
    if text.strip():
        assert len(pieces(text)) == count_text(text)


@given(st.text(), st.text())
def test_longer_input_never_has_fewer_tokens(text: str, more: str) -> None:
    short, long = Message("user", text), Message("user", f"{text} {more}")
    assert count_messages([long]) >= count_messages([short])


@given(st.lists(st.dictionaries(st.text(), st.text()), max_size=5))
def test_recorded_streams_split_into_their_blocks(values: list[dict[str, str]]) -> None:
    writer = PlainEvents()
    blocks = [*(writer.event(value, name="x") for value in values), writer.done()]
    assert split_blocks(b"".join(blocks)) == blocks
