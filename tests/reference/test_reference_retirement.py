"""Versions: two interfaces, pinned models, notices of what ends, and refusals of what has ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
import pytest
from reference_server import ReferenceServer, chat, error

from reference_impl.engine.models import BUILTIN
from spec.document import load_document, operations

DEPRECATED, RETIRED_MODEL = "atlas-0-2025-09-01", "atlas-beta-2025-01-15"


def dates(answer: httpx.Response) -> tuple[datetime, datetime]:
    since = datetime.fromtimestamp(int(answer.headers["deprecation"].removeprefix("@")), UTC)
    return since, parsedate_to_datetime(answer.headers["sunset"])


@pytest.mark.parametrize("version", ["2026-06-01", "2026-11-01"])
@pytest.mark.parametrize("model", ["atlas-1-2026-06-01", "atlas-mini-2026-03-01"])
def test_interface_and_model_are_chosen_apart(client: httpx.Client, version: str, model: str) -> None:
    answer = client.post("/chat", json=chat(model=model), headers={"API-Version": version})
    assert answer.headers["api-version"] == version
    assert answer.json()["metadata"]["model_version"] == model


def test_an_alias_is_answered_by_the_model_that_lists_it(client: httpx.Client) -> None:
    for model in client.get("/models").json()["data"]:
        for alias in model["aliases"]:
            answer = client.post("/chat", json=chat(model=alias, max_output_tokens=2))
            assert answer.json()["metadata"]["model_version"] == model["id"]


def test_every_answer_of_a_deprecated_model_says_so(client: httpx.Client) -> None:
    listed = next(m for m in client.get("/models").json()["data"] if m["id"] == DEPRECATED)
    for answer in (
        client.post("/chat", json=chat(model=DEPRECATED)),
        client.post("/chat", json=chat(model="atlas-0", stream=True)),
        client.post("/chat", json=chat(model="atlas-0", deferred=True)),
        client.post("/chat", json=chat("word " * 9000, model="atlas-0")),
        client.post("/classify", json={"text": "invoice", "model": "atlas-0"}),
        client.post("/estimate", json=chat(model="atlas-0")),
        client.get(f"/models/{DEPRECATED}"),
    ):
        since, until = dates(answer)
        assert since == datetime.fromisoformat(listed["deprecated_at"])
        assert until == datetime.fromisoformat(listed["sunset_at"])
        assert until - since >= timedelta(days=365)
        assert f'</api/v1/models/{listed["successor"]}>; rel="successor-version"' in answer.headers["link"]
    for answer in (client.post("/chat", json=chat()), client.get("/models"), client.get("/models/atlas-1")):
        assert not {"deprecation", "sunset", "link"} & answer.headers.keys()


def test_a_replay_still_says_so(client: httpx.Client) -> None:
    for _ in range(2):
        answer = client.post("/chat", json=chat(model="atlas-0"), headers={"Idempotency-Key": "old-model"})
        assert "sunset" in answer.headers
    assert answer.headers["idempotency-replayed"] == "true"


def test_the_headers_of_a_deprecated_operation_are_the_documents(client: httpx.Client) -> None:
    old = [(path, o) for path, _, o in operations(load_document()) if o.get("deprecated")]
    assert [path for path, _ in old] == ["/count-tokens"]
    for path, operation in old:
        told = operation["x-deprecation"]
        for answer in (client.post(path, json=chat()), client.post(path, json=chat(model="nobody"))):
            since, until = dates(answer)
            assert since == datetime.fromisoformat(told["deprecated_at"])
            assert until == datetime.fromisoformat(told["sunset_at"])
            assert until - since >= timedelta(days=365)
            assert f'</api/v1{told["successor"]}>; rel="successor-version"' in answer.headers["link"]
    # Of two notices that of the earlier sunset.
    both = client.post("/count-tokens", json=chat(model="atlas-0"))
    assert dates(both)[1] == datetime(2027, 9, 1, tzinfo=UTC)


def test_a_retired_model_is_refused_everywhere(client: httpx.Client) -> None:
    for answer in (
        client.post("/chat", json=chat(model=RETIRED_MODEL)),
        client.post("/chat", json=chat(model=RETIRED_MODEL, stream=True)),
        client.post("/classify", json={"text": "invoice", "model": RETIRED_MODEL}),
        client.post("/estimate", json=chat(model=RETIRED_MODEL)),
        client.get(f"/models/{RETIRED_MODEL}"),
    ):
        details = error(answer, 410, "MODEL_RETIRED")["details"]
        assert details["successor"] in {model.id for model in BUILTIN.models}
    assert RETIRED_MODEL not in {model["id"] for model in client.get("/models").json()["data"]}


def test_names_are_never_given_twice() -> None:
    names = [name for model in BUILTIN.models for name in model.names]
    assert len(set(names)) == len(names)
    assert not BUILTIN.retired.keys() & set(names)
    assert all(gone.successor in names for gone in BUILTIN.retired.values())


def test_a_retired_operation_is_gone_and_names_its_successor(
    reference: ReferenceServer, client: httpx.Client
) -> None:
    gone = client.post("/tokenize", json=chat())
    envelope = error(gone, 410, "GONE")
    assert envelope["details"] == {"retired_at": "2026-07-01T00:00:00Z", "successor": "/api/v1/estimate"}
    assert gone.headers["link"] == '</api/v1/estimate>; rel="successor-version"'
    assert "ratelimit" in gone.headers
    with reference.client(None) as stranger:
        error(stranger.post("/tokenize", json={}), 410, "GONE")


def test_a_problem_document_says_the_same_as_the_envelope(client: httpx.Client) -> None:
    """RFC 9457 by content negotiation, for every kind of refusal."""
    for path, body in (
        ("/chat", {}),
        ("/chat", chat(model="nobody")),
        ("/chat", chat(model=RETIRED_MODEL)),
        ("/chat", chat(session_id="sess_nobody")),
        ("/chat", chat("word " * 3000, model="atlas-mini")),
        ("/tokenize", {}),
    ):
        plain = client.post(path, json=body).json()["error"]
        answer = client.post(path, json=body, headers={"Accept": "application/problem+json"})
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["status"] == answer.status_code
        assert problem["type"] == plain["docs_url"]
        for name, twin in (
            ("code", "code"),
            ("detail", "message"),
            ("details", "details"),
            ("param", "param"),
        ):
            assert problem[name] == plain[twin]
        assert problem["request_id"] == answer.headers["x-request-id"]
