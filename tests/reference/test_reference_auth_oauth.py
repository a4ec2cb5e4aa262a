"""The authorization server, driven by Authlib's client where that can say it and by plain requests where not."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from auth_material import client_token
from authlib.integrations.httpx_client import OAuth2Client
from reference_server import ReferenceServer

from reference_impl.identity import DEMO_REDIRECT, AuthSettings
from reference_impl.oauth.issuing import grantable
from reference_impl.settings import Settings
from reference_impl.store.codes import Codes, Grant
from reference_impl.store.database import Database

SERVICE = ("demo-service", "demo-service-secret")
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def server() -> Iterator[ReferenceServer]:
    with ReferenceServer(Settings(auth=AuthSettings(token_seconds=300, leeway_s=0))) as running:
        yield running


@pytest.fixture
def browser(server: ReferenceServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.origin, verify=False, trust_env=False) as client:
        yield client


def token(browser: httpx.Client, auth: Any = SERVICE, **form: str) -> httpx.Response:
    return browser.post("/oauth/token", data=form, auth=auth)


def claims_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    payload = answer.json()["access_token"].split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return found


def request(**changes: Any) -> dict[str, str]:
    """An authorization request; a value of ``...`` removes a parameter."""
    good = {
        "response_type": "code",
        "client_id": "demo-app",
        "redirect_uri": DEMO_REDIRECT,
        "scope": "models:*:invoke",
        "state": "s-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in (good | changes).items() if value is not ...}


def allowed(browser: httpx.Client, key: str = "sk-demo", **changes: Any) -> dict[str, str]:
    """The parameters with which the resource owner's browser is sent back."""
    sent = browser.post("/oauth/authorize", data={**request(**changes), "decision": "allow", "api_key": key})
    assert sent.status_code == 303, sent.text
    assert sent.headers["location"].startswith(DEMO_REDIRECT)
    return {name: values[0] for name, values in parse_qs(urlsplit(sent.headers["location"]).query).items()}


def redeem(browser: httpx.Client, code: str, **changes: Any) -> httpx.Response:
    good = {
        "grant_type": "authorization_code",
        "client_id": "demo-app",
        "redirect_uri": DEMO_REDIRECT,
        "code": code,
        "code_verifier": VERIFIER,
    }
    form = {name: value for name, value in (good | changes).items() if value is not ...}
    return token(browser, None, **form)


# ---- client credentials


def test_a_client_gets_a_token_that_works(server: ReferenceServer) -> None:
    with OAuth2Client(*SERVICE, scope="models:read", verify=False, trust_env=False) as client:
        got = client.fetch_token(f"{server.origin}/oauth/token", grant_type="client_credentials")
        assert got["token_type"] == "Bearer"
        assert got["expires_in"] == 300
        assert client.get(f"{server.url}/models").status_code == 200
        assert client.get(f"{server.url}/me").json()["scopes"] == ["models:read"]
        refused = client.post(f"{server.url}/classify", json={"text": "hi"})
        assert refused.json()["error"]["code"] == "INSUFFICIENT_SCOPE"


def test_the_token_is_that_of_rfc_9068(server: ReferenceServer, browser: httpx.Client) -> None:
    answer = token(browser, grant_type="client_credentials", scope="models:read")
    claims = claims_of(answer)
    header = json.loads(base64.urlsafe_b64decode(answer.json()["access_token"].split(".")[0] + "=="))
    assert (header["alg"], header["typ"]) == ("ES256", "at+jwt")
    assert header["kid"] in {key["kid"] for key in browser.get("/oauth/jwks").json()["keys"]}
    assert (claims["iss"], claims["aud"]) == (server.origin, server.url)
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


def test_a_shorter_life_can_be_asked_for_and_ends(server: ReferenceServer) -> None:
    short = client_token(server, expires_in="1")
    with server.client(short) as client:
        assert client.get("/me").status_code == 200
        deadline = time.monotonic() + 5
        while client.get("/me").status_code == 200:
            assert time.monotonic() < deadline, "the token outlived its end"
            time.sleep(0.1)


