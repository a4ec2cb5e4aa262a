"""The authorization server, driven by Authlib's client where that can say it and by plain requests where not."""

from __future__ import annotations

import base64
import json
import re
import time

import httpx
import pytest
from auth_material import client_token
from authlib.integrations.httpx_client import OAuth2Client
from oauth_requests import SERVICE, claims_of, token
from reference_server import ReferenceServer

from reference_impl.identity import AuthSettings
from reference_impl.oauth.issuing import grantable
from reference_impl.settings import Settings

# ---- client credentials


def test_a_client_gets_a_token_that_works(issuing: ReferenceServer) -> None:
    with OAuth2Client(*SERVICE, scope="models:read", verify=False, trust_env=False) as client:
        got = client.fetch_token(f"{issuing.origin}/oauth/token", grant_type="client_credentials")
        assert got["token_type"] == "Bearer"
        assert got["expires_in"] == 300
        assert client.get(f"{issuing.url}/models").status_code == 200
        assert client.get(f"{issuing.url}/me").json()["scopes"] == ["models:read"]
        refused = client.post(f"{issuing.url}/classify", json={"text": "hi"})
        assert refused.json()["error"]["code"] == "INSUFFICIENT_SCOPE"


def test_the_token_is_that_of_rfc_9068(issuing: ReferenceServer, browser: httpx.Client) -> None:
    answer = token(browser, grant_type="client_credentials", scope="models:read")
    claims = claims_of(answer)
    header = json.loads(base64.urlsafe_b64decode(answer.json()["access_token"].split(".")[0] + "=="))
    assert (header["alg"], header["typ"]) == ("ES256", "at+jwt")
    assert header["kid"] in {key["kid"] for key in browser.get("/oauth/jwks").json()["keys"]}
    assert (claims["iss"], claims["aud"]) == (issuing.origin, issuing.url)
    assert (claims["sub"], claims["client_id"], claims["scope"]) == ("demo", "demo-service", "models:read")
    assert claims["exp"] - claims["iat"] == 300
    assert "cnf" not in claims
    assert answer.headers["cache-control"] == "no-store"


def test_two_tokens_are_two(browser: httpx.Client) -> None:
    first, second = (claims_of(token(browser, grant_type="client_credentials")) for _ in range(2))
    assert first["jti"] != second["jti"]


def test_a_secret_may_stand_in_the_form(browser: httpx.Client) -> None:
    form = {"grant_type": "client_credentials", "client_id": SERVICE[0], "client_secret": SERVICE[1]}
    assert token(browser, None, **form).status_code == 200


@pytest.mark.parametrize(
    "auth",
    [
        ("demo-service", "wrong"),
        ("nobody", "wrong"),
        ("demo-app", ""),
        ("demo-app", "x"),
        ("demo-service", ""),
    ],
)
def test_wrong_clients_get_one_answer(browser: httpx.Client, auth: tuple[str, str]) -> None:
    refused = token(browser, auth, grant_type="client_credentials")
    assert refused.status_code == 401
    assert refused.json() == {"error": "invalid_client", "error_description": "Client authentication failed."}
    assert refused.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials", "scope": "admin:root"}, "invalid_scope"),
        ({"grant_type": "client_credentials", "scope": "models:read admin:root"}, "invalid_scope"),
        ({"grant_type": "client_credentials", "resource": "https://unknown.example"}, "invalid_target"),
        ({"grant_type": "client_credentials", "expires_in": "0"}, "invalid_request"),
        ({"grant_type": "client_credentials", "expires_in": "-1"}, "invalid_request"),
        ({"grant_type": "client_credentials", "client_secret": SERVICE[1]}, "invalid_request"),
        ({"grant_type": "authorization_code"}, "invalid_grant"),
    ],
)
def test_bad_token_requests_say_what_rfc_6749_says(
    browser: httpx.Client, form: dict[str, str], error: str
) -> None:
    refused = token(browser, **form)
    assert (refused.status_code, refused.json()["error"]) == (400, error)
    assert refused.headers["cache-control"] == "no-store"


def test_a_public_client_has_no_credentials_of_its_own(browser: httpx.Client) -> None:
    refused = token(browser, None, grant_type="client_credentials", client_id="demo-app")
    assert refused.json()["error"] == "unauthorized_client"


def test_other_forms_of_a_token_request_are_refused(browser: httpx.Client) -> None:
    twice = browser.post(
        "/oauth/token",
        content="grant_type=client_credentials&scope=models:read&scope=jobs:read",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        auth=SERVICE,
    )
    as_json = browser.post("/oauth/token", json={"grant_type": "client_credentials"}, auth=SERVICE)
    large = token(browser, grant_type="client_credentials", scope="x" * 20_000)
    assert [r.json()["error"] for r in (twice, as_json, large)] == ["invalid_request"] * 3
    assert large.status_code == 413
    assert browser.get("/oauth/token").status_code == 405
    bearer = browser.post(
        "/oauth/token", data={"grant_type": "client_credentials"}, headers={"Authorization": "Bearer sk-demo"}
    )
    assert bearer.json()["error"] == "invalid_client"


def test_a_shorter_life_can_be_asked_for_and_ends(issuing: ReferenceServer) -> None:
    short = client_token(issuing, expires_in="1")
    with issuing.client(short) as client:
        assert client.get("/me").status_code == 200
        deadline = time.monotonic() + 5
        while client.get("/me").status_code == 200:
            assert time.monotonic() < deadline, "the token outlived its end"
            time.sleep(0.1)


def test_a_longer_life_cannot_be_asked_for(browser: httpx.Client) -> None:
    assert token(browser, grant_type="client_credentials", expires_in="99999").json()["expires_in"] == 300


# ---- metadata


def test_a_client_finds_the_way_from_a_challenge(issuing: ReferenceServer, browser: httpx.Client) -> None:
    challenge = browser.get("/api/v1/me").headers["www-authenticate"]
    place = re.search(r'resource_metadata="([^"]+)"', challenge)
    assert place is not None
    resource = browser.get(place[1]).json()
    assert resource["resource"] == issuing.url
    (issuer,) = resource["authorization_servers"]
    metadata = browser.get(f"{issuer}/.well-known/oauth-authorization-server").json()
    assert metadata["issuer"] == issuer == issuing.origin
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert browser.get(metadata["jwks_uri"]).json()["keys"]
    assert token(browser, grant_type="client_credentials").status_code == 200
    assert browser.head(metadata["jwks_uri"]).status_code == 200


def test_a_public_url_is_the_name_of_everything() -> None:
    auth = AuthSettings(public_url="https://ai.example")
    with ReferenceServer(Settings(auth=auth)) as server:
        found = httpx.get(f"{server.origin}/.well-known/oauth-authorization-server", trust_env=False).json()
        assert found["token_endpoint"] == "https://ai.example/oauth/token"
        with server.client(client_token(server)) as client:
            assert client.get("/me").json()["principal"] == "demo"


def test_a_family_is_granted_only_to_who_has_the_family() -> None:
    held = ["models:atlas-mini:invoke", "jobs:read"]
    assert grantable(held, ["models:*:invoke", "models:atlas-mini:invoke", "jobs:read", "jobs:write"]) == [
        "models:atlas-mini:invoke",
        "jobs:read",
    ]
    assert grantable(["models:*:invoke"], ["models:x:invoke", "models:*:invoke", "data:x:read"]) == [
        "models:x:invoke",
        "models:*:invoke",
    ]
