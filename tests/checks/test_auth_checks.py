"""AUTH checks on recorded bytes, and the key that nobody has."""

from __future__ import annotations

from typing import Any

import pytest
from building import answer, gathered
from hypothesis import given
from hypothesis import strategies as st

from conformance.checks import test_auth as auth
from conformance.checks.challenges import bearer
from conformance.probes.auth import similar
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotTested, Violation

PLAIN = 'Bearer realm="api"'
INVALID = 'Bearer realm="api", error="invalid_token"'
NOTHING = gathered("auth_matrix", outcome="skipped", reason="the dialect has no operation classify")


def refused(role: str, challenge: str | None = PLAIN, status: int = 401, **more: Any) -> Reading:
    body = {"error": {"code": more.pop("code", "UNAUTHENTICATED"), "message": "no", "details": {}}}
    headers = {"WWW-Authenticate": challenge} if challenge else {}
    return answer(body, **({"role": role, "status": status, "headers": headers, "principal": "none"} | more))


def probe(*readings: Reading) -> Probed:
    return gathered("auth", *readings)


NONE = refused("none:chat")


def test_auth_01_wants_401() -> None:
    auth.test_a_call_without_a_key_is_refused_with_401(
        probe(refused("none:chat", None, speaks="openai-chat"))
    )
    for bad in (
        answer({}, role="none:chat"),
        refused("none:chat", status=403),
        refused("none:chat", status=500),
    ):
        with pytest.raises(Violation):
            auth.test_a_call_without_a_key_is_refused_with_401(probe(bad))
    with pytest.raises(NotTested, match="--key"):
        auth.test_a_call_without_a_key_is_refused_with_401(
            gathered("auth", outcome="skipped", reason="give --key")
        )


def test_auth_20_wants_a_challenge_on_every_401() -> None:
    auth.test_a_401_names_the_authentication_it_wants(probe(NONE, refused("unknown_key", "Basic realm=x")))
    for challenge in (None, '"quoted"'):
        with pytest.raises(Violation):
            auth.test_a_401_names_the_authentication_it_wants(probe(NONE, refused("unknown_key", challenge)))
    with pytest.raises(Inconclusive):
        auth.test_a_401_names_the_authentication_it_wants(probe(answer({}, role="none:chat")))


@pytest.mark.parametrize(
    "value",
    [
        'Bearer realm="a, Basic b=c", error="invalid_token"',
        'Basic realm="x, Bearer error=", Bearer error="invalid_token", realm="a, Basic b=c", Digest realm="y"',
        'Negotiate, bearer realm = "a, Basic b=c",error=invalid_token, Negotiate',
    ],
)
def test_a_bearer_challenge_is_found_among_others(value: str) -> None:
    found = bearer(answer({}, status=401, headers={"WWW-Authenticate": value}))
    assert found == {"realm": "a, Basic b=c", "error": "invalid_token"}


def test_no_other_scheme_is_taken_for_bearer() -> None:
    for value in ('Basic realm="Bearer"', 'Basic realm="x", bearer="y"', "BearerX a=b"):
        with pytest.raises(Violation, match="a Bearer challenge"):
            bearer(answer({}, status=401, headers={"WWW-Authenticate": value}))


def test_auth_21_wants_bearer_with_a_realm_and_no_error() -> None:
    auth.test_a_call_without_a_key_has_the_contract_error(probe(NONE))
    for challenge in (None, "Bearer", 'Basic realm="api"', INVALID):
        with pytest.raises(Violation):
            auth.test_a_call_without_a_key_has_the_contract_error(probe(refused("none:chat", challenge)))


def test_auth_02_wants_401_for_every_wrong_key() -> None:
    good = refused("unknown_key"), refused("malformed_key")
    auth.test_a_wrong_key_is_refused_with_401(probe(NONE, *good))
    for bad in (answer({}, role="unknown_key"), refused("unknown_key", status=403)):
        with pytest.raises(Violation):
            auth.test_a_wrong_key_is_refused_with_401(probe(NONE, bad, good[1]))
    with pytest.raises(Inconclusive, match="AUTH-01"):
        auth.test_a_wrong_key_is_refused_with_401(probe(answer({}, role="none:chat"), *good))


def test_auth_22_wants_invalid_token() -> None:
    auth.test_a_wrong_key_is_an_invalid_token(
        probe(refused("unknown_key", INVALID), refused("malformed_key", "bearer error=invalid_token"))
    )
    with pytest.raises(Violation):
        auth.test_a_wrong_key_is_an_invalid_token(
            probe(refused("unknown_key", INVALID), refused("malformed_key", PLAIN))
        )


