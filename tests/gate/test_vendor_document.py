"""A vendor's OpenAPI document and the overlays on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.claims import document_claims
from conformance.vendor_document import DocumentError, apply_overlay, read_document

DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "a", "tags": ["x"]},
    "paths": {
        "/chat": {
            "post": {
                "parameters": [{"name": "Idempotency-Key", "in": "header"}, {"name": "a", "in": "query"}],
                "responses": {"200": {"content": {"text/event-stream": {}}}},
            }
        }
    },
}


def overlaid(*actions: dict[str, Any]) -> dict[str, Any]:
    return apply_overlay(DOCUMENT, {"overlay": "1.0.0", "actions": list(actions)}, "o")


def test_yaml_with_numbers_for_statuses_is_read(tmp_path: Path) -> None:
    path = tmp_path / "api.yaml"
    text = "openapi: 3.0.3\npaths:\n  /c:\n    post:\n      responses:\n        200: {content: {text/event-stream: {}}}\n"
    path.write_text(text, "utf-8")
    assert document_claims(read_document(str(path))) == ("streaming",)


def test_an_overlay_is_laid_over_the_document(tmp_path: Path) -> None:
    (tmp_path / "api.json").write_text(json.dumps(DOCUMENT), "utf-8")
    overlay = "overlay: 1.0.0\ninfo: {title: t, version: '1'}\nactions:\n- {target: \"$.paths..parameters[?@.name=='Idempotency-Key']\", remove: true}\n"
    (tmp_path / "o.yaml").write_text(overlay, "utf-8")
    assert document_claims(read_document(str(tmp_path / "api.json"))) == ("idempotency", "streaming")
    assert document_claims(read_document(str(tmp_path / "api.json"), [tmp_path / "o.yaml"])) == ("streaming",)


def test_an_object_is_merged_and_an_array_appended_to() -> None:
    found = overlaid(
        {"target": "$.info", "update": {"title": "b", "contact": {"name": "c"}, "tags": ["y"]}},
        {"target": "$.paths['/chat'].post.parameters", "update": {"name": "b", "in": "query"}},
    )
    assert found["info"] == {"title": "b", "contact": {"name": "c"}, "tags": ["x", "y"]}
    assert [p["name"] for p in found["paths"]["/chat"]["post"]["parameters"]] == ["Idempotency-Key", "a", "b"]


def test_all_of_an_array_can_be_removed() -> None:
    found = overlaid({"target": "$.paths['/chat'].post.parameters[*]", "remove": True})
    assert found["paths"]["/chat"]["post"]["parameters"] == []


def test_what_selects_nothing_changes_nothing_and_the_original_stays() -> None:
    before = json.dumps(DOCUMENT)
    assert (
        overlaid({"target": "$.nothing", "update": {"a": 1}}, {"target": "$.nothing", "remove": True})
        == DOCUMENT
    )
    overlaid({"target": "$.info", "update": {"title": "z"}})
    assert json.dumps(DOCUMENT) == before


@pytest.mark.parametrize(
    ("overlay", "says"),
    [
        ({}, "is no Overlay 1 document"),
        ({"overlay": "1.0.0", "actions": [{}]}, "o: /actions/0: the key 'target' is missing"),
        ({"overlay": "1.0.0", "actions": [{"target": "$..["}]}, "/actions/0: the target is no JSONPath"),
        (
            {"overlay": "1.0.0", "actions": [{"target": "$", "remove": True}]},
            "whole document cannot be removed",
        ),
        ({"overlay": "1.0.0", "actions": [{"target": "$.info", "update": 3}]}, "an object for an object"),
    ],
)
def test_a_wrong_overlay_names_the_action(overlay: dict[str, Any], says: str) -> None:
    with pytest.raises(DocumentError) as caught:
        apply_overlay(DOCUMENT, overlay, "o")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is neither JSON nor YAML"),
        ("[]", "holds no object"),
        ("swagger: '2.0'\npaths: {}", "is no OpenAPI 3 document with paths"),
        ("openapi: 3.1.0", "is no OpenAPI 3 document with paths"),
    ],
)
def test_a_wrong_document_is_named_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "api.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(DocumentError, match=says) as caught:
        read_document(str(path))
    assert "\n" not in str(caught.value)


def test_a_few_lines_that_say_billions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.yaml"
    levels = [f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 10)}]" for n in range(1, 10)]
    path.write_text("\n".join(["openapi: 3.1.0", "k0: &k0 x", *levels, "paths: {}"]), "utf-8")
    with pytest.raises(DocumentError, match="more than 5,000,000 values"):
        read_document(str(path))


def test_what_cannot_be_had_is_named() -> None:
    with pytest.raises(DocumentError, match="cannot be read: no such file"):
        read_document("/nonexistent.yaml")
    with pytest.raises(DocumentError, match="cannot be fetched"):
        read_document("http://127.0.0.1:1/openapi.json")


@given(
    st.lists(
        st.sampled_from(["$.info", "$.paths", "$..*", "$.paths.*.*.parameters[0]", "$.info.title"]),
        max_size=4,
    )
)
def test_removal_never_breaks(targets: list[str]) -> None:
    found = overlaid(*({"target": t, "remove": True} for t in targets))
    assert isinstance(document_claims(found), tuple)
