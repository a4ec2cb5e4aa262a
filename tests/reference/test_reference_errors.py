"""Every refusal, from whichever layer it comes, is the contract's envelope with the contract's headers."""

from __future__ import annotations

import json

import httpx
import pytest
from reference_server import ReferenceServer, chat, error, post_bytes

from spec.errors import ERRORS


def test_an_unknown_path_is_not_found(client: httpx.Client) -> None:
    error(client.get("/does-not-exist"), 404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["/health/", "/models/", "//health", ""])
def test_paths_are_exact_and_never_redirected(client: httpx.Client, path: str) -> None:
    error(client.get(f"{str(client.base_url).rstrip('/')}{path}"), 404, "NOT_FOUND")


def test_another_api_version_in_the_path_is_not_found(
    reference: ReferenceServer, client: httpx.Client
) -> None:
    error(client.get(f"http://127.0.0.1:{reference.port}/api/v999/models"), 404, "NOT_FOUND")


def test_a_wrong_method_is_refused_with_allow(client: httpx.Client) -> None:
    refused = client.delete("/classify")
    assert error(refused, 405, "METHOD_NOT_ALLOWED")["details"] == {"allowed": ["OPTIONS", "POST"]}
    assert refused.headers["allow"] == "OPTIONS, POST"


def test_another_content_type_is_refused_with_accept_post(client: httpx.Client) -> None:
    refused = client.post("/classify", content=b"hello", headers={"Content-Type": "text/plain"})
    error(refused, 415, "UNSUPPORTED_MEDIA_TYPE")
    assert refused.headers["accept-post"] == "application/json"


@pytest.mark.parametrize(
    "headers",
    [{"Content-Type": "application/json; charset=utf-16"}, {"Content-Encoding": "gzip"}],
)
def test_encodings_other_than_plain_utf8_are_refused(client: httpx.Client, headers: dict[str, str]) -> None:
    content = {"Content-Type": "application/json", **headers}
    error(client.post("/classify", content=b"{}", headers=content), 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("path", ["/models", "/health"])
def test_an_accept_header_nobody_can_satisfy_is_refused(client: httpx.Client, path: str) -> None:
    refused = error(client.get(path, headers={"Accept": "application/xml"}), 406, "NOT_ACCEPTABLE")
    assert refused["details"]["available"] == ["application/json"]


@pytest.mark.parametrize(("streamed", "accept"), [(True, "application/json"), (False, "text/event-stream")])
def test_the_form_of_a_chat_answer_must_be_acceptable(
    client: httpx.Client, streamed: bool, accept: str
) -> None:
    refused = client.post("/chat", json=chat(stream=streamed), headers={"Accept": accept})
    error(refused, 406, "NOT_ACCEPTABLE")


@pytest.mark.parametrize(
    ("body", "offset", "line", "column"),
    [
        (b'{"text":', 8, 1, 9),
        (b"", 0, 1, 1),
        (b'{\n  "text": oops}', 12, 2, 11),
        (b'{"text": NaN}', 9, 1, 10),
        (b'{"text": "\xff"}', 10, 1, 11),
    ],
)
def test_malformed_json_is_refused_with_its_position(
    client: httpx.Client, body: bytes, offset: int, line: int, column: int
) -> None:
    refused = client.post("/classify", content=body, headers={"Content-Type": "application/json"})
    details = error(refused, 400, "INVALID_JSON")["details"]
    assert (details["offset"], details["line"], details["column"]) == (offset, line, column)


@pytest.mark.parametrize(
    ("body", "offset"),
    [
        (b'{"text":"a","text":"b"}', 12),
        (rb'{"text":"a\ud800"}', 8),
        (b'{"text":"a","min_confidence":1e999}', 29),
        (b'{"text":"a","min_confidence":' + b"9" * 5000 + b"}", 29),
        (b'{"text":"NaN","min_confidence":-Infinity}', 31),
        (b'{"a":[{"b":1},{"b":2,"\\u0062":3}]}', 21),
        (b"[" * 100_000, 0),
    ],
)
def test_ambiguous_json_is_refused_with_its_position(client: httpx.Client, body: bytes, offset: int) -> None:
    refused = client.post("/classify", content=body, headers={"Content-Type": "application/json"})
    details = error(refused, 400, "INVALID_JSON")["details"]
    assert details == {"offset": offset, "line": 1, "column": offset + 1}


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/classify", {}, "/text"),
        ("/classify", {"text": 3}, "/text"),
        ("/classify", {"text": ""}, "/text"),
        ("/classify", {"text": "x" * 20_001}, "/text"),
        ("/classify", {"text": "x", "foo": 1}, "/foo"),
        ("/classify", {"text": "x", "min_confidence": 1.5}, "/min_confidence"),
        ("/chat", {"messages": []}, "/messages"),
        ("/chat", {"messages": [{"role": "user"}]}, "/messages/0/content"),
        ("/chat", {"messages": [{"role": "robot", "content": "x"}]}, "/messages/0/role"),
        ("/chat", {**chat(), "a/b~c": 1}, "/a~1b~0c"),
        ("/chat", chat(max_output_tokens=0), "/max_output_tokens"),
        ("/chat", chat(max_output_tokens=1000, model="atlas-mini"), "/max_output_tokens"),
        ("/chat", chat(temperature=2.5), "/temperature"),
    ],
)
def test_an_invalid_body_is_refused_with_a_pointer(
    client: httpx.Client, path: str, body: object, pointer: str
) -> None:
    refused = error(client.post(path, json=body), 400, "INVALID_REQUEST")
    assert refused["param"] == pointer
    assert pointer in [fault["pointer"] for fault in refused["details"]["errors"]]


