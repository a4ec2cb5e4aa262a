"""Keys, tokens and certificates for the tests about authentication: all made here, none of them known elsewhere."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet, RSAKey
from reference_server import ReferenceServer

ISSUER = "https://login.example"
AUDIENCE = "https://ai.example/api"


def ec_key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig"})


def rsa_key(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


def write_jwks(path: Path, *keys: Key, private: bool = False) -> Path:
    path.write_text(json.dumps(KeySet(list(keys)).as_dict(private=private)))
    return path


def claims(**changes: Any) -> dict[str, Any]:
    """Good claims of the outside issuer; a value of ``...`` removes one."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "alice",
        "client_id": "an-app",
        "scope": "models:*:invoke models:read",
        "iat": now,
        "exp": now + 300,
        "jti": "j-1",
    }
    return {name: value for name, value in (good | changes).items() if value is not ...}


def signed(key: Key, given: dict[str, Any], **header: Any) -> str:
    """A token; header fields as in :func:`claims`."""
    algorithm = header.pop("alg", "ES256" if key.key_type == "EC" else "RS256")
    fields = {"alg": algorithm, "typ": "at+jwt", "kid": key.kid} | header
    fields = {name: value for name, value in fields.items() if value is not ...}
    return jwt.encode(fields, given, key, algorithms=[algorithm], default_type=None)


def segment(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def client_token(reference: ReferenceServer, **form: str) -> str:
    """An access token of the server's own issuer, by client credentials."""
    answer = httpx.post(
        f"{reference.origin}/oauth/token",
        data={"grant_type": "client_credentials", **form},
        auth=("demo-service", "demo-service-secret"),
        verify=False,
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["access_token"]
    return token


@dataclass(frozen=True)
class Pair:
    """PEM files of a certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority of this test alone."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = folder / f"{name}.pem"
        made = self._builder(self._name, self._key.public_key(), ca=True).sign(self._key, hashes.SHA256())
        self.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> Pair:
        """A certificate for 127.0.0.1, good for servers and clients."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, key.public_key(), ca=False).add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        made = builder.sign(self._key, hashes.SHA256())
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        pair.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return pair

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, ca: bool
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
