"""DOC checks on recorded bytes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from building import answer, gathered

from conformance.checks import test_doc as doc
from conformance.reading import Probed, Reading
from conformance.verdict import Violation

TARGET = {"base_url": "http://127.0.0.1:8000/api/v1"}
DESCRIPTION: dict[str, Any] = {
    "openapi": "3.2.0",
    "info": {"title": "t", "version": "1.0.0"},
    "servers": [{"url": "/api/v1"}],
    "paths": {
        "/chat": {
            "post": {
                "operationId": "chat",
                "summary": "Answer a conversation.",
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {"$ref": "#/components/schemas/Question"},
                            "examples": {"short": {"$ref": "#/components/examples/short"}},
                        }
                    }
                },
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {"schema": {"type": "object"}, "example": {"id": "chat_1"}},
                            "text/event-stream": {"itemSchema": {}},
                        }
                    },
                    "404": {"$ref": "#/components/responses/NotFound"},
                },
            }
        },
        "/models/{model_id}": {
            "get": {"operationId": "getModel", "summary": "One model.", "responses": {"204": {}}}
        },
    },
    "components": {
        "schemas": {
            "Question": {"properties": {"text": {"$ref": "#/components/schemas/Text"}}},
            "Text": {"type": "string"},
        },
        "examples": {"short": {"dataValue": {"text": "Hi"}}},
        "responses": {"NotFound": {"content": {"application/json": {"example": {"error": {}}}}}},
    },
}


def described(document: Any, version: str = "1.0.0") -> Probed:
    return gathered(
        "self_description",
        answer(document, role="public:description"),
        answer({"contract_version": version}, role="public:capabilities"),
    )


def changed(*path: str, to: Any) -> Any:
    """The description with one place replaced, or removed where ``to`` is None."""
    document = copy.deepcopy(DESCRIPTION)
    place = document
    for name in path[:-1]:
        place = place[name]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return document


def called(method: str, path: str, **more: Any) -> Reading:
    return answer({}, method=method, path=path, **more)


def test_doc_01_wants_the_operations_that_ran() -> None:
    ran = (
        called("POST", "/api/v1/chat"),
        called("GET", "/api/v1/models/atlas-1?x=1"),
        called("GET", "/nowhere", status=404),
        called("GET", "/elsewhere", operation="raw"),
    )
    assert "2 operations" in doc.test_the_description_served_is_the_one_that_runs(
        described(DESCRIPTION), ran, TARGET
    )
    for bad in (called("GET", "/api/v1/chat"), called("GET", "/api/v1/errors")):
        with pytest.raises(Violation, match="described"):
            doc.test_the_description_served_is_the_one_that_runs(described(DESCRIPTION), (bad,), TARGET)
    for document, version in (
        (DESCRIPTION, "1.1.0"),
        ("<html>", "1.0.0"),
        (changed("openapi", to="2.0"), "1.0.0"),
    ):
        with pytest.raises(Violation):
            doc.test_the_description_served_is_the_one_that_runs(described(document, version), ran, TARGET)


CHAT = ("paths", "/chat", "post")
REQUEST = (*CHAT, "requestBody", "content", "application/json")


def test_doc_03_wants_summaries_and_examples() -> None:
    assert "2 operations, 2 examples" in doc.test_every_operation_has_a_summary_and_valid_examples(
        described(DESCRIPTION)
    )


@pytest.mark.parametrize(
    "document",
    [
        changed(*CHAT, "summary", to=None),
        changed(*REQUEST, "examples", to=None),
        changed(*CHAT, "responses", "200", "content", to={"application/json": {"schema": {}}}),
        changed("components", "responses", "NotFound", "content", "application/json", to={"schema": {}}),
        changed("components", "examples", "short", "dataValue", to={"text": 1}),
        changed("components", "examples", to={}),
        changed("paths", to={}),
        changed("paths", to=[]),
        changed(*REQUEST, "schema", to={"$ref": "#/components/schemas/Nowhere"}),
        changed(*REQUEST, "schema", to={"type": "strng"}),
        changed(*REQUEST, "schema", to={"properties": {"text": {"pattern": "("}}}),
        changed(*CHAT, "responses", "404", "$ref", to="#/components/responses/Nowhere"),
    ],
)
def test_doc_03_finds_what_is_missing_or_wrong(document: Any) -> None:
    with pytest.raises(Violation):
        doc.test_every_operation_has_a_summary_and_valid_examples(described(document))


MODEL = {
    "id": "atlas-1-2026-06-01",
    "aliases": ["atlas-1"],
    "pinned": True,
    "context_window": 32768,
    "max_output_tokens": 4096,
    "prices": {
        "currency": "USD",
        "input_per_million": "0.50",
        "output_per_million": 1.5,
        "price_version": "2026-11",
    },
    "capabilities": ["chat"],
    "released_at": "2026-06-01T00:00:00Z",
    "deprecated_at": None,
    "sunset_at": None,
    "successor": None,
}


def listed(*models: Any, single: Any = None) -> Probed:
    readings = [answer({"data": list(models), "next_cursor": None}, role="models")]
    readings += [answer(single, role="model")] if single is not None else []
    return gathered("self_description", *readings)


def test_doc_07_wants_every_member_of_every_model() -> None:
    doc.test_the_model_list_tells_what_a_caller_must_know(listed(MODEL, MODEL | {"id": "b"}, single=MODEL))
    for bad in (
        listed(),
        listed(MODEL, MODEL),
        listed({k: v for k, v in MODEL.items() if k != "successor"}),
        listed(MODEL | {"context_window": True}),
        listed(MODEL | {"context_window": 0}),
        listed(MODEL | {"id": ""}),
        listed(MODEL | {"prices": MODEL["prices"] | {"input_per_million": "free"}}),
        listed(MODEL | {"prices": {}}),
        listed(MODEL, single=MODEL | {"pinned": False}),
        listed("atlas-1"),
    ):
        with pytest.raises(Violation):
            doc.test_the_model_list_tells_what_a_caller_must_know(bad)


def test_doc_09_wants_method_and_calibration() -> None:
    def declared(confidence: Any) -> Probed:
        body = {"capabilities": {"confidence": confidence}}
        return gathered("self_description", answer(body, role="public:capabilities"))

    doc.test_the_confidence_is_explained(declared({"method": "softmax", "calibrated": False}))
    for bad in (None, {"method": "softmax"}, {"method": "", "calibrated": True}, {"calibrated": True}):
        with pytest.raises(Violation):
            doc.test_the_confidence_is_explained(declared(bad))
