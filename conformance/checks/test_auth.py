"""AUTH: who may call, and what a refused caller learns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from conformance.checks.challenges import bearer
from conformance.checks.refusals import brief, decisive, expect_error, not_limited
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect

CHALLENGE = re.compile(r"\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+(\s|,|$)")
"""The start of an HTTP challenge: an auth-scheme (RFC 9110 11.6.1)."""

TELLING = ("code", "type", "param", "retryable", "details")
"""Members of the contract's error object that must not tell one refused caller from another."""


@check("AUTH-01")
def test_a_call_without_a_key_is_refused_with_401(auth: Probed) -> str:
    """401 for a chat call without a credential."""
    reading = decisive(auth["none:chat"])
    _expect_401(reading, "a call without a credential")
    return "answered 401"


@check("AUTH-20")
def test_a_401_names_the_authentication_it_wants(auth: Probed) -> str:
    """A 401 carries at least one challenge in WWW-Authenticate."""
    refused = [r for r in auth.some() if r.status == 401]
    if not refused:
        raise Inconclusive("no call was answered 401 (AUTH-01)")
    for reading in refused:
        value = reading.header("www-authenticate")
        expect(
            value and CHALLENGE.match(value),
            expected="WWW-Authenticate with a challenge",
            seen=value or "no WWW-Authenticate",
            at=reading,
            where="header WWW-Authenticate",
        )
    return f"{len(refused)} answers with a challenge"


@check("AUTH-21")
def test_a_call_without_a_key_has_the_contract_error(auth: Probed) -> str:
    """401 UNAUTHENTICATED with a Bearer challenge that names a realm and no error."""
    reading = auth["none:chat"]
    expect_error(reading, 401, "UNAUTHENTICATED")
    challenge = bearer(reading)
    expect(
        "realm" in challenge, expected="a realm", seen=challenge, at=reading, where="header WWW-Authenticate"
    )
    # RFC 6750 3.1: without any credential the challenge SHOULD NOT carry an error code.
    expect(
        "error" not in challenge,
        expected="no error parameter without a credential",
        seen=challenge,
        at=reading,
        where="header WWW-Authenticate",
    )
    return "401 UNAUTHENTICATED, Bearer"


@check("AUTH-02")
def test_a_wrong_key_is_refused_with_401(auth: Probed) -> str:
    """401 for a key of the right shape that nobody has, and for one of a wrong shape."""
    _demands_a_key(auth)
    for role in ("unknown_key", "malformed_key"):
        _expect_401(decisive(auth[role]), f"a wrong key ({role})")
    return "an unknown and a malformed key are answered 401"


@check("AUTH-22")
def test_a_wrong_key_is_an_invalid_token(auth: Probed) -> str:
    """401 UNAUTHENTICATED whose Bearer challenge says error="invalid_token"."""
    for role in ("unknown_key", "malformed_key"):
        reading = auth[role]
        expect_error(reading, 401, "UNAUTHENTICATED")
        challenge = bearer(reading)
        expect(
            challenge.get("error") == "invalid_token",
            expected='error="invalid_token"',
            seen=challenge,
            at=reading,
            where="header WWW-Authenticate",
        )
    return 'error="invalid_token"'


@check("AUTH-06")
def test_a_key_in_the_query_string_is_not_read(auth_matrix: Probed) -> str:
    """401 for a valid key in the URL."""
    reading = decisive(auth_matrix["key_in_query"])
    _expect_401(reading, "a key in the query string")
    return "answered 401"


@check("AUTH-10")
def test_authentication_comes_before_validation(auth: Probed) -> str:
    """An invalid body without a credential is 401, not 400."""
    _demands_a_key(auth)
    reading = decisive(auth["none:invalid_body"])
    _expect_401(reading, "an invalid body without a credential")
    return "answered 401"


@check("AUTH-11")
def test_every_protected_operation_demands_a_key(
    auth: Probed, auth_matrix: Probed, turn_streams: Probed
) -> str:
    """Streams, and in the contract every operation that is not public, are 401 without a credential."""
    _demands_a_key(auth)
    readings = [
        decisive(r)
        for r in (*auth.all("none:"), *auth_matrix.all("none:"), *turn_streams.all("without_key"))
        if r.role not in ("none:chat", "none:invalid_body")
    ]
    if not readings:
        raise NotTested("the dialect has no other protected operation")
    for reading in readings:
        _expect_401(reading, f"{reading.exchange.operation} without a credential")
    return ", ".join(sorted(r.exchange.operation for r in readings))


