"""AUTH: access tokens, as the token endpoint gives them and as nobody gave them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from conformance.checks.challenges import bearer
from conformance.checks.refusals import brief, decisive
from conformance.reading import Probed, Reading, member_of
from conformance.registry import check
from conformance.replicas import Replicas
from conformance.verdict import Inconclusive, NotTested, expect

MOST_LEEWAY = 60.0
"""Seconds."""


@check("AUTH-40")
def test_an_issued_token_is_accepted(access_token: Probed) -> str:
    """A token from the token endpoint opens the API."""
    reading = decisive(access_token["accepted"])
    expect(reading.ok, expected="a call with an issued token succeeds", seen=brief(reading), at=reading)
    return f"answered {reading.status}"


@check("AUTH-04")
def test_a_token_with_a_wrong_signature_is_refused(access_token: Probed) -> str:
    """Neither an altered signature, nor altered claims, nor a missing signature pass."""
    return _all_refused(access_token, "altered:")


@check("AUTH-26")
def test_a_token_without_an_algorithm_is_refused(access_token: Probed) -> str:
    """The algorithm `none` is no signature, however it is written."""
    return _all_refused(access_token, "unsigned:")


@check("AUTH-27")
def test_the_public_key_is_no_secret(access_token: Probed) -> str:
    """HS256 with the published key as its secret does not pass."""
    return _all_refused(access_token, "confused:")


@check("AUTH-28")
def test_an_expired_token_is_refused(token_expiry: Probed) -> str:
    """After its end and the leeway, a token is worth nothing."""
    fresh = decisive(token_expiry["fresh"])
    if not fresh.ok:
        raise Inconclusive(f"the fresh token was answered {fresh.status} (AUTH-40)")
    late = next((r for r in token_expiry.all("late") if not decisive(r).ok), None)
    reading = late or decisive(token_expiry["expired"])
    _refused(reading, "an expired token")
    return f"answered {reading.status}, leeway at most {token_expiry.notes.get('leeway', MOST_LEEWAY):g} s"


@check("AUTH-05")
def test_the_leeway_for_clocks_is_stated(self_description: Probed) -> str:
    """GET /capabilities says how far clocks may differ: at most 60 seconds."""
    reading = decisive(self_description["public:capabilities"])
    found = member_of(reading.body, "capabilities", "auth", "jwt", "leeway_seconds")
    stated = isinstance(found, int | float) and not isinstance(found, bool)
    expect(
        stated and 0 <= found <= MOST_LEEWAY,
        expected=f"a number from 0 to {MOST_LEEWAY:g}",
        seen=repr(found),
        at=reading,
        where="/capabilities/auth/jwt/leeway_seconds",
    )
    return f"{found} s"


@check("AUTH-29")
def test_a_token_for_another_audience_is_refused(foreign_token: Probed) -> str:
    """A token of the same issuer that is meant for another API does not open this one."""
    reading = decisive(foreign_token["foreign"])
    _refused(reading, "a token for another audience")
    return f"answered {reading.status}"


@check("AUTH-30")
def test_a_client_with_a_wrong_secret_gets_no_token(access_token: Probed) -> str:
    """The token endpoint answers invalid_client in the form of RFC 6749 5.2."""
    for role in ("wrong_secret", "unknown_client"):
        reading = decisive(access_token[role])
        expect(
            reading.status in (400, 401),
            expected="status 401 (or 400)",
            seen=f"{reading.status}",
            at=reading,
        )
        error = reading.body.get("error") if isinstance(reading.body, dict) else None
        expect(
            error == "invalid_client",
            expected="error invalid_client",
            seen=repr(error),
            at=reading,
            where="/error",
        )
    return "invalid_client"


@check("AUTH-31")
def test_an_unknown_client_is_answered_as_a_wrong_secret(access_token: Probed) -> str:
    """Status and error do not tell which clients exist."""
    wrong, unknown = decisive(access_token["wrong_secret"]), decisive(access_token["unknown_client"])
    first, second = _telling(wrong), _telling(unknown)
    expect(_alike(first, second), expected=f"the same answer: {first}", seen=second, at=unknown)
    return f"both answered {wrong.status}"


@check("AUTH-32")
def test_the_answer_with_a_token_is_that_of_rfc_6749(access_token: Probed) -> str:
    """JSON with access_token and token_type, which no cache keeps."""
    reading = decisive(access_token["issued"])
    expect(reading.status == 200, expected="status 200", seen=brief(reading), at=reading)
    body = reading.body if isinstance(reading.body, dict) else {}
    for name in ("access_token", "token_type"):
        expect(
            isinstance(body.get(name), str) and body[name],
            expected=f"{name}, a text",
            seen=type(body.get(name)).__name__,
            at=reading,
            where=f"/{name}",
        )
    expect(
        "no-store" in (reading.header("cache-control") or "").lower(),
        expected="Cache-Control: no-store",
        seen=reading.header("cache-control") or "no Cache-Control",
        at=reading,
        where="header Cache-Control",
    )
    return str(body["token_type"])


@check("AUTH-38")
def test_a_token_has_no_more_rights_than_it_was_given(narrow_token: Probed) -> str:
    """A token with one scope of its client's does what that allows and nothing else."""
    within, beyond = decisive(narrow_token["within"]), decisive(narrow_token["beyond"])
    expect(within.ok, expected="the call that the scope allows succeeds", seen=brief(within), at=within)
    expect(
        beyond.status == 403,
        expected="the call that the scope does not allow is 403",
        seen=brief(beyond),
        at=beyond,
    )
    return "enforced"


