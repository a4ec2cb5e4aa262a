"""Mutants of authentication and authorization: one decision taken wrongly, or one answer told wrongly."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from joserfc.jwk import KeySet, RSAKey

from reference_impl.mutants import identity_decisions as broken
from reference_impl.mutants.edits import (
    Edit,
    Wrap,
    drop_headers,
    error_with,
    on_status,
    set_header,
    set_header_on,
    to_status,
    when,
)
from reference_impl.mutants.model import ASGIApp, mutant, variant
from reference_impl.mutants.wire import Answer, Headers, edit_answers, edit_heads
from reference_impl.oauth.keys import KeyRing
from reference_impl.policies import Policies
from reference_impl.policies.auth import BearerCredentials
from reference_impl.policies.grants import StrictGrants
from reference_impl.policies.scopes import HeldScopes
from reference_impl.policies.tokens import AccessTokens

Change = Callable[[Policies], Policies]


def _tokens(kind: type[AccessTokens]) -> Change:
    def change(policies: Policies) -> Policies:
        auth = policies.auth
        if not isinstance(auth, BearerCredentials) or not isinstance(auth.tokens, AccessTokens):
            raise TypeError("the mutant replaces a part of the default policies")
        return replace(policies, auth=replace(auth, tokens=kind(**vars(auth.tokens))))

    return change


def _auth(kind: type[BearerCredentials]) -> Change:
    return lambda policies: replace(policies, auth=kind(**vars(policies.auth)))


def _grants(make: Callable[[], StrictGrants]) -> Change:
    return lambda policies: replace(policies, grants=make())


def _scopes(make: Callable[[], HeldScopes]) -> Change:
    return lambda policies: replace(policies, scopes=make())


def _rs256(policies: Policies) -> Policies:
    """Tokens signed by RSA: both the server that issues them and the one that checks them get the key."""
    ring = KeyRing(KeySet([RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"})]))
    auth = policies.auth
    if not isinstance(auth, BearerCredentials) or not isinstance(auth.tokens, AccessTokens):
        raise TypeError("the variant replaces a part of the default policies")
    return replace(policies, auth=replace(auth, own_keys=ring, tokens=replace(auth.tokens, own_keys=ring)))


def _at(ending: str, edit: Edit) -> Wrap:
    """Rewrite the answers of the paths with this ending, whatever their status."""
    return when(lambda a: a.scope["path"].endswith(ending), edit)


def _client_told(answer: Answer) -> Answer:
    """Says which half of the client's credentials was wrong."""
    if b"invalid_client" not in answer.body:
        return answer
    given = base64.b64decode(answer.asked(b"authorization").removeprefix(b"Basic "))
    known = given.startswith(b"demo-service:")
    return answer.with_json(
        {**answer.json, "error_description": "wrong secret" if known else "no such client"}
    )


def _shape_told(answer: Answer) -> Answer:
    given = answer.asked(b"authorization").lower()
    malformed = bool(given) and not given.startswith(b"bearer sk-")
    return error_with(details={"reason": "malformed"})(answer) if malformed else answer


def _without_parameter(name: str) -> Callable[[int, Headers], Headers]:
    """The challenge of a 401 without one of its parameters."""

    def edit(status: int, headers: Headers) -> Headers:
        changed = []
        for key, value in headers:
            if key == b"www-authenticate" and status == 401:
                kept = [p for p in value.decode().split(", ") if not p.startswith(f"{name}=")]
                value = ", ".join(kept).encode()
            changed.append((key, value))
        return changed

    return edit