def test_a_longer_life_cannot_be_asked_for(browser: httpx.Client) -> None:
    assert token(browser, grant_type="client_credentials", expires_in="99999").json()["expires_in"] == 300


# ---- authorization code


def test_authlib_walks_the_whole_way(server: ReferenceServer, browser: httpx.Client) -> None:
    with OAuth2Client(
        "demo-app",
        None,
        token_endpoint_auth_method="none",
        redirect_uri=DEMO_REDIRECT,
        scope="models:read models:*:invoke",
        code_challenge_method="S256",
        verify=False,
        trust_env=False,
    ) as client:
        url, state = client.create_authorization_url(
            f"{server.origin}/oauth/authorize", code_verifier=VERIFIER
        )
        page = browser.get(url)
        assert page.status_code == 200
        fields = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.text))
        form = {unescape(k): unescape(v) for k, v in fields.items()}
        back = browser.post(
            "/oauth/authorize", data={**form, "api_key": "sk-demo-other", "decision": "allow"}
        )
        location = back.headers["location"]
        assert parse_qs(urlsplit(location).query)["state"] == [state]
        assert parse_qs(urlsplit(location).query)["iss"] == [server.origin]
        client.fetch_token(
            f"{server.origin}/oauth/token", authorization_response=location, code_verifier=VERIFIER
        )
        caller = client.get(f"{server.url}/me").json()
    assert caller["principal"] == "other"
    assert caller["scopes"] == ["models:*:invoke", "models:read"]


def test_a_code_works_once(browser: httpx.Client) -> None:
    code = allowed(browser)["code"]
    assert redeem(browser, code).status_code == 200
    assert redeem(browser, code).json()["error"] == "invalid_grant"


def test_of_many_redemptions_at_once_one_succeeds(tmp_path: Path) -> None:
    async def story() -> list[Grant | None]:
        database = Database(str(tmp_path / "codes.sqlite"))
        await database.open()
        codes = Codes(database)
        code = await codes.add(Grant("c", "p", "s", "r", "ch", "res"), 60)
        taken = await asyncio.gather(*(codes.take(code) for _ in range(10)))
        await database.close()
        return list(taken)

    assert [grant for grant in asyncio.run(story()) if grant] == [Grant("c", "p", "s", "r", "ch", "res")]


def test_an_old_code_is_worth_nothing_and_no_code_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "codes.sqlite"

    async def story() -> tuple[str, Grant | None]:
        database = Database(str(path))
        await database.open()
        old = await Codes(database).add(Grant("c", "p", "s", "r", "ch", "res"), -1)
        taken = await Codes(database).take(old)
        kept = await Codes(database).add(Grant("c", "p", "s", "r", "ch", "res"), 60)
        await database.close()
        return kept, taken

    kept, taken = asyncio.run(story())
    assert taken is None
    with closing(sqlite3.connect(path)) as connection:
        content = "\n".join(connection.iterdump())
    assert "oauth_codes" in content
    assert kept not in content


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "w" * 64},
        {"code_verifier": ...},
        {"code_verifier": CHALLENGE},
        {"code_verifier": "short"},
        {"redirect_uri": DEMO_REDIRECT + "/"},
        {"redirect_uri": ...},
        {"code": "invented"},
    ],
)
def test_a_code_without_all_that_belongs_to_it_is_worth_nothing(browser: httpx.Client, changes: Any) -> None:
    code = allowed(browser)["code"]
    refused = redeem(browser, **{"code": code, **changes})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    if "code" not in changes:
        # The failed attempt has used it up.
        assert redeem(browser, code).json()["error"] == "invalid_grant"