@check("AUTH-14")
def test_a_bound_token_is_worth_nothing_without_its_certificate(bound_token: Probed) -> str:
    """A token with a confirmation claim, used over a connection that shows no certificate."""
    same = decisive(bound_token["same"])
    if not same.ok:
        raise Inconclusive(f"with its certificate the token was answered {same.status}")
    if not bound_token.notes.get("bound"):
        raise NotTested("the token that was issued over mutual TLS has no cnf.x5t#S256: it is not bound")
    bare = bound_token.get("bare")
    if bare is not None and bare.exchange.failure and bare.exchange.failure.kind in ("tls", "reset"):
        return "no connection without a certificate"
    reading = decisive(bound_token["bare"])
    expect(reading.status == 401, expected="status 401", seen=brief(reading), at=reading)
    challenge = bearer(reading)
    expect(
        challenge.get("error") == "invalid_token",
        expected='error="invalid_token"',
        seen=challenge,
        at=reading,
        where="header WWW-Authenticate",
    )
    return "answered 401"


@check("AUTH-12")
def test_the_challenge_leads_to_the_resource_metadata(
    resource_metadata: Probed, target: Mapping[str, Any]
) -> str:
    """WWW-Authenticate names the document, which names this API and its authorization servers."""
    challenge = decisive(resource_metadata["challenge"])
    if challenge.status != 401:
        raise Inconclusive(f"a call without a credential was answered {challenge.status}, not 401 (AUTH-01)")
    expect(
        "place" in resource_metadata.notes,
        expected="resource_metadata in the challenge",
        seen=challenge.header("www-authenticate") or "no WWW-Authenticate",
        at=challenge,
        where="header WWW-Authenticate",
    )
    reading = decisive(resource_metadata["metadata"])
    expect(reading.ok, expected="status 200", seen=f"{reading.status}", at=reading)
    body = reading.body if isinstance(reading.body, dict) else {}
    base = challenge.exchange.sent.url.partition("?")[0]
    resource = body.get("resource")
    # RFC 9728 3.3: the resource must be the one that the client has asked for.
    named = isinstance(resource, str) and f"{base}/".startswith(f"{resource.rstrip('/')}/")
    if isinstance(resource, str) and not named and Replicas.of(target).several:
        raise Inconclusive(f"{resource} may be the balancer's address: replicas were asked behind it")
    expect(
        named,
        expected=f"a resource to which {base} belongs",
        seen=repr(resource),
        at=reading,
        where="/resource",
    )
    servers = body.get("authorization_servers")
    expect(
        isinstance(servers, list) and servers and all(isinstance(s, str) for s in servers),
        expected="at least one authorization server",
        seen=repr(servers),
        at=reading,
        where="/authorization_servers",
    )
    return str(resource)


def _all_refused(tokens: Probed, prefix: str) -> str:
    """Only where the genuine token opens the API do refusals of forged ones say anything."""
    if tokens.get("accepted") is not None and not decisive(tokens["accepted"]).ok:
        raise Inconclusive(f"the genuine token was answered {tokens['accepted'].status} (AUTH-40)")
    readings = tokens.some(prefix)
    for reading in readings:
        _refused(decisive(reading), f"a forged token ({reading.role})")
    return f"{len(readings)} forged tokens refused"


def _refused(reading: Reading, what: str) -> None:
    status = reading.status or 0
    expect(400 <= status < 500, expected=f"{what} is refused", seen=brief(reading), at=reading)


def _alike(known: dict[str, object], unknown: dict[str, object]) -> bool:
    """Equal, but for what no two answers have in common: the id that was sent, a time, a number of the request.

    The id that the suite made up has a digit, as times and numbers have; so only words with digits may differ.
    """
    said = unknown["description"]
    if not isinstance(said, str):
        return known == unknown
    pattern = r"\S+".join(map(re.escape, re.split(r"\S*\d\S*", said)))
    same = all(known[name] == unknown[name] for name in ("status", "error"))
    return same and re.fullmatch(pattern, str(known["description"])) is not None


def _telling(reading: Reading) -> dict[str, object]:
    body = reading.body if isinstance(reading.body, dict) else {}
    return {
        "status": reading.status,
        "error": body.get("error"),
        "description": body.get("error_description"),
    }