def test_auth_06_wants_the_key_in_the_url_unread() -> None:
    auth.test_a_key_in_the_query_string_is_not_read(gathered("auth_matrix", refused("key_in_query")))
    with pytest.raises(Violation):
        auth.test_a_key_in_the_query_string_is_not_read(
            gathered("auth_matrix", answer({"data": []}, role="key_in_query"))
        )


def test_auth_10_wants_401_before_400() -> None:
    auth.test_authentication_comes_before_validation(probe(NONE, refused("none:invalid_body")))
    with pytest.raises(Violation):
        auth.test_authentication_comes_before_validation(
            probe(NONE, refused("none:invalid_body", status=422))
        )


NO_TURN = gathered("turn_streams")


def test_auth_11_looks_at_every_operation() -> None:
    streamed = refused("none:chat_stream", operation="chat_stream")
    auth.test_every_protected_operation_demands_a_key(probe(NONE, streamed), NOTHING, NO_TURN)
    open_read = gathered("auth_matrix", answer({"data": []}, role="none:models", operation="models"))
    with pytest.raises(Violation, match="models"):
        auth.test_every_protected_operation_demands_a_key(probe(NONE, streamed), open_read, NO_TURN)
    with pytest.raises(NotTested):
        auth.test_every_protected_operation_demands_a_key(probe(NONE), NOTHING, NO_TURN)
    turn = gathered("turn_streams", answer({}, role="without_key", operation="turn_stream"))
    with pytest.raises(Violation, match="turn_stream"):
        auth.test_every_protected_operation_demands_a_key(probe(NONE, streamed), NOTHING, turn)


def test_auth_15_compares_all_but_the_words() -> None:
    auth.test_unknown_and_malformed_keys_get_the_same_error(
        probe(NONE, refused("unknown_key"), refused("malformed_key"))
    )
    for bad in (refused("malformed_key", status=400), refused("malformed_key", code="KEY_MALFORMED")):
        with pytest.raises(Violation):
            auth.test_unknown_and_malformed_keys_get_the_same_error(probe(NONE, refused("unknown_key"), bad))


def test_auth_16_reads_the_record_of_leaks() -> None:
    exchanges = (answer({}, id="x0001"), answer({}, id="x0002"))
    target = {"principals": ["main"]}
    clean = gathered("secrets", notes={"leaks": []})
    auth.test_no_response_contains_a_credential(exchanges, clean, target)
    with pytest.raises(Violation, match="x0002"):
        auth.test_no_response_contains_a_credential(
            exchanges, gathered("secrets", notes={"leaks": ["x0002"]}), target
        )
    for secrets, known in ((gathered("secrets", outcome="skipped"), target), (clean, {"principals": []})):
        with pytest.raises(NotTested):
            auth.test_no_response_contains_a_credential(exchanges, secrets, known)


def test_auth_23_wants_the_public_documents_public() -> None:
    good = answer({}, role="public:health", operation="health")
    auth.test_what_describes_the_api_is_public(gathered("self_description", good))
    with pytest.raises(Violation):
        auth.test_what_describes_the_api_is_public(
            gathered("self_description", good, refused("public:errors"))
        )


def turn(role: str, **more: Any) -> Reading:
    return refused(role, None, **({"status": 404, "code": "TURN_NOT_FOUND", "principal": "other"} | more))


def test_auth_24_wants_a_foreign_turn_to_be_unknown() -> None:
    auth.test_another_principals_turn_does_not_exist(
        gathered("foreign_turn", turn("foreign"), turn("unknown"))
    )
    for bad in (answer({}, role="foreign"), turn("foreign", status=403, code="INSUFFICIENT_SCOPE")):
        with pytest.raises(Violation):
            auth.test_another_principals_turn_does_not_exist(gathered("foreign_turn", bad, turn("unknown")))


def test_auth_25_compares_with_the_usual_case() -> None:
    usual = gathered("baseline", answer({"data": []}, role="models"))
    lower = answer({"data": []}, role="lower_case_scheme", operation="models")
    auth.test_the_scheme_is_matched_in_any_case(probe(NONE, lower), usual)
    with pytest.raises(Violation):
        auth.test_the_scheme_is_matched_in_any_case(
            probe(NONE, refused("lower_case_scheme", operation="models")), usual
        )
    with pytest.raises(NotTested, match="Bearer"):
        auth.test_the_scheme_is_matched_in_any_case(probe(NONE), usual)


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=80))
def test_a_similar_key_is_another_key_of_the_same_shape(key: str) -> None:
    made = similar(key)
    kept = next((n + 1 for n, c in enumerate(key[:8]) if c in "-_"), 0)
    assert made[:kept] == key[:kept]
    assert len(made) >= max(len(key), kept + 16)
    assert made.isascii()
    assert made.isprintable()


def test_a_similar_key_is_drawn_anew() -> None:
    assert similar("sk-good-1") != similar("sk-good-1")
    assert similar("sk-good-1").startswith("sk-")
