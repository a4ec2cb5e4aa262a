"""Examples are promises too: each one is valid, and there is one for every body and every error code."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from bodies import Body, bodies, errors, event_json, stream_events

from spec.document import load_document, operations, resolve
from spec.errors import ERRORS

DOCUMENT = load_document()
BODIES = list(bodies(DOCUMENT))
JSON_BODIES = [b for b in BODIES if b.media_type.endswith("json")]
STREAMS = [b for b in BODIES if b.media_type == "text/event-stream"]
EVENT = {"$ref": "#/components/schemas/StreamEvent"}


@pytest.mark.parametrize("body", BODIES, ids=lambda b: b.where)
def test_every_body_has_an_example(body: Body) -> None:
    assert body.examples(DOCUMENT)


@pytest.mark.parametrize("body", JSON_BODIES, ids=lambda b: b.where)
def test_every_example_is_valid(body: Body) -> None:
    for name, example in body.examples(DOCUMENT).items():
        assert errors(DOCUMENT, body.media["schema"], example["value"]) == [], name


@pytest.mark.parametrize("body", STREAMS, ids=lambda b: b.where)
def test_every_event_of_a_stream_example_is_valid(body: Body) -> None:
    for example in body.examples(DOCUMENT).values():
        events = stream_events(example["serializedValue"])
        assert [errors(DOCUMENT, body.media["itemSchema"], event) for event in events] == [[] for _ in events]
        *parsed, last = events
        assert last == {"data": "[DONE]"}
        assert [errors(DOCUMENT, EVENT, event_json(event)) for event in parsed] == [[] for _ in parsed]
        told = [event_json(event) for event in parsed]
        if body.where.startswith("streamJobEvents"):
            assert [e["sequence_number"] for e in told] == [1, 2]
            assert [event["id"] for event in parsed] == ["1", "2"]
            continue
        assert [e["sequence_number"] for e in told] == list(range(len(told)))
        assert [e["type"] for e in told] == [event.get("event", "token") for event in parsed]
        assert told[-1]["text"] == "".join(e["token"] for e in told if e["type"] == "token")


def test_three_operations_stream_and_show_it() -> None:
    assert [b.where.split()[0] for b in STREAMS] == ["chat", "streamTurn", "streamJobEvents"]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "token", "token": 7, "index": 0, "sequence_number": 1},
        {"type": "token", "token": "a", "sequence_number": 1},
        {"type": "done", "sequence_number": 2, "id": "chat_1", "finish_reason": "stop", "text": ""},
        {"type": "error", "sequence_number": 2, "error": {"code": "nope"}},
        {"type": "metadata", "sequence_number": 0},
        {"token": "a"},
        [],
    ],
)
def test_a_wrong_event_is_refused(event: Any) -> None:
    assert errors(DOCUMENT, EVENT, event)


def test_an_event_of_a_later_version_is_let_through() -> None:
    assert errors(DOCUMENT, EVENT, {"type": "citation", "source": "doc_1"}) == []


def test_parameters_and_headers_have_valid_examples() -> None:
    components = DOCUMENT["components"]
    described = {**components["parameters"], **components["headers"]}
    for name, given in described.items():
        assert errors(DOCUMENT, given["schema"], given["example"]) == [], name


@pytest.mark.parametrize("key", ["k", "a b", '"quoted"', '"with \\" and \\\\"', "x" * 255, f'"{"x" * 255}"'])
def test_idempotency_keys_come_bare_or_quoted(key: str) -> None:
    assert errors(DOCUMENT, DOCUMENT["components"]["parameters"]["IdempotencyKey"]["schema"], key) == []


@pytest.mark.parametrize("key", ["", '""', "é", "a\tb", "x" * 256, f'"{"x" * 256}"', '"open', '"a"b"'])
def test_other_idempotency_keys_are_refused(key: str) -> None:
    assert errors(DOCUMENT, DOCUMENT["components"]["parameters"]["IdempotencyKey"]["schema"], key)


def test_every_code_is_shown_where_it_can_occur_and_as_both_documents() -> None:
    shown: dict[str, set[str]] = {"application/json": set(), "application/problem+json": set()}
    for body in JSON_BODIES:
        for name, example in body.examples(DOCUMENT).items():
            value = example["value"]
            if name in ERRORS:
                error = value["error"] if body.media_type == "application/json" else value
                assert error["code"] == name
                shown[body.media_type].add(name)
    assert shown == {media_type: set(ERRORS) for media_type in shown}


def test_both_forms_of_an_error_say_the_same() -> None:
    examples = DOCUMENT["components"]["examples"]
    for code, entry in ERRORS.items():
        error, problem = examples[code]["value"]["error"], examples[f"{code}.problem"]["value"]
        assert problem["status"] == entry.status
        assert (problem["type"], problem["detail"]) == (error["docs_url"], error["message"])
        assert problem["error_type"] == error["type"] == entry.type
        for field in ("code", "details", "param", "retryable", "request_id"):
            assert problem[field] == error[field]


@pytest.mark.parametrize(
    ("code", "details"),
    [
        ("CONTEXT_LENGTH_EXCEEDED", {"input_tokens": 5, "max_tokens": "4", "suggestion": "shorter"}),
        ("RATE_LIMITED", {"policy": "requests"}),
        ("INVALID_REQUEST", {"errors": []}),
        ("MODEL_TIMEOUT", {"timeout_ms": 300}),
        ("UNSUPPORTED_API_VERSION", {"supported": []}),
        ("TOOL_EXECUTION_FAILED", {"tool": "t", "tool_call_id": "c", "attempt": 1, "retryable": False, "side_effects": "x"}),
    ],
)  # fmt: skip
def test_details_have_the_shape_of_their_code(code: str, details: dict[str, Any]) -> None:
    examples = DOCUMENT["components"]["examples"]
    answer, problem = (examples[name]["value"] for name in (code, f"{code}.problem"))
    assert errors(
        DOCUMENT,
        {"$ref": "#/components/schemas/ErrorAnswer"},
        {"error": {**answer["error"], "details": details}},
    )
    assert errors(DOCUMENT, {"$ref": "#/components/schemas/Problem"}, {**problem, "details": details})


def test_costs_follow_from_the_prices_that_are_shown() -> None:
    prices = _first_example("listModels", "200")["data"][0]["prices"]
    for name, status in (("classify", "200"), ("chat", "200"), ("chat", "202")):
        metadata = _first_example(name, status)["metadata"]
        used = metadata["tokens_used"]
        exact = Decimal(prices["input_per_million"]) * used["input"]
        exact += Decimal(prices["output_per_million"]) * used["output"]
        assert Decimal(metadata["cost"]["amount"]) == exact / 1_000_000
        assert used["total"] == used["input"] + used["output"]


def _first_example(operation_id: str, status: str) -> Any:
    operation = next(o for _, _, o in operations(DOCUMENT) if o["operationId"] == operation_id)
    examples = resolve(DOCUMENT, operation["responses"][status])["content"]["application/json"]["examples"]
    return next(iter(examples.values()))["value"]
