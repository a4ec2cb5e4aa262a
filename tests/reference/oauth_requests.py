"""What the tests of the authorization server share: a browser, token requests, authorization requests."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from reference_impl.identity import DEMO_REDIRECT

SERVICE = ("demo-service", "demo-service-secret")
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


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
