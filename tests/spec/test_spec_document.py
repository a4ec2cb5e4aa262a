"""The OpenAPI 3.2 document: what it promises for every operation, and the lookups."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from bodies import bodies

from spec.assembly import COMMON, LIMITS
from spec.catalogue import areas, requirements
from spec.document import (
    contract_version,
    declared_headers,
    declared_response,
    load_document,
    match_operation,
    operation_by_id,
    operations,
    resolve,
    response_schema,
)

DOCUMENT = load_document()
OPERATIONS = {o["operationId"]: o for _, _, o in operations(DOCUMENT)}
PUBLIC = {"getCapabilities", "getDescription", "getHealth", "getError", "listErrors"}
ANSWERS = [(name, int(status)) for name, o in OPERATIONS.items() for status in o["responses"]]


def test_it_has_the_operations_of_the_contract() -> None:
    assert {f"{method} {path}": o["operationId"] for path, method, o in operations(DOCUMENT)} == {
        "post /classify": "classify",
        "post /chat": "chat",
        "get /chat/stream": "streamTurn",
        "post /analyze-document": "analyzeDocument",
        "get /jobs": "listJobs",
        "get /jobs/{job_id}": "getJob",
        "post /jobs/{job_id}/cancel": "cancelJob",
        "post /jobs/{job_id}/action": "decideJobAction",
        "get /jobs/{job_id}/events": "streamJobEvents",
        "post /webhooks": "registerWebhook",
        "get /webhooks": "listWebhooks",
        "get /webhooks/{webhook_id}": "getWebhook",
        "delete /webhooks/{webhook_id}": "deleteWebhook",
        "post /webhooks/{webhook_id}/rotate-secret": "rotateWebhookSecret",
        "get /chat/ws": "openChatSocket",
        "get /tools": "listTools",
        "post /agent/runs": "runAgent",
        "get /agent/runs/{run_id}": "getAgentRun",
        "post /agent/runs/{run_id}/approvals": "decideAgentRun",
        "get /models": "listModels",
        "get /models/{model_id}": "getModel",
        "post /sessions": "createSession",
        "get /sessions/{session_id}": "getSession",
        "delete /sessions/{session_id}": "deleteSession",
        "post /estimate": "estimate",
        "post /count-tokens": "countTokens",
        "get /usage": "getUsage",
        "get /capabilities": "getCapabilities",
        "get /errors": "listErrors",
        "get /errors/{code}": "getError",
        "get /openapi.json": "getDescription",
        "get /health": "getHealth",
        "get /me": "getCaller",
    }


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_says_what_it_is_for(name: str) -> None:
    operation = OPERATIONS[name]
    assert operation["summary"]
    assert operation["description"]
    assert {t["name"] for t in DOCUMENT["tags"]} >= set(operation["tags"])


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_can_succeed(name: str) -> None:
    success = {s for s in OPERATIONS[name]["responses"] if s.startswith("2")}
    assert success or (name == "openChatSocket" and "101" in OPERATIONS[name]["responses"])


def test_only_what_needs_no_key_is_public() -> None:
    assert {name for name, o in OPERATIONS.items() if o.get("security") == []} == PUBLIC
    assert DOCUMENT["security"] == [{"bearer": []}, {"oauth2": []}, {"oauth2": [], "mutualTLS": []}]


SCOPES = {
    "classify": ["models:*:invoke"],
    "chat": ["models:*:invoke"],
    "streamTurn": ["models:*:invoke"],
    "runAgent": ["models:*:invoke"],
    "decideAgentRun": ["models:*:invoke"],
    "listModels": ["models:read"],
    "getModel": ["models:read"],
    "getCaller": [],
}


@pytest.mark.parametrize("name", SCOPES)
def test_protected_operations_name_their_scopes(name: str) -> None:
    scopes = SCOPES[name]
    assert OPERATIONS[name]["security"] == [
        {"bearer": scopes},
        {"oauth2": scopes},
        {"oauth2": scopes, "mutualTLS": []},
    ]


def test_every_scope_that_an_operation_demands_is_explained() -> None:
    flows = DOCUMENT["components"]["securitySchemes"]["oauth2"]["flows"]
    demanded = {s for o in OPERATIONS.values() for a in o["security"] for s in a.get("oauth2", ())}
    assert demanded
    assert all(demanded <= flow["scopes"].keys() for flow in flows.values())


@pytest.mark.parametrize("name", OPERATIONS)
def test_callers_of_protected_operations_can_be_refused(name: str) -> None:
    refusals = {"401", "403", "429"}
    assert refusals & OPERATIONS[name]["responses"].keys() == (set() if name in PUBLIC else refusals)


@pytest.mark.parametrize("name", OPERATIONS)
def test_declared_statuses_and_declared_error_codes_agree(name: str) -> None:
    listed = DOCUMENT["components"]["schemas"]["ErrorCode"]["enum"]
    operation = OPERATIONS[name]
    assert set(operation["x-errors"]) <= set(listed)
    shown = {
        code
        for status, response in operation["responses"].items()
        if status >= "400"
        for code in resolve(DOCUMENT, response)["content"]["application/json"]["examples"]
    }
    assert shown == set(operation["x-errors"])


@pytest.mark.parametrize(("name", "status"), ANSWERS)
def test_every_response_has_the_headers_that_the_contract_promises(name: str, status: int) -> None:
    headers = declared_headers(DOCUMENT, name, status)
    assert headers.keys() >= {h.lower() for h in COMMON}
    assert all(headers[h].required for h in ("x-request-id", "api-version", "cache-control"))
    known_caller = name not in PUBLIC and status != 401
    assert ({h.lower() for h in LIMITS} <= headers.keys()) == known_caller


@pytest.mark.parametrize(
    ("status", "header"),
    [
        (202, "location"),
        (401, "www-authenticate"),
        (409, "retry-after"),
        (429, "retry-after"),
        (503, "retry-after"),
    ],
)
def test_headers_that_a_client_must_have_to_go_on_are_required(status: int, header: str) -> None:
    having = [name for name, seen in ANSWERS if seen == status]
    if status == 409:
        # Where waiting helps nobody, nobody is told to wait.
        passing = {"IDEMPOTENCY_IN_PROGRESS", "SESSION_BUSY"}
        hopeless = [n for n in having if not passing & set(OPERATIONS[n]["x-errors"])]
        assert not any("retry-after" in declared_headers(DOCUMENT, name, status) for name in hopeless)
        having = [name for name in having if name not in hopeless]
    assert having
    assert all(declared_headers(DOCUMENT, name, status)[header].required for name in having)


def test_a_refused_media_type_may_name_the_supported_ones() -> None:
    assert "accept-post" in declared_headers(DOCUMENT, "chat", 415)


def test_replays_are_marked_where_keys_are_taken() -> None:
    marked = {(n, s) for n, s in ANSWERS if "idempotency-replayed" in declared_headers(DOCUMENT, n, s)}
    assert {("classify", 200), ("chat", 200), ("chat", 202), ("classify", 422)} <= marked
    assert {("analyzeDocument", 202), ("classify", 202)} <= marked
    assert {n for n, _ in marked} == {
        "classify", "chat", "createSession", "runAgent", "decideAgentRun", "analyzeDocument",
    }  # fmt: skip


def test_what_no_operation_declares_is_described_too() -> None:
    method, path = (resolve(DOCUMENT, DOCUMENT["x-undeclared"][key]) for key in ("method", "path"))
    assert "Allow" in method["headers"]
    assert list(method["content"]["application/json"]["examples"]) == ["METHOD_NOT_ALLOWED"]
    assert list(path["content"]["application/json"]["examples"]) == ["NOT_FOUND"]


def test_requests_are_closed_and_answers_are_open() -> None:
    closed = {
        n for n, s in DOCUMENT["components"]["schemas"].items() if s.get("additionalProperties") is False
    }
    assert closed == {
        "ClassifyRequest", "ChatRequest", "Message", "Sandbox", "AgentRequest", "Decisions", "ChatMessage",
        "CancelMessage", "PingMessage", "ContextPolicy", "SessionRequest", "AnalyzeDocumentRequest", "DocumentSandbox",
        "JobDecision", "RegisterWebhookRequest",
    }  # fmt: skip


def test_synchronous_operations_say_how_long_they_may_take() -> None:
    declared = {name: o.get("x-max-duration-seconds") for name, o in OPERATIONS.items()}
    assert declared.pop("streamTurn") is None
    assert declared.pop("streamJobEvents") is None
    assert [declared.pop(name) for name in ("chat", "runAgent", "decideAgentRun")] == [60, 60, 60]
    assert set(declared.values()) == {5}


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    used = set(_references(DOCUMENT))
    for reference in used:
        assert resolve(DOCUMENT, {"$ref": reference}) is not None
    components = {
        f"#/components/{kind}/{name}"
        for kind, members in DOCUMENT["components"].items()
        if kind != "securitySchemes"
        for name in members
    }
    assert components - used == set()


def test_every_requirement_is_shown_in_a_tag() -> None:
    shown = {i for tag in DOCUMENT["tags"] for i in tag["x-requirements"]}
    named = {name for tag in DOCUMENT["tags"] for name in tag["x-areas"]}
    assert named <= {area.name for area in areas()}
    assert shown == requirements().keys()


def test_the_caller_owns_the_document() -> None:
    load_document()["info"]["title"] = "changed"
    first = load_document()
    first["paths"]["/models"]["get"]["summary"] = "changed"
    assert load_document() == DOCUMENT
    assert contract_version() == DOCUMENT["info"]["version"]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/models", "listModels"),
        ("get", "/models/atlas-1", "getModel"),
        ("HEAD", "/models/atlas-1", "getModel"),
        ("GET", "/errors", "listErrors"),
        ("POST", "/chat", "chat"),
        ("GET", "/openapi.json", "getDescription"),
        ("DELETE", "/chat", None),
        ("GET", "/openapiXjson", None),
        ("GET", "/models/", None),
        ("GET", "/models/a/b", None),
    ],
)
def test_operations_are_found_by_path(method: str, path: str, expected: str | None) -> None:
    found = match_operation(DOCUMENT, method, path)
    assert (found and found["operationId"]) == expected


def test_a_literal_path_comes_before_a_template() -> None:
    document: dict[str, Any] = {
        "paths": {"/m/{id}": {"get": {"operationId": "one"}}, "/m/all": {"get": {"operationId": "all"}}}
    }
    found = [match_operation(document, "GET", path) for path in ("/m/all", "/m/7")]
    assert [o and o["operationId"] for o in found] == ["all", "one"]


def test_responses_are_found_by_status_class_and_default() -> None:
    document: dict[str, Any] = {
        "paths": {
            "/a": {
                "get": {
                    "operationId": "a",
                    "responses": {
                        "200": {"content": {"text/*": {"schema": {"type": "string"}}}},
                        "4XX": {"description": "class"},
                        "default": {"description": "default"},
                    },
                }
            }
        }
    }
    assert [(declared_response(document, "a", s) or {}).get("description") for s in (404, 500)] == [
        "class",
        "default",
    ]
    schema = response_schema(document, "a", 200, "text/plain; charset=utf-8")
    assert schema is not None
    assert schema["type"] == "string"
    assert response_schema(document, "a", 200, "application/json") is None
    with pytest.raises(KeyError, match="nobody"):
        operation_by_id(document, "nobody")


def test_schemas_of_answers_stand_alone() -> None:
    answered = declared_response(DOCUMENT, "chat", 200)
    assert answered is not None
    assert list(answered["content"]) == ["application/json", "text/event-stream"]
    schema = response_schema(DOCUMENT, "chat", 200, "text/event-stream")
    assert schema is not None
    assert schema["$ref"] == "#/components/schemas/StreamItem"
    assert schema["components"]["schemas"].keys() >= {"StreamItem", "TokenEvent"}
    assert response_schema(DOCUMENT, "chat", 418, "application/json") is None


def test_texts_read_as_sentences() -> None:
    for body in bodies(DOCUMENT):
        for name, example in body.examples(DOCUMENT).items():
            assert example["summary"], f"{body.where} {name}"
    assert not re.search(r"\bTODO\b|\bTBD\b", json.dumps(DOCUMENT))


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [r for item in node for r in _references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [r for value in node.values() for r in _references(value)]


def test_an_answer_that_several_operations_share_keeps_its_headers() -> None:
    for name in ("getJob", "cancelJob", "decideJobAction"):
        assert {"etag", "retry-after"} <= declared_headers(DOCUMENT, name, 200).keys()
    for name in ("runAgent", "decideAgentRun"):
        assert {"idempotency-replayed", "deprecation", "sunset", "link"} <= declared_headers(
            DOCUMENT, name, 200
        ).keys()
