"""The authorization code flow: Authlib's client walks it, and every step aside is refused."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from authlib.integrations.httpx_client import OAuth2Client
from oauth_requests import CHALLENGE, VERIFIER, allowed, claims_of, redeem, request, token
from reference_server import ReferenceServer

from reference_impl.identity import DEMO_REDIRECT
from reference_impl.store.codes import Codes, Grant
from reference_impl.store.database import Database


def test_authlib_walks_the_whole_way(issuing: ReferenceServer, browser: httpx.Client) -> None:
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
            f"{issuing.origin}/oauth/authorize", code_verifier=VERIFIER
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
        assert parse_qs(urlsplit(location).query)["iss"] == [issuing.origin]
        client.fetch_token(
            f"{issuing.origin}/oauth/token", authorization_response=location, code_verifier=VERIFIER
        )
        caller = client.get(f"{issuing.url}/me").json()
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
    issuing: ReferenceServer, browser: httpx.Client, changes: Any, error: str
) -> None:
    answer = browser.get("/oauth/authorize", params=request(**changes))
    assert answer.status_code == 303
    back = parse_qs(urlsplit(answer.headers["location"]).query)
    assert (back["error"], back["state"], back["iss"]) == ([error], ["s-1"], [issuing.origin])


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
