"""JSONPath: the walk of simple paths gives what the library gives, and places are JSON Pointers."""

from __future__ import annotations

from typing import Any

import jsonpath_rfc9535 as jsonpath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.dialects.paths import compile_path, pointer

KEYS = st.sampled_from(["a", "b", "a/b", "m~n", "", "0", "é", "'", '"', "\\"])
STEPS = st.lists(KEYS | st.integers(-3, 3), max_size=4)
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
JSON = st.recursive(
    LEAVES, lambda x: st.lists(x, max_size=3) | st.dictionaries(KEYS, x, max_size=4), max_leaves=12
)


def _text(steps: list[str | int]) -> str:
    quoted = (
        s if isinstance(s, int) else "'" + s.replace("\\", "\\\\").replace("'", "\\'") + "'" for s in steps
    )
    return "$" + "".join(f"[{q}]" for q in quoted)


@settings(deadline=None)  # the machine may be busy
@given(STEPS, JSON)
def test_walking_a_simple_path_gives_what_the_library_gives(steps: list[str | int], document: Any) -> None:
    path = compile_path(_text(steps))
    assert path.steps == tuple(steps)
    expected = [(pointer(n.location), n.value) for n in jsonpath.find(_text(steps), document)]
    assert path.find(document) == expected


@settings(deadline=None)  # the machine may be busy
@given(STEPS, JSON)
def test_a_pointer_leads_to_the_selected_value(steps: list[str | int], document: Any) -> None:
    for where, value in compile_path(_text(steps)).find(document) + compile_path("$..*").find(document):
        assert _follow(document, where) == value


def _follow(document: Any, where: str) -> Any:
    """RFC 6901 section 4, independently of the code under test."""
    for part in where.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        document = document[int(name)] if isinstance(document, list) else document[name]
    return document


def test_a_path_that_is_not_simple_goes_through_the_library() -> None:
    path = compile_path("$.content[?@.type == 'text'].text")
    assert path.steps is None
    document = {"content": [{"type": "text", "text": "a"}, {"type": "x"}, {"type": "text", "text": "b"}]}
    assert path.find(document) == [("/content/0/text", "a"), ("/content/2/text", "b")]
    assert path.where == "$.content[?@.type == 'text'].text"


def test_where_a_simple_path_would_find_something() -> None:
    assert compile_path("$.choices[0]['a/b']").where == "/choices/0/a~1b"


@pytest.mark.parametrize("text", ["$.a[", "a.b", "$.a b", "$[?@.a ==]", "", "$.."])
def test_a_path_that_is_no_jsonpath_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match="is not a JSONPath") as caught:
        compile_path(text)
    assert "\n" not in str(caught.value)
    assert text in str(caught.value)


def test_a_document_deeper_than_the_library_descends_has_no_such_node() -> None:
    document: Any = {"x": 1}
    for _ in range(2000):
        document = {"a": document}
    assert compile_path("$..x").find(document) == []


@pytest.mark.parametrize(("value", "there"), [(None, False), (False, True), (0, True), ({}, True)])
def test_null_is_no_value(value: Any, there: bool) -> None:
    assert compile_path("$.error").has_value({"error": value}) is there