def test_stream_and_deferred_exclude_each_other(client: httpx.Client) -> None:
    error(client.post("/chat", json=chat(stream=True, deferred=True)), 400, "INVALID_REQUEST")


def test_messages_of_errors_do_not_repeat_the_input(client: httpx.Client) -> None:
    secret = "my-private-words " * 2000
    assert "my-private-words" not in client.post("/classify", json={"text": secret}).text
    assert "my-private-words" not in client.post("/chat", json=chat(temperature="my-private-words")).text


def test_a_missing_query_parameter_is_named(client: httpx.Client) -> None:
    assert error(client.get("/chat/stream"), 400, "INVALID_REQUEST")["param"] == "turn_id"


@pytest.mark.parametrize("path", ["/models", "/models/atlas-1", "/chat/stream?turn_id=x"])
def test_a_key_is_demanded(reference: ReferenceServer, path: str) -> None:
    with reference.client(key=None) as anonymous:
        refused = anonymous.get(path)
        error(refused, 401, "UNAUTHENTICATED")
        metadata = f"{reference.origin}/.well-known/oauth-protected-resource/api/v1"
        assert (
            refused.headers["www-authenticate"] == f'Bearer realm="aiconform", resource_metadata="{metadata}"'
        )
        assert "ratelimit" not in refused.headers


def test_a_wrong_key_is_an_invalid_token_and_not_repeated(reference: ReferenceServer) -> None:
    with reference.client(key="sk-wrong-key") as stranger:
        refused = stranger.post("/classify", content=b"not json", headers={"Content-Type": "text/plain"})
        error(refused, 401, "UNAUTHENTICATED")
        assert 'error="invalid_token"' in refused.headers["www-authenticate"]
        assert "sk-wrong" not in refused.text


@pytest.mark.parametrize("name", ["api_key", "key", "access_token", "Authorization"])
def test_a_key_in_the_url_is_not_read(reference: ReferenceServer, name: str) -> None:
    with reference.client(key=None) as anonymous:
        error(anonymous.get("/models", params={name: "sk-demo"}), 401, "UNAUTHENTICATED")


@pytest.mark.parametrize("path", ["/health", "/openapi.json", "/errors", "/capabilities"])
def test_discovery_needs_no_key(reference: ReferenceServer, path: str) -> None:
    with reference.client(key=None) as anonymous:
        assert anonymous.get(path).status_code == 200


def test_a_problem_document_is_the_same_error_one_to_one(client: httpx.Client) -> None:
    headers = {"Accept": "application/problem+json"}
    refused = client.post("/classify", json={}, headers=headers)
    assert refused.status_code == 400
    assert refused.headers["content-type"] == "application/problem+json"
    problem = refused.json()
    assert problem["status"] == 400
    assert problem["code"] == "INVALID_REQUEST"
    assert problem["type"].endswith("/api/v1/errors/INVALID_REQUEST")
    assert problem["request_id"] == refused.headers["x-request-id"]
    assert problem["details"]["errors"][0]["pointer"] == "/text"
    assert client.get("/nowhere", headers=headers).json()["code"] == "NOT_FOUND"


def test_the_documentation_of_an_error_resolves(client: httpx.Client) -> None:
    entry = client.get(client.get("/nowhere").json()["error"]["docs_url"])
    assert entry.status_code == 200
    assert entry.json()["code"] == "NOT_FOUND"


def test_the_error_catalogue_is_published_whole(client: httpx.Client) -> None:
    listed = {entry["code"]: entry for entry in client.get("/errors").json()["data"]}
    assert listed.keys() == ERRORS.keys()
    assert all(listed[code] == client.get(f"/errors/{code}").json() for code in ("INTERNAL", "RATE_LIMITED"))
    error(client.get("/errors/NO_SUCH_CODE"), 404, "NOT_FOUND")


def test_bytes_that_are_not_http_get_the_envelope(reference: ReferenceServer) -> None:
    answer = reference.raw(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\nBad Header: \x00\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/json" in head
    assert b"x-request-id: " + json.loads(body)["error"]["request_id"].encode() in head
    assert json.loads(body)["error"]["code"] == "INVALID_REQUEST"


def test_no_answer_names_the_software(reference: ReferenceServer) -> None:
    answer = reference.raw(post_bytes("/classify", b"{}")).lower()
    for name in (b"uvicorn", b"starlette", b"connexion", b"python", b"server:"):
        assert name not in answer
