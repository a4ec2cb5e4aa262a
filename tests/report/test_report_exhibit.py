"""Bytes as a reader may see them: bounded, harmless, the right place marked."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.report.exhibit import Shown, excerpt, show
from conformance.report.outline import outline

STREAM = b'event: token\r\ndata: {"a":1}\n\n'


def marked(shown: Shown | None) -> str:
    assert shown is not None
    return "".join(p.text for p in shown.pieces if p.marked)


def text(shown: Shown) -> str:
    return "".join(p.text for p in shown.pieces)


def test_a_byte_is_marked_to_the_end_of_its_line() -> None:
    assert marked(show(STREAM, ["byte 15"])) == 'ata: {"a":1}'
    assert marked(show(STREAM, ["byte 12"])) == "\\r"
    assert marked(show(STREAM, ["byte 13"])) == "\\n\n"


def test_a_byte_after_the_last_marks_the_end() -> None:
    assert marked(show(b"abc", ["byte 3"])) == "end of body"


def test_a_place_inside_a_character_marks_the_whole_character() -> None:
    assert marked(show("aé".encode(), ["byte 2"])) == "é"


def test_bytes_that_are_not_utf_8_become_escapes() -> None:
    shown = show(b"a long enough text \xff\xfe and more", ["byte 19"])
    assert "\\xff\\xfe" in text(shown)
    assert [p.text for p in shown.pieces if p.control] == ["\\xff\\xfe"]


def test_direction_and_control_characters_become_escapes() -> None:
    shown = show("safe \u202egpj.exe\x1b[31m\u200b\n".encode())
    assert text(shown) == "safe \\u202egpj.exe\\x1b[31m\\u200b\n"


def test_a_pointer_marks_its_value_in_an_indented_body() -> None:
    body = b'{"error":{"code":"X","n":1.00,"code":"Y","a/b":[true,{"c":"\\u00e9"}]}}'
    assert marked(show(body, ["/error/code"])) == '"Y"'
    assert marked(show(body, ["/error/n"])) == "1.00"
    assert marked(show(body, ["/error/a~1b/1/c"])) == '"\\u00e9"'
    assert show(body).form == "json"


def test_a_pointer_to_nothing_marks_the_nearest_parent_and_says_so() -> None:
    shown = show(b'{"error":{"code":"X"}}', ["/error/request_id"])
    assert marked(shown) == "{"
    assert shown.missing == ("/error/request_id",)


def test_a_byte_in_a_json_body_marks_it_as_it_was_sent() -> None:
    shown = show(b'{"a": 1}', ["byte 6", "/a"])
    assert text(shown) == '{"a": 1}'
    assert marked(shown).startswith("1")


def test_a_long_body_is_cut_and_says_by_how_much() -> None:
    body = b"".join(b"line %06d\n" % i for i in range(20_000))
    shown = show(body, ["byte 120000"], head=500, around=100)
    assert marked(shown) == "line 010000"
    assert "bytes not shown" in text(shown)
    assert len(text(shown)) < 2500
    assert shown.size == len(body) == shown.left_out + len("".join(p.text for p in shown.pieces if not p.gap))


def test_what_is_not_text_becomes_a_hex_dump() -> None:
    shown = show(bytes(range(256)) * 40, ["byte 5000"])
    assert shown.form == "hex"
    assert marked(shown) == f"{5000 % 256:02x} "
    assert f"{5000 // 16 * 16:08x}" in text(shown)
    assert len(text(shown)) < 6000


def test_an_excerpt_is_only_what_surrounds_the_place() -> None:
    body = STREAM * 100
    found = excerpt(body, "byte 1400")
    assert found is not None
    assert len(text(found)) < 900
    assert excerpt(body, "header Retry-After") is None
    assert excerpt(b"", "byte 0") is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda v: st.lists(v) | st.dictionaries(st.text(), v),
    )
)
def test_an_outline_says_the_same_and_finds_every_value(value: object) -> None:
    body = json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")
    found = outline(body)
    assert found is not None
    assert json.loads(found.data) == value
    for pointer, (start, end) in found.spans.items():
        raw_start, raw_end = found.raw_spans[pointer]
        assert json.loads(found.data[start:end]) == json.loads(body[raw_start:raw_end]) == at(value, pointer)


def at(value: object, pointer: str) -> object:
    for step in pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        value = value[int(step)] if isinstance(value, list) else value[step]  # type: ignore[index]
    return value


@given(st.binary(max_size=400), st.integers(0, 500), st.integers(0, 300), st.integers(0, 60))
def test_any_bytes_are_shown_without_a_hidden_character(
    body: bytes, place: int, head: int, around: int
) -> None:
    shown = show(body, [f"byte {place}", "/a"], head=head, around=around)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\ud800-\udfff]", text(shown))
    assert shown.size == len(body)


@pytest.mark.parametrize("body", [b"[" * 5000 + b"]" * 5000, b"[" * 100_000, b'{"a":' * 3000])
def test_a_deep_document_is_shown_as_it_is(body: bytes) -> None:
    assert show(body, ["/0/0"]).form == "text"
