"""AUTH: each check of tokens, scopes and codes on evidence that keeps its sentence, and on evidence that breaks it."""

from __future__ import annotations

from typing import Any

import pytest
from building import answer, exchange, gathered

from conformance.checks import test_auth_codes as codes
from conformance.checks import test_auth_scopes as scopes
from conformance.checks import test_auth_tokens as tokens
from conformance.evidence import AUTHORIZATION_SERVER
from conformance.judge import Bench
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotTested, Violation

REFUSED = {"error": {"code": "UNAUTHENTICATED", "message": "no", "details": {}}}


def server(body: dict[str, Any], role: str, status: int = 200, **headers: str) -> Reading:
    """An answer of the authorization server."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return answer(body, role=role, status=status, headers=named, operation=AUTHORIZATION_SERVER)


def used(role: str, status: int = 401) -> Reading:
    return answer({} if status < 400 else REFUSED, role=role, status=status, operation="me", principal="none")


def issued(*readings: Reading, accepted: int = 200) -> Probed:
    return gathered("access_token", used("accepted", accepted), *readings)


def test_auth_40_wants_the_issued_token_to_work() -> None:
    tokens.test_an_issued_token_is_accepted(issued())
    with pytest.raises(Violation):
        tokens.test_an_issued_token_is_accepted(issued(accepted=401))
    with pytest.raises(NotTested, match="--client-id"):
        tokens.test_an_issued_token_is_accepted(
            gathered("access_token", outcome="skipped", reason="needs a client: --client-id")
        )


@pytest.mark.parametrize(
    ("check", "role"),
    [
        (tokens.test_a_token_with_a_wrong_signature_is_refused, "altered:claims"),
        (tokens.test_a_token_without_an_algorithm_is_refused, "unsigned:nOnE"),
        (tokens.test_the_public_key_is_no_secret, "confused:pem"),
    ],
    ids=["AUTH-04", "AUTH-26", "AUTH-27"],
)
def test_forged_tokens_are_refused(check: Any, role: str) -> None:
    prefix = role.partition(":")[0]
    good = used(f"{prefix}:first")
    for status in (401, 403, 400):
        check(issued(good, used(role, status)))
    for status in (200, 500):
        with pytest.raises(Violation, match=role):
            check(issued(good, used(role, status)))
    # A server that takes no token at all proves nothing by refusing forged ones.
    with pytest.raises(Inconclusive, match="AUTH-40"):
        check(issued(good, used(role), accepted=401))
    with pytest.raises(Inconclusive):
        check(issued(used(role, 429)))
    with pytest.raises(NotTested, match="no JWT"):
        check(
            gathered("access_token", used("accepted", 200), outcome="skipped", reason="the token is no JWT")
        )


def test_auth_28_wants_an_end() -> None:
    def run(*readings: Reading, leeway: float = 1.0) -> str:
        return tokens.test_an_expired_token_is_refused(
            gathered("token_expiry", *readings, notes={"leeway": leeway})
        )

    fresh = used("fresh", 200)
    run(fresh, used("expired"))
    run(fresh, used("late"))
    run(fresh, used("late", 200), used("expired"))
    with pytest.raises(Violation):
        run(fresh, used("late", 200), used("expired", 200))
    with pytest.raises(Inconclusive, match="AUTH-40"):
        run(used("fresh"), used("expired"))
    with pytest.raises(NotTested):
        run(fresh)


def test_auth_05_wants_a_leeway_that_is_stated_and_short() -> None:
    def run(jwt: Any) -> str:
        body = {"capabilities": {"auth": {"jwt": jwt}}}
        return tokens.test_the_leeway_for_clocks_is_stated(
            gathered("self_description", answer(body, role="public:capabilities"))
        )

    run({"leeway_seconds": 0})
    run({"leeway_seconds": 60})
    for bad in (
        {"leeway_seconds": 61},
        {"leeway_seconds": -1},
        {"leeway_seconds": "5"},
        {},
        None,
        {"leeway_seconds": True},
    ):
        with pytest.raises(Violation):
            run(bad)


def test_auth_29_wants_the_audience_to_count() -> None:
    tokens.test_a_token_for_another_audience_is_refused(gathered("foreign_token", used("foreign")))
    with pytest.raises(Violation):
        tokens.test_a_token_for_another_audience_is_refused(gathered("foreign_token", used("foreign", 200)))


def clients(wrong: tuple[int, Any], unknown: tuple[int, Any]) -> Probed:
    return issued(
        server(wrong[1], "wrong_secret", wrong[0]), server(unknown[1], "unknown_client", unknown[0])
    )


INVALID = {"error": "invalid_client", "error_description": "no"}


def test_auth_30_wants_invalid_client() -> None:
    check = tokens.test_a_client_with_a_wrong_secret_gets_no_token
    check(clients((401, INVALID), (400, INVALID)))
    for bad in ((200, {"access_token": "x"}), (500, INVALID), (401, {"error": "access_denied"}), (401, [])):
        with pytest.raises(Violation):
            check(clients((401, INVALID), bad))


def test_auth_31_wants_one_answer_for_both() -> None:
    check = tokens.test_an_unknown_client_is_answered_as_a_wrong_secret
    check(clients((401, INVALID), (401, dict(INVALID))))
    for bad in ((400, INVALID), (401, INVALID | {"error_description": "no such client"})):
        with pytest.raises(Violation):
            check(clients((401, INVALID), bad))


def test_auth_32_wants_the_form_of_rfc_6749() -> None:
    check = tokens.test_the_answer_with_a_token_is_that_of_rfc_6749
    good = {"access_token": "t", "token_type": "Bearer"}
    check(issued(server(good, "issued", cache_control="no-store")))
    check(issued(server(good, "issued", cache_control="private, No-Store")))
    for bad in (
        server(good, "issued"),
        server(good, "issued", cache_control="max-age=5"),
        server({"access_token": "t"}, "issued", cache_control="no-store"),
        server({"token_type": "Bearer", "access_token": 7}, "issued", cache_control="no-store"),
        server(good, "issued", 201, cache_control="no-store"),
    ):
        with pytest.raises(Violation):
            check(issued(bad))


def test_auth_38_wants_the_token_to_limit() -> None:
    check = tokens.test_a_token_has_no_more_rights_than_it_was_given
    check(gathered("narrow_token", used("within", 200), used("beyond", 403)))
    for within, beyond in ((200, 200), (403, 403), (200, 401)):
        with pytest.raises(Violation):
            check(gathered("narrow_token", used("within", within), used("beyond", beyond)))


def test_auth_12_wants_a_way_from_the_challenge() -> None:
    check = tokens.test_the_challenge_leads_to_the_resource_metadata
    challenge = answer(REFUSED, role="challenge", status=401, path="/api/v1/chat")
    good = {"resource": "http://127.0.0.1:8000/api/v1", "authorization_servers": ["https://a.example"]}

    def run(document: dict[str, Any], status: int = 200) -> str:
        return check(
            gathered(
                "resource_metadata", challenge, server(document, "metadata", status), notes={"place": "x"}
            )
        )

    run(good)
    for bad in ({"resource": "http://other"}, {"authorization_servers": []}, {"resource": None}):
        with pytest.raises(Violation):
            run(good | bad)
    with pytest.raises(Violation):
        run(good, 404)
    with pytest.raises(Violation, match="resource_metadata"):
        check(gathered("resource_metadata", challenge, outcome="skipped"))


# ---- scopes

SCOPED = 'Bearer realm="api", error="insufficient_scope", scope="models:b:invoke"'


def forbidden(role: str, challenge: str | None = SCOPED, status: int = 403, **error: Any) -> Reading:
    body = {
        "error": {"code": "INSUFFICIENT_SCOPE", "details": {"required_scopes": ["models:b:invoke"]}} | error
    }
    headers = {"WWW-Authenticate": challenge} if challenge else {}
    return answer(body, role=role, status=status, headers=headers, principal="narrow")


def narrow(**changes: Reading) -> Probed:
    good = {
        "me": answer({"principal": "n", "tier": "t", "scopes": ["models:a:invoke"]}, role="me"),
        "list": forbidden("list"),
        "a1": answer({}, role="model:a-1"),
        "a": answer({}, role="model:a"),
        "b1": forbidden("model:b-1"),
        "b": forbidden("model:b"),
    }
    return gathered("narrow_key", *(good | changes).values(), notes={"models": [["a-1", "a"], ["b-1", "b"]]})


@pytest.mark.parametrize("place", ["list", "b1", "b"])
def test_auth_03_wants_403_with_the_missing_scopes(place: str) -> None:
    check, role = (
        scopes.test_a_missing_scope_is_403_and_named,
        {"list": "list", "b1": "model:b-1", "b": "model:b"}[place],
    )
    check(narrow())
    for bad in (
        answer({}, role=role),
        forbidden(role, status=401),
        forbidden(role, status=404),
        forbidden(role, code="FORBIDDEN"),
        forbidden(role, details={}),
        forbidden(role, details={"required_scopes": []}),
        forbidden(role, details=None),
    ):
        with pytest.raises(Violation):
            check(narrow(**{place: bad}))


def test_auth_37_wants_the_scope_in_the_challenge() -> None:
    check = scopes.test_a_missing_scope_is_in_the_challenge
    check(narrow())
    for bad in (
        None,
        "Basic realm=x",
        'Bearer error="invalid_token", scope="x"',
        'Bearer error="insufficient_scope"',
    ):
        with pytest.raises(Violation):
            check(narrow(b=forbidden("model:b", bad)))


def test_auth_07_wants_every_name_to_be_the_same_model() -> None:
    check = scopes.test_a_model_that_is_not_allowed_is_refused_by_every_name
    check(narrow())
    for bad in (
        {"b": answer({}, role="model:b")},
        {"a1": forbidden("model:a-1")},
        {"b1": answer({}, role="model:b-1")},
    ):
        with pytest.raises(Violation):
            check(narrow(**bad))
    everything = answer({"scopes": ["models:*:invoke"]}, role="me")
    free = {"b": answer({}, role="model:b"), "b1": answer({}, role="model:b-1")}
    with pytest.raises(Inconclusive, match="--narrow-key"):
        check(narrow(me=everything, **free))
    with pytest.raises(Inconclusive, match="AUTH-19"):
        check(narrow(me=answer({}, role="me")))


def test_a_key_that_may_do_everything_shows_nothing() -> None:
    free = {name: answer({}, role=f"model:{name}") for name in ("a-1", "a", "b-1", "b")}
    me = answer({"scopes": ["models:*:invoke", "models:read"]}, role="me")
    probe = gathered("narrow_key", me, *free.values(), notes={"models": [["a-1", "a"], ["b-1", "b"]]})
    for check in (
        scopes.test_a_missing_scope_is_403_and_named,
        scopes.test_a_missing_scope_is_in_the_challenge,
    ):
        with pytest.raises(Inconclusive, match="--narrow-key"):
            check(probe)


def test_auth_19_wants_the_caller_to_be_told() -> None:
    def run(body: dict[str, Any], status: int = 200) -> str:
        return scopes.test_the_caller_can_learn_who_it_is(
            gathered("caller", answer(body, role="me", status=status))
        )

    good = {"principal": "demo", "tier": "production", "scopes": []}
    run(good)
    for bad in ({"principal": ""}, {"tier": None}, {"scopes": None}, {"scopes": [1]}):
        with pytest.raises(Violation):
            run(good | bad)
    with pytest.raises(Violation):
        run(good, 404)


# ---- codes

CODE = "http://127.0.0.1:8765/callback?code=abc&state=aiconform"
ERROR = "http://127.0.0.1:8765/callback?error=invalid_request&state=aiconform"
GRANT = {"error": "invalid_grant"}


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


def test_auth_36_wants_pkce() -> None:
    check = codes.test_a_request_without_pkce_gets_no_code
    check(flow())
    for role in ("without_pkce", "plain"):
        with pytest.raises(Violation, match=role):
            check(flow(**{role: sent_back(role, CODE)}))
    with pytest.raises(Inconclusive):
        check(flow(redeemed=server(GRANT, "redeemed", 400)))


# ---- what other checks see


def test_checks_of_all_exchanges_do_not_see_the_authorization_server() -> None:
    from building import dialect

    from conformance.evidence import Evidence, ProbeRecord

    api, other = used("accepted", 200).exchange, server(INVALID, "wrong_secret", 401).exchange
    evidence = Evidence({}, "contract", 0.0, 1.0, {"probe": ProbeRecord("probe", "done")}, (api, other))
    bench = Bench(evidence, dialect())
    assert [r.exchange.id for r in bench.exchanges] == [api.id]
    assert [r.exchange.id for r in bench.probed("probe").readings] == [api.id, other.id]
