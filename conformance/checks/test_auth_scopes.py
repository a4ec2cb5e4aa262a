"""AUTH: scopes, and what the server says about its caller."""

from __future__ import annotations

from typing import Any

from conformance.checks.challenges import bearer
from conformance.checks.refusals import brief, decisive, expect_error
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, expect


@check("AUTH-03")
def test_a_missing_scope_is_403_and_named(narrow_key: Probed) -> str:
    """403 INSUFFICIENT_SCOPE, with the missing scopes in its details."""
    refused = _refused(narrow_key)
    for reading in refused:
        expect_error(reading, 403, "INSUFFICIENT_SCOPE")
        details: Any = (
            reading.body.get("error", {}).get("details") if isinstance(reading.body, dict) else None
        )
        required = details.get("required_scopes") if isinstance(details, dict) else None
        expect(
            isinstance(required, list) and required and all(isinstance(s, str) for s in required),
            expected="the scopes that are missing",
            seen=repr(required),
            at=reading,
            where="/error/details/required_scopes",
        )
    return f"{len(refused)} calls refused"


@check("AUTH-37")
def test_a_missing_scope_is_in_the_challenge(narrow_key: Probed) -> str:
    """Bearer error="insufficient_scope" with the scope that would do."""
    refused = _refused(narrow_key)
    for reading in refused:
        challenge = bearer(reading)
        expect(
            challenge.get("error") == "insufficient_scope" and challenge.get("scope"),
            expected='error="insufficient_scope" and scope="…"',
            seen=challenge,
            at=reading,
            where="header WWW-Authenticate",
        )
    return f"{len(refused)} challenges"


@check("AUTH-07")
def test_a_model_that_is_not_allowed_is_refused_by_every_name(narrow_key: Probed) -> str:
    """With each name of a model the answer is as with its others, and as GET /me says."""
    scopes = _scopes(narrow_key)
    allowed, refused = 0, 0
    for names in narrow_key.notes.get("models", []):
        readings = [decisive(narrow_key[f"model:{name}"]) for name in names]
        may = any(_invokes(scope, name) for scope in scopes for name in names)
        for reading in readings:
            expect(
                reading.ok if may else reading.status == 403,
                expected=f"{'success' if may else '403'} for {reading.role}, with the scopes {scopes}",
                seen=brief(reading),
                at=reading,
            )
        allowed, refused = allowed + may, refused + (not may)
    if not allowed or not refused:
        raise Inconclusive(
            "the narrow key may use all models or none: give one that may use some (--narrow-key)"
        )
    return f"{allowed} allowed, {refused} refused"


@check("AUTH-19")
def test_the_caller_can_learn_who_it_is(caller: Probed) -> str:
    """GET /me lists principal, tier and scopes."""
    reading = decisive(caller["me"])
    expect(reading.status == 200, expected="status 200", seen=brief(reading), at=reading)
    body = reading.body if isinstance(reading.body, dict) else {}
    for name in ("principal", "tier"):
        expect(
            isinstance(body.get(name), str) and body[name],
            expected=f"{name}, a text",
            seen=repr(body.get(name)),
            at=reading,
            where=f"/{name}",
        )
    expect(
        isinstance(body.get("scopes"), list) and all(isinstance(s, str) for s in body["scopes"]),
        expected="scopes, a list of texts",
        seen=repr(body.get("scopes")),
        at=reading,
        where="/scopes",
    )
    return f"{body['principal']}, {len(body['scopes'])} scopes"


def _scopes(probe: Probed) -> list[str]:
    reading = decisive(probe["me"])
    scopes = reading.body.get("scopes") if reading.ok and isinstance(reading.body, dict) else None
    if not isinstance(scopes, list):
        raise Inconclusive("GET /me does not tell the scopes of the narrow key (AUTH-19)")
    return [s for s in scopes if isinstance(s, str)]


def _refused(probe: Probed) -> list[Reading]:
    """The calls for which the key has no scope by its own word, else INCONCLUSIVE."""
    scopes = _scopes(probe)
    beyond = [] if "models:read" in scopes else [decisive(probe["list"])]
    for names in probe.notes.get("models", []):
        if not any(_invokes(scope, name) for scope in scopes for name in names):
            beyond += [decisive(probe[f"model:{name}"]) for name in names]
    if not beyond:
        raise Inconclusive(
            "the narrow key may do all that was tried: give one with fewer scopes (--narrow-key)"
        )
    return beyond


def _invokes(scope: str, model: str) -> bool:
    return scope in (f"models:{model}:invoke", "models:*:invoke")
