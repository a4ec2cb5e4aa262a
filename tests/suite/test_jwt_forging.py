"""Forged tokens are what they say they are: only then do their refusals say something."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import ECKey, Key, RSAKey

from conformance.probes.jwt_forging import altered, confused, parts, public_key_info, unsigned

EC, RSA = ECKey.generate_key("P-256"), RSAKey.generate_key(2048)
CLAIMS = {"sub": "alice", "exp": 2_000_000_000}


def token(key: Key) -> str:
    algorithm = "ES256" if key.key_type == "EC" else "RS256"
    return jwt.encode({"alg": algorithm, "kid": "k"}, CLAIMS, key, algorithms=[algorithm])


@pytest.mark.parametrize("key", [EC, RSA])
def test_an_altered_token_reads_well_and_has_a_wrong_signature(key: Key) -> None:
    good = token(key)
    made = altered(good)
    assert set(made) == {"signature", "claims", "no_signature"}
    for name, forged in made.items():
        found = parts(forged)
        assert found is not None
        assert found[1]["sub"] == ("alice-other" if name == "claims" else "alice")
        with pytest.raises(BadSignatureError):
            jwt.decode(forged, key, algorithms=["ES256", "RS256"])


def test_an_unsigned_token_says_so() -> None:
    made = unsigned(token(EC))
    assert {name: parts(t)[0]["alg"] for name, t in made.items()} == {  # type: ignore[index]
        "none": "none",
        "nOnE": "nOnE",
        "none_signed": "none",
    }
    assert made["none"].endswith(".")
    assert made["none_signed"].split(".")[2] == token_signature(made["none_signed"])


def token_signature(text: str) -> str:
    signature = text.split(".")[2]
    assert signature
    return signature


@pytest.mark.parametrize("key", [EC, RSA])
def test_a_confused_token_is_signed_with_the_public_key(key: Key) -> None:
    published = key.as_dict(private=False)
    made = confused(token(key), published)
    secrets = {
        "pem": key.as_pem(private=False),
        "jwk": json.dumps(published, separators=(",", ":")).encode(),
    }
    for name, secret in secrets.items():
        content, _, signature = made[name].rpartition(".")
        expected = hmac.new(secret, content.encode(), hashlib.sha256).digest()
        assert base64.urlsafe_b64decode(signature + "=") == expected
        assert parts(made[name])[0] == {"alg": "HS256", "kid": "k", "typ": "JWT"}  # type: ignore[index]


@pytest.mark.parametrize("key", [EC, RSA])
def test_a_public_key_is_written_as_der(key: Key) -> None:
    assert public_key_info(key.as_dict(private=False)) == key.as_der(private=False)


@pytest.mark.parametrize(
    "key",
    [{}, {"kty": "oct", "k": "AA"}, {"kty": "EC", "crv": "P-256", "x": "AA"}, {"kty": "EC", "crv": "P-384"},
     {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, {"kty": "RSA", "n": 7, "e": "AQAB"}, {"kty": "RSA", "n": "ü"}],
)  # fmt: skip
def test_a_key_that_cannot_be_read_is_no_key(key: dict[str, object]) -> None:
    assert public_key_info(key) is None
    assert "pem" not in confused(token(EC), key)


@given(st.text(max_size=60))
def test_what_is_no_jwt_is_told_from_one(text: str) -> None:
    found = parts(text)
    assert found is None or isinstance(found[0], dict)


@pytest.mark.parametrize("text", ["", "opaque-token", "a.b.c", "..", "e30.W10.x", "e30.e30"])
def test_opaque_tokens_have_no_parts(text: str) -> None:
    assert parts(text) is None


def test_a_token_that_nobody_signed_can_be_altered_too() -> None:
    unsecured = unsigned(token(EC))["none"]
    made = altered(unsecured)
    assert made["no_signature"] == unsecured
    assert made["signature"] != unsecured
    assert parts(f"{unsecured}!") is None  # no base64url, so no JWT