def test_a_code_is_for_the_client_that_asked(browser: httpx.Client) -> None:
    code = allowed(browser)["code"]
    stolen = token(
        browser,
        grant_type="authorization_code",
        code=code,
        redirect_uri=DEMO_REDIRECT,
        code_verifier=VERIFIER,
    )
    assert stolen.json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": DEMO_REDIRECT + ".evil.example"},
        {"redirect_uri": DEMO_REDIRECT + "/../x"},
        {"redirect_uri": DEMO_REDIRECT + "?x=1"},
        {"redirect_uri": DEMO_REDIRECT.upper()},
        {"redirect_uri": DEMO_REDIRECT.replace("8765", "8766")},
        {"redirect_uri": "https://evil.example"},
        {"redirect_uri": ...},
        {"client_id": "nobody"},
        {"client_id": ...},
    ],
)
def test_nobody_is_sent_to_an_address_that_is_not_registered(browser: httpx.Client, changes: Any) -> None:
    page = browser.get("/oauth/authorize", params=request(**changes))
    sent = browser.post(
        "/oauth/authorize", data={**request(**changes), "decision": "allow", "api_key": "sk-demo"}
    )
    for answer in (page, sent):
        assert answer.status_code == 400
        assert "location" not in answer.headers


def test_a_parameter_that_is_given_twice_ends_the_request(browser: httpx.Client) -> None:
    query = httpx.QueryParams(request()).add("redirect_uri", "https://evil.example")
    page = browser.get("/oauth/authorize", params=query)
    assert page.status_code == 400
    assert "location" not in page.headers


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": ...}, "unsupported_response_type"),
        ({"code_challenge": ...}, "invalid_request"),
        ({"code_challenge_method": "plain", "code_challenge": VERIFIER}, "invalid_request"),
        ({"code_challenge_method": ...}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"scope": "admin:root"}, "invalid_scope"),
        ({"resource": "https://unknown.example"}, "invalid_target"),
    ],
)
def test_other_faults_go_back_to_the_client(
    server: ReferenceServer, browser: httpx.Client, changes: Any, error: str
) -> None:
    answer = browser.get("/oauth/authorize", params=request(**changes))
    assert answer.status_code == 303
    back = parse_qs(urlsplit(answer.headers["location"]).query)
    assert (back["error"], back["state"], back["iss"]) == ([error], ["s-1"], [server.origin])


def test_who_says_no_is_heard(browser: httpx.Client) -> None:
    answer = browser.post("/oauth/authorize", data={**request(), "decision": "deny", "api_key": "sk-demo"})
    assert parse_qs(urlsplit(answer.headers["location"]).query)["error"] == ["access_denied"]


def test_a_wrong_key_stays_on_the_page_and_is_not_repeated(browser: httpx.Client) -> None:
    answer = browser.post(
        "/oauth/authorize", data={**request(), "decision": "allow", "api_key": "sk-mistyped"}
    )
    assert answer.status_code == 403
    assert "not valid" in answer.text
    assert "sk-mistyped" not in answer.text


def test_a_token_never_has_more_than_its_holder(browser: httpx.Client) -> None:
    back = allowed(browser, "sk-demo-narrow", scope="models:read models:atlas-mini:invoke")
    assert claims_of(redeem(browser, back["code"]))["scope"] == "models:atlas-mini:invoke"
    none = allowed(browser, "sk-demo-narrow", scope="models:read")
    assert none["error"] == "access_denied"


def test_the_page_is_safe_to_show(browser: httpx.Client) -> None:
    page = browser.get("/oauth/authorize", params=request(state='"><script>alert(1)</script>'))
    assert "<script" not in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "DENY"
    assert "set-cookie" not in page.headers


# ---- metadata


def test_a_client_finds_the_way_from_a_challenge(server: ReferenceServer, browser: httpx.Client) -> None:
    challenge = browser.get("/api/v1/me").headers["www-authenticate"]
    place = re.search(r'resource_metadata="([^"]+)"', challenge)
    assert place is not None
    resource = browser.get(place[1]).json()
    assert resource["resource"] == server.url
    (issuer,) = resource["authorization_servers"]
    metadata = browser.get(f"{issuer}/.well-known/oauth-authorization-server").json()
    assert metadata["issuer"] == issuer == server.origin
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
