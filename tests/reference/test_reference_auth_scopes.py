"""Scopes: compared in one place, enforced for models by whatever name, and told to the caller."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_server import ReferenceServer, chat

from reference_impl.exchange import Exchange, Principal, RequestHeaders, Trace
from reference_impl.policies.auth import ApiKeys
from reference_impl.policies.errors import ContractError
from reference_impl.policies.scopes import HeldScopes, covers
from reference_impl.settings import DEMO_CREDENTIALS, PRODUCTION

NARROW = "sk-demo-narrow"
NAMES = st.text("abc-:.1", min_size=1, max_size=8)


def exchange(*scopes: str) -> Exchange:
    made = Exchange(
        "POST", "/api/v1/x", RequestHeaders([]), "http://h", "", "req_1", Trace("1" * 32, "2" * 16), None
    )
    made.principal = Principal("p", PRODUCTION, frozenset(scopes))
    return made


@pytest.mark.parametrize(
    ("held", "wanted", "expected"),
    [
        ("jobs:read", "jobs:read", True),
        ("jobs:write", "jobs:read", False),
        ("jobs:read", "jobs", False),
        ("models:*:invoke", "models:a:invoke", True),
        ("models:a:invoke", "models:*:invoke", True),
        ("models:a:invoke", "models:b:invoke", False),
        ("models:a:invoke", "models:a:delete", False),
        ("models:a:invoke", "data:a:invoke", False),
        ("models:*:invoke", "models:invoke", False),
        ("models:invoke", "models:*:invoke", False),
        ("models:a*:invoke", "models:ab:invoke", False),
        ("*:*:*", "models:a:invoke", False),
        ("*", "jobs:read", False),
        ("models:ft:x:invoke", "models:ft:x:invoke", True),
        ("models:ft:invoke", "models:ft:x:invoke", False),
    ],
)
def test_one_scope_gives_another(held: str, wanted: str, expected: bool) -> None:
    assert covers(held, wanted) is expected


@given(NAMES, NAMES)
def test_an_instance_gives_only_itself(one: str, other: str) -> None:
    assert covers(f"actions:{one}:execute", f"actions:{other}:execute") is (one == other)
    assert covers("actions:*:execute", f"actions:{one}:execute")


def test_a_tool_that_is_not_allowed_is_refused_by_name() -> None:
    HeldScopes().require(exchange("actions:lookup_order:execute"), "actions:lookup_order:execute")
    with pytest.raises(ContractError) as refused:
        HeldScopes().require(exchange("actions:lookup_order:execute"), "actions:refund:execute")
    assert refused.value.code == "INSUFFICIENT_SCOPE"
    assert refused.value.details == {"required_scopes": ["actions:refund:execute"]}
    assert refused.value.headers["WWW-Authenticate"] == (
        'Bearer realm="aiconform", error="insufficient_scope", scope="actions:refund:execute", '
        'resource_metadata="http://h/.well-known/oauth-protected-resource/api/v1"'
    )


@pytest.mark.parametrize("model", ["atlas-mini", "atlas-mini-2026-03-01"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/classify", {"text": "hi"}),
        ("/chat", chat()),
        ("/chat", chat(stream=True)),
        ("/chat", chat(deferred=True)),
    ],
)
def test_the_allowed_model_is_called_by_every_name(
    reference: ReferenceServer, model: str, path: str, body: dict[str, Any]
) -> None:
    with reference.client(NARROW) as client:
        assert client.post(path, json={**body, "model": model}).status_code in (200, 202)


@pytest.mark.parametrize("model", [None, "atlas-1", "atlas-1-2026-06-01"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/classify", {"text": "hi"}),
        ("/chat", chat()),
        ("/chat", chat(stream=True)),
        ("/chat", chat(deferred=True)),
    ],
)
def test_another_model_is_refused_by_every_name(
    reference: ReferenceServer, model: str | None, path: str, body: dict[str, Any]
) -> None:
    with reference.client(NARROW) as client:
        refused = client.post(path, json={**body, **({"model": model} if model else {})})
    assert_missing(refused, "models:atlas-1-2026-06-01:invoke")


def test_reading_the_models_is_a_right_too(reference: ReferenceServer) -> None:
    with reference.client(NARROW) as client:
        assert_missing(client.get("/models"), "models:read")
        assert_missing(client.get("/models/atlas-mini"), "models:read")
        assert client.get("/me").json() == {
            "principal": "narrow",
            "tier": "production",
            "scopes": ["models:atlas-mini:invoke"],
            "credential": "api_key",
            "expires_at": None,
        }


def test_reading_the_usage_is_a_right_too(reference: ReferenceServer) -> None:
    with reference.client(NARROW) as client:
        assert_missing(
            client.get("/usage", params={"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}), "usage:read"
        )


def test_a_replay_needs_the_right_as_well(reference: ReferenceServer) -> None:
    body = {"text": "hi", "model": "atlas-1"}
    with reference.client(NARROW) as client:
        for _ in range(2):
            answer = client.post("/classify", json=body, headers={"Idempotency-Key": "a-narrow-key"})
            assert_missing(answer, "models:atlas-1-2026-06-01:invoke")


def assert_missing(answer: httpx.Response, scope: str) -> None:
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "INSUFFICIENT_SCOPE"
    assert answer.json()["error"]["details"] == {"required_scopes": [scope]}
    challenge = answer.headers["www-authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert f'scope="{scope}"' in challenge


@pytest.mark.parametrize(
    ("authorization", "error"),
    [
        ([], None),
        (["Basic c2stZGVtbw=="], None),
        (["Bearer"], "invalid_token"),
        (["Bearer sk-wrong"], "invalid_token"),
        (["Bearer sk-demo", "Bearer sk-demo"], "invalid_token"),
        (["Bearer sk-dem\xf6"], "invalid_token"),
    ],
)
def test_who_is_not_known_is_challenged(
    reference: ReferenceServer, authorization: list[str], error: str | None
) -> None:
    headers = [("Authorization", value.encode("latin-1")) for value in authorization]
    answer = httpx.get(f"{reference.url}/me", headers=headers, trust_env=False)
    assert answer.status_code == 401
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith('Bearer realm="aiconform", ')
    assert ("error=" in challenge) is (error is not None)
    assert error is None or f'error="{error}"' in challenge


@pytest.mark.parametrize("value", ["Bearer sk-demo", "bearer sk-demo", "BEARER   sk-demo"])
def test_a_known_key_names_its_principal(reference: ReferenceServer, value: str) -> None:
    answer = httpx.get(f"{reference.url}/me", headers={"Authorization": value}, trust_env=False)
    assert answer.json()["principal"] == "demo"


def test_keys_are_kept_as_hashes() -> None:
    keys = ApiKeys(DEMO_CREDENTIALS)
    assert "sk-demo" not in repr(vars(keys))
    assert keys.find("sk-demo") is not None
    assert keys.find("sk-dem") is None


def test_the_facade_is_no_way_around(reference: ReferenceServer) -> None:
    messages = [{"role": "user", "content": "hi"}]
    place = f"{reference.origin}/openai/v1/chat/completions"
    with reference.client(NARROW) as client:
        allowed = client.post(place, json={"model": "atlas-mini", "messages": messages})
        refused = client.post(place, json={"model": "atlas-1", "messages": messages})
    assert (allowed.status_code, refused.status_code) == (200, 403)