@check("AUTH-15")
def test_unknown_and_malformed_keys_get_the_same_error(auth: Probed) -> str:
    """Status and error do not tell whether a key has the right shape."""
    _demands_a_key(auth)
    unknown, malformed = decisive(auth["unknown_key"]), decisive(auth["malformed_key"])
    expect(
        unknown.status == malformed.status,
        expected=f"status {unknown.status} for both",
        seen=malformed.status,
        at=malformed,
    )
    first, second = _telling(unknown), _telling(malformed)
    expect(
        first == second,
        expected=f"the same error for both: {first}",
        seen=second,
        at=malformed,
        where="/error",
    )
    return f"both answered {brief(unknown)}"


@check("AUTH-16")
def test_no_response_contains_a_credential(
    exchanges: tuple[Reading, ...], secrets: Probed, target: Mapping[str, Any]
) -> str:
    """None of the run's own keys occurs in a body or header that came back."""
    if not target.get("principals"):
        raise NotTested("the run used no key")
    if "leaks" not in secrets.notes:
        raise NotTested(secrets.record.reason or "the run kept no record of leaked credentials")
    leaks = list(secrets.notes["leaks"])
    first = next((r for r in exchanges if leaks and r.exchange.id == leaks[0]), None)
    expect(
        not leaks,
        expected="no credential in any response",
        seen=f"a key in {len(leaks)} responses: {', '.join(leaks[:5])}",
        at=first,
    )
    return f"{len(exchanges)} exchanges without a credential in the response"


@check("AUTH-23")
def test_what_describes_the_api_is_public(self_description: Probed) -> str:
    """Description, capabilities, error catalogue and health answer without a credential."""
    readings = not_limited(self_description, "public:")
    for reading in readings:
        expect(reading.status == 200, expected="status 200 without a key", seen=brief(reading), at=reading)
    return ", ".join(sorted(r.exchange.operation for r in readings))


@check("AUTH-24")
def test_another_principals_turn_does_not_exist(foreign_turn: Probed) -> str:
    """Another principal's turn is 404 TURN_NOT_FOUND, exactly as a turn nobody posted."""
    foreign, unknown = foreign_turn["foreign"], foreign_turn["unknown"]
    expect_error(unknown, 404, "TURN_NOT_FOUND")
    expect_error(foreign, 404, "TURN_NOT_FOUND")
    first, second = _telling(unknown), _telling(foreign)
    expect(first == second, expected=f"the same error: {first}", seen=second, at=foreign, where="/error")
    return "both answered 404 TURN_NOT_FOUND"


@check("AUTH-25")
def test_the_scheme_is_matched_in_any_case(auth: Probed, baseline: Probed) -> str:
    """`bearer` in lower case authenticates as `Bearer` does."""
    if auth.get("lower_case_scheme") is None and auth.record.outcome == "done":
        raise NotTested("the dialect does not authenticate with `Authorization: Bearer`")
    _demands_a_key(auth)
    lower = decisive(auth["lower_case_scheme"])
    usual = baseline["models" if lower.exchange.operation == "models" else "chat"]
    if not usual.ok:
        raise Inconclusive(f"the same call with `Bearer` was answered {usual.status}")
    expect(
        lower.status not in (401, 403),
        expected=f"status {usual.status}, as with Bearer",
        seen=brief(lower),
        at=lower,
    )
    return f"answered {lower.status}"


def _expect_401(reading: Reading, what: str) -> None:
    expect(reading.status == 401, expected=f"{what} is answered 401", seen=brief(reading), at=reading)


def _demands_a_key(auth: Probed) -> None:
    """Where a call without any credential is executed, other questions have no answer of their own."""
    if auth["none:chat"].ok:
        raise Inconclusive("the target executes calls without any credential (AUTH-01)")


def _telling(reading: Reading) -> dict[str, object]:
    """The error object without its words and its ids."""
    body = reading.body if isinstance(reading.body, dict) else {}
    error = body.get("error")
    return {name: error.get(name) for name in TELLING} if isinstance(error, dict) else {}
