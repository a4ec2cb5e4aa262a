"""AUTH: each check of the authorization code flow on evidence that keeps its sentence, and that breaks it."""

from __future__ import annotations

from typing import Any

import pytest
from building import answer, exchange, gathered

from conformance.checks import test_auth_codes as codes
from conformance.evidence import AUTHORIZATION_SERVER
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, Violation

CODE = "http://127.0.0.1:8765/callback?code=abc&state=aiconform"
ERROR = "http://127.0.0.1:8765/callback?error=invalid_request&state=aiconform"
GRANT = {"error": "invalid_grant"}


def server(body: dict[str, Any], role: str, status: int = 200, **headers: str) -> Reading:
    """An answer of the authorization server."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return answer(body, role=role, status=status, headers=named, operation=AUTHORIZATION_SERVER)


def sent_back(role: str, location: str | None, status: int = 303) -> Reading:
    headers = {} if location is None else {"Location": location}
    return exchange(role=role, status=status, headers=tuple(headers.items()), operation=AUTHORIZATION_SERVER)


def flow(**changes: Reading) -> Probed:
    good = {
        "elsewhere": sent_back("elsewhere", None, 400),
        "without_pkce": sent_back("without_pkce", ERROR),
        "plain": sent_back("plain", ERROR),
        "redeemed": server({"access_token": "t"}, "redeemed"),
        "again": server(GRANT, "again", 400),
        "other_verifier": server(GRANT, "other_verifier", 400),
    }
    return gathered("authorization_code", *(good | changes).values())


@pytest.mark.parametrize(
    ("check", "role"),
    [(codes.test_a_code_works_once, "again"), (codes.test_a_code_needs_its_verifier, "other_verifier")],
    ids=["AUTH-33", "AUTH-34"],
)
def test_a_code_is_refused_where_it_should_be(check: Any, role: str) -> None:
    check(flow())
    for bad in (
        server({"access_token": "t"}, role),
        server({"error": "server_error"}, role, 500),
        server({}, role, 400),
    ):
        with pytest.raises(Violation):
            check(flow(**{role: bad}))
    with pytest.raises(Inconclusive):
        check(flow(redeemed=server(GRANT, "redeemed", 400)))


def test_auth_35_wants_exact_addresses() -> None:
    check = codes.test_codes_go_to_registered_addresses_only
    check(flow())
    check(flow(elsewhere=sent_back("elsewhere", "https://login.example/error?reason=redirect_uri", 302)))
    for bad in (
        "http://127.0.0.1:8765/callback.aiconform.invalid?code=abc",
        "http://127.0.0.1:8765/callback.aiconform.invalid?error=invalid_request",
        "https://app.example.aiconform.invalid/?error=x",
        CODE,
    ):
        with pytest.raises(Violation) as problem:
            check(flow(elsewhere=sent_back("elsewhere", bad)))
        assert "abc" not in str(problem.value)
    with pytest.raises(Inconclusive):
        check(flow(redeemed=server(GRANT, "redeemed", 400)))


def test_auth_36_wants_pkce() -> None:
    check = codes.test_a_request_without_pkce_gets_no_code
    check(flow())
    for role in ("without_pkce", "plain"):
        with pytest.raises(Violation, match=role):
            check(flow(**{role: sent_back(role, CODE)}))
    with pytest.raises(Inconclusive):
        check(flow(redeemed=server(GRANT, "redeemed", 400)))
