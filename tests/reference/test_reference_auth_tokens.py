"""Access tokens over real HTTP: the good ones work, every bad one gets the one answer that tells nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from auth_material import AUDIENCE, ISSUER, claims, client_token, ec_key, rsa_key, segment, signed, write_jwks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import Key
from reference_server import ReferenceServer

from reference_impl.identity import AuthSettings, TrustedIssuer
from reference_impl.settings import Settings

EC, RSA, STRANGER = ec_key("ec-1"), rsa_key("rsa-1"), ec_key("ec-1")
NOW = int(time.time())


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReferenceServer]:
    """A server that takes the tokens of an outside issuer whose keys are in a file."""
    jwks = write_jwks(tmp_path_factory.mktemp("keys") / "jwks.json", EC, RSA)
    auth = AuthSettings(trusted_issuers=(TrustedIssuer(ISSUER, AUDIENCE, str(jwks)),), leeway_s=5)
    with ReferenceServer(Settings(auth=auth)) as running:
        yield running


def me(server: ReferenceServer, token: str) -> httpx.Response:
    with server.client(token) as client:
        return client.get("/me")


@pytest.mark.parametrize("key", [EC, RSA], ids=["ES256", "RS256"])
def test_a_good_token_is_its_subject_with_its_scopes(trusting: ReferenceServer, key: Key) -> None:
    answer = me(trusting, signed(key, claims()))
    assert answer.status_code == 200
    assert answer.json() == {
        "principal": f"{ISSUER}|alice",
        "tier": "production",
        "scopes": ["models:*:invoke", "models:read"],
        "credential": "access_token",
        "expires_at": answer.json()["expires_at"],
    }


UNUSUAL: dict[str, Callable[[], str]] = {
    "one of two audiences": lambda: signed(EC, claims(aud=["https://other.example", AUDIENCE])),
    "expired within the leeway": lambda: signed(EC, claims(exp=int(time.time()) - 2)),
    "early within the leeway": lambda: signed(EC, claims(nbf=int(time.time()) + 3)),
    "the long type": lambda: signed(EC, claims(), typ="application/at+jwt"),
    "an upper-case type": lambda: signed(EC, claims(), typ="AT+JWT"),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_unusual_and_right_is_taken(trusting: ReferenceServer, name: str) -> None:
    assert me(trusting, UNUSUAL[name]()).status_code == 200


def hs256(secret: bytes, given_claims: dict[str, Any], **header: Any) -> str:
    content = f"{segment({'alg': 'HS256', 'typ': 'at+jwt', 'kid': 'rsa-1'} | header)}.{segment(given_claims)}"
    return f"{content}.{segment(hmac.new(secret, content.encode(), hashlib.sha256).digest())}"


def tampered(token: str) -> str:
    head, body, signature = token.split(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[0] ^= 1
    return f"{head}.{body}.{segment(bytes(raw))}"


def other_claims(token: str) -> str:
    head, body, signature = token.split(".")
    changed = json.loads(base64.urlsafe_b64decode(body + "==")) | {"sub": "mallory"}
    return f"{head}.{segment(changed)}.{signature}"


BAD: dict[str, Callable[[], str]] = {
    "no algorithm": lambda: (
        f"{segment({'alg': 'none', 'typ': 'at+jwt', 'kid': 'ec-1'})}.{segment(claims())}."
    ),
    "no algorithm, odd case": lambda: (
        f"{segment({'alg': 'nOnE', 'typ': 'at+jwt', 'kid': 'ec-1'})}.{segment(claims())}."
    ),
    "no algorithm, old signature": lambda: (
        f"{segment({'alg': 'none', 'typ': 'at+jwt', 'kid': 'ec-1'})}.{signed(EC, claims()).split('.', 1)[1]}"
    ),
    "HS256 with the public key as PEM": lambda: hs256(RSA.as_pem(private=False), claims()),
    "HS256 with the public key as DER": lambda: hs256(RSA.as_der(private=False), claims()),
    "HS256 with the public key as JWK": lambda: hs256(
        json.dumps(RSA.as_dict(private=False)).encode(), claims()
    ),
    "HS256 with an empty secret": lambda: hs256(b"", claims()),
    "RS256 with the EC key's id": lambda: signed(RSA, claims(), kid="ec-1"),
    "ES256 with the RSA key's id": lambda: signed(EC, claims(), kid="rsa-1"),
    "PS256": lambda: signed(RSA, claims(), alg="PS256"),
    "another key of the same id": lambda: signed(STRANGER, claims()),
    "a key of its own in the header": lambda: signed(STRANGER, claims(), jwk=STRANGER.as_dict(private=False)),
    "one bit of the signature": lambda: tampered(signed(EC, claims())),
    "other claims": lambda: other_claims(signed(EC, claims())),
    "no signature": lambda: signed(EC, claims()).rsplit(".", 1)[0] + ".",
    "unknown key": lambda: signed(EC, claims(), kid="ec-2"),
    "no key id": lambda: signed(EC, claims(), kid=...),
    "an ID token's type": lambda: signed(EC, claims(), typ="JWT"),
    "no type": lambda: signed(EC, claims(), typ=...),
    "an extension that must be known": lambda: signed(EC, claims(), crit=["kid"]),
    "expired": lambda: signed(EC, claims(exp=int(time.time()) - 7)),
    "no end": lambda: signed(EC, claims(exp=...)),
    "an end that is no number": lambda: signed(EC, claims(exp="tomorrow")),
    "an end that is true": lambda: signed(EC, claims(exp=True)),
    "not yet": lambda: signed(EC, claims(nbf=int(time.time()) + 20)),
    "issued in the future": lambda: signed(EC, claims(iat=int(time.time()) + 20)),
    "another audience": lambda: signed(EC, claims(aud="https://other.example")),
    "a longer audience": lambda: signed(EC, claims(aud=AUDIENCE + "/more")),
    "no audience": lambda: signed(EC, claims(aud=...)),
    "another issuer": lambda: signed(EC, claims(iss="https://evil.example")),
    "no issuer": lambda: signed(EC, claims(iss=...)),
    "no subject": lambda: signed(EC, claims(sub=...)),
    "no client": lambda: signed(EC, claims(client_id=...)),
    "bound to a certificate": lambda: signed(EC, claims(cnf={"x5t#S256": "A" * 43})),
    "bound to a key": lambda: signed(EC, claims(cnf={"jkt": "A" * 43})),
    "claims that are a list": lambda: (
        f"{segment({'alg': 'ES256', 'typ': 'at+jwt', 'kid': 'ec-1'})}.{segment([])}.AA"
    ),
    "far too long": lambda: signed(EC, claims(padding="x" * 9000)),
    "three dots": lambda: signed(EC, claims()) + ".x",
    "not base64": lambda: "!.!.!",
    "empty parts": lambda: "..",
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_token_is_refused_like_every_other(trusting: ReferenceServer, name: str) -> None:
    refused, unknown = me(trusting, BAD[name]()), me(trusting, "sk-unknown")
    assert refused.status_code == 401, refused.text
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    assert telling(refused) == telling(unknown)


def telling(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    return {name: value for name, value in error.items() if name != "request_id"}


def test_the_own_issuer_cannot_be_spoken_for_by_another(trusting: ReferenceServer) -> None:
    own = {"iss": trusting.origin, "aud": trusting.url, "sub": "demo"}
    assert me(trusting, signed(EC, claims(**own))).status_code == 401
    assert me(trusting, client_token(trusting)).json()["principal"] == "demo"


def test_a_subject_from_outside_is_nobody_from_inside(trusting: ReferenceServer) -> None:
    turn = "/chat"
    body = {"messages": [{"role": "user", "content": "hi"}], "deferred": True}
    with trusting.client("sk-demo") as inside, trusting.client(signed(EC, claims(sub="demo"))) as outside:
        posted = inside.post(turn, json=body).json()["turn_id"]
        assert outside.get("/chat/stream", params={"turn_id": posted}).status_code == 404


def test_a_token_for_another_api_is_refused_here(trusting: ReferenceServer) -> None:
    assert me(trusting, client_token(trusting, resource="https://another-api.example/")).status_code == 401


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0), replacement=st.sampled_from("ABCxyz019-_.=~"))
def test_no_changed_character_goes_unnoticed(
    trusting: ReferenceServer, position: int, replacement: str
) -> None:
    token = GOOD
    at = position % (len(token) - 1)  # the last character has bits that mean nothing
    changed = token[:at] + replacement + token[at + 1 :]
    answer = me(trusting, changed)
    assert answer.status_code == (200 if changed == token else 401)


GOOD = signed(EC, claims(exp=NOW + 3600))


def test_no_token_reaches_a_log_or_an_answer(
    trusting: ReferenceServer, caplog: pytest.LogCaptureFixture
) -> None:
    token = tampered(signed(EC, claims()))
    answer = me(trusting, token)
    for part in token.split("."):
        assert part not in answer.text
        assert part not in str(answer.headers)
        assert part not in caplog.text
