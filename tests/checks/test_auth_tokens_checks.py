"""AUTH: each check of tokens on evidence that keeps its sentence, and on evidence that breaks it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from building import answer, dialect, gathered, no_answer

from conformance.checks import test_auth_tokens as tokens
from conformance.evidence import AUTHORIZATION_SERVER, Evidence, ProbeRecord
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
    wrong, unknown = (
        (401, INVALID | {"error_description": f"client {name}: not authenticated (trace {trace})"})
        for name, trace in (("my-client", "7f3a"), ("aiconform-0123456789abcdef", "9c1e"))
    )
    check(clients(wrong, unknown))


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

    def run(document: dict[str, Any], status: int = 200, replicas: Sequence[str] = ()) -> str:
        target = {
            "base_url": "http://127.0.0.1:8000/api/v1",
            **({"replicas": list(replicas)} if replicas else {}),
        }
        metadata = server(document, "metadata", status)
        return check(gathered("resource_metadata", challenge, metadata, notes={"place": "x"}), target)

    run(good)
    for bad in ({"resource": "http://other"}, {"authorization_servers": []}, {"resource": None}):
        with pytest.raises(Violation):
            run(good | bad)
    with pytest.raises(Violation):
        run(good, 404)
    with pytest.raises(Violation):
        run(good | {"resource": "http://127.0.0.1:8000/api/v"})
    with pytest.raises(Violation, match="resource_metadata"):
        check(gathered("resource_metadata", challenge, outcome="skipped"), {})
    with pytest.raises(Inconclusive, match="AUTH-01"):
        check(gathered("resource_metadata", answer({}, role="challenge"), outcome="skipped"), {})
    both = ("http://127.0.0.1:8000/api/v1", "http://127.0.0.1:8001/api/v1")
    run(good, replicas=both)
    with pytest.raises(Inconclusive, match="may be the balancer's address"):
        run(good | {"resource": "https://balancer.example/api/v1"}, replicas=both)
    with pytest.raises(Violation):
        run(good | {"resource": None}, replicas=both)


def test_auth_14_wants_the_certificate_with_the_token() -> None:
    check = tokens.test_a_bound_token_is_worth_nothing_without_its_certificate
    challenge = {"WWW-Authenticate": 'Bearer realm="api", error="invalid_token"'}

    def run(bare: Reading, *, bound: bool = True, same: int = 200) -> str:
        return check(gathered("bound_token", used("same", same), bare, notes={"bound": bound}))

    refused = answer(REFUSED, role="bare", status=401, headers=challenge)
    run(refused)
    for kind in ("tls", "reset"):
        assert "connection" in run(no_answer(kind, role="bare"))  # type: ignore[arg-type]
    for bad in (used("bare", 200), used("bare", 403), used("bare", 401)):
        with pytest.raises(Violation):
            run(bad)
    with pytest.raises(NotTested, match="not bound"):
        run(refused, bound=False)
    with pytest.raises(Inconclusive):
        run(refused, same=401)
    with pytest.raises(Inconclusive):
        run(no_answer("timeout_headers", role="bare"))


# ---- what other checks see


def test_checks_of_all_exchanges_do_not_see_the_authorization_server() -> None:
    api, other = used("accepted", 200).exchange, server(INVALID, "wrong_secret", 401).exchange
    evidence = Evidence({}, "contract", 0.0, 1.0, {"probe": ProbeRecord("probe", "done")}, (api, other))
    bench = Bench(evidence, dialect())
    assert [r.exchange.id for r in bench.exchanges] == [api.id]
    assert [r.exchange.id for r in bench.probed("probe").readings] == [api.id, other.id]