def _lend_a_key(wanted: Callable[[Any], bool]) -> Callable[[ASGIApp], ASGIApp]:
    """A route on which authentication was forgotten: who comes without a credential is served all the same."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            bare = scope["type"] == "http" and not any(k == b"authorization" for k, _ in scope["headers"])
            if bare and wanted(scope):
                headers = [*scope["headers"], (b"authorization", b"Bearer sk-demo")]
                scope = {**scope, "headers": headers}
            await app(scope, receive, send)

        return wrapped

    return wrap


def _validation_first(answer: Answer) -> Answer:
    empty = answer.status == 401 and answer.asked(b"content-length") == b"2"
    return replace(answer, status=400) if empty else answer


def _key_for_errors(answer: Answer) -> Answer:
    return replace(answer, status=401) if not answer.asked(b"authorization") else answer


def _leeway(answer: Answer) -> Answer:
    body = answer.json
    body["capabilities"]["auth"]["jwt"]["leeway_seconds"] = 300
    return answer.with_json(body)


def _another_resource(answer: Answer) -> Answer:
    return answer.with_json({**answer.json, "resource": "https://another-api.example"})


def _nobody(answer: Answer) -> Answer:
    return (
        answer.with_json({k: v for k, v in answer.json.items() if k != "scopes"})
        if answer.status == 200
        else answer
    )


def _two_challenges(status: int, headers: Headers) -> Headers:
    return [
        (k, v + b', DPoP algs="ES256"') if k == b"www-authenticate" and status == 401 else (k, v)
        for k, v in headers
    ]


METADATA = "/oauth-protected-resource/api/v1"

MUTANTS = (
    mutant("token-unverified", "AUTH-04", "a token is decoded and never verified", policies=_tokens(broken.Unverified)),
    mutant("token-alg-none", "AUTH-26", "a token may say that it needs no signature", policies=_tokens(broken.NoneTaken)),
    mutant("token-hs-confusion", "AUTH-27", "the public key is an HMAC secret too", policies=_tokens(broken.Confused)),
    mutant("token-never-expires", "AUTH-28", "exp is ignored", policies=_tokens(broken.Eternal)),
    mutant("token-any-audience", "AUTH-29", "aud is ignored", policies=_tokens(broken.AnyAudience)),
    mutant("token-rights-of-holder", "AUTH-38", "a token has all rights of its holder", policies=_tokens(broken.RightsOfTheHolder)),
    mutant("token-unknown", "AUTH-40", "issued tokens are refused", policies=_tokens(broken.NoTokens)),
    mutant("leeway-of-minutes", "AUTH-05", "clocks may differ by five minutes", wrap=_at("/capabilities", _leeway)),
    mutant("scopes-unenforced", "AUTH-03 AUTH-07", "scopes are shown and never compared", policies=_scopes(broken.Unscoped)),
    mutant("scope-of-any-model", "AUTH-07", "a right to one model is a right to all", policies=_scopes(broken.FamilyIsEnough)),
    mutant("scope-as-401", "AUTH-03", "a missing scope gives 401", wrap=on_status(403, to_status(401))),
    mutant("scope-as-404", "AUTH-03 AUTH-07", "a missing scope gives 404", wrap=on_status(403, to_status(404))),
    mutant("scope-unnamed", "AUTH-03", "403 does not say which scope", wrap=on_status(403, error_with(details={}))),
    mutant("403-without-challenge", "AUTH-37", "403 without WWW-Authenticate", wrap=drop_headers(b"www-authenticate", status=403)),
    mutant("403-says-invalid-token", "AUTH-37", "403 says that the token is invalid", wrap=set_header(b"www-authenticate", b'Bearer realm="x", error="invalid_token"', 403)),
    mutant("code-reusable", "AUTH-33", "an authorization code works until it expires", policies=_grants(broken.Reusable)),
    mutant("pkce-unchecked", "AUTH-34", "any verifier redeems a code", policies=_grants(broken.AnyVerifier)),
    mutant("pkce-optional", "AUTH-36", "a code without PKCE", policies=_grants(broken.PkceOptional)),
    mutant("pkce-plain", "AUTH-36", "the method plain is taken", policies=_grants(broken.PkcePlain)),
    mutant("redirect-by-prefix", "AUTH-35", "redirect URIs are compared by prefix", policies=_grants(broken.RedirectByPrefix)),
    mutant("any-client-secret", "AUTH-30", "the client's secret is not compared", policies=_grants(broken.AnySecret)),
    mutant("client-error-as-500", "AUTH-30", "a wrong client gives 500", wrap=_at("/oauth/token", lambda a: replace(a, status=500) if a.status == 401 else a)),
    mutant("clients-told-apart", "AUTH-31", "an unknown client has its own error", wrap=_at("/oauth/token", _client_told)),
    mutant("token-cacheable", "AUTH-32", "a token may be cached", wrap=_at("/oauth/token", lambda a: set_header_on(a, b"cache-control", b"max-age=600"))),
    mutant("no-resource-metadata", "AUTH-12", "the challenge leads nowhere", wrap=edit_heads(_without_parameter("resource_metadata"))),
    mutant("another-resource", "AUTH-12", "the metadata are another API's", wrap=_at(METADATA, _another_resource)),
    mutant("caller-without-scopes", "AUTH-19", "GET /me tells no scopes", wrap=_at("/me", _nobody)),
    mutant("challenge-without-error", "AUTH-22", "a wrong key is not told from none", wrap=edit_heads(_without_parameter("error"))),
    mutant("challenge-basic", "AUTH-21 AUTH-22", "the challenge names another scheme", wrap=set_header(b"www-authenticate", b'Basic realm="x"', 401)),
    mutant("key-shape-told", "AUTH-15", "a malformed key has details of its own", wrap=on_status(401, _shape_told)),
    mutant("open-to-all", "AUTH-01", "calls without a key are served", wrap=_lend_a_key(lambda s: True)),
    mutant("open-models", "AUTH-11", "the model list is open", wrap=_lend_a_key(lambda s: s["path"].endswith("/models"))),
    mutant("validation-first", "AUTH-10", "an invalid body is told before the missing key", wrap=edit_answers(_validation_first)),
    mutant("errors-behind-key", "AUTH-23", "the error catalogue needs a key", wrap=_at("/errors", _key_for_errors)),
    mutant("scheme-case-sensitive", "AUTH-25", "bearer is not Bearer", policies=_auth(broken.CaseSensitive)),
    mutant("one-tenant", "AUTH-24", "everybody sees everybody's turns", policies=_auth(broken.OneTenant)),
)  # fmt: skip

VARIANTS = (
    variant("rs256-tokens", "tokens are signed with RSA", policies=_rs256),
    variant("two-challenges", "a second challenge beside Bearer", wrap=edit_heads(_two_challenges)),
    variant("invalid-client-as-400", "a wrong client gives 400", wrap=_at("/oauth/token", lambda a: replace(a, status=400) if a.status == 401 else a)),
)  # fmt: skip
