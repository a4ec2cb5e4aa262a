"""Signing keys: this server's own, and those that other issuers publish (JWKS, RFC 7517)."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, RSAKey

_log = logging.getLogger("aiconform.reference")

FRESH_S = 600.0
"""How long a fetched set is used before it is fetched again, so that a withdrawn key stops working."""

PAUSE_S = 5.0
"""Least time between two fetches: tokens with invented key ids must not make this server a load generator."""

_FETCH_S = 5.0
_LARGEST = 256 * 1024


class SigningKeysError(Exception):
    """The file of signing keys cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Algorithm:
    """A signature algorithm and the keys it goes with."""

    name: str
    kind: type[Any]
    curve: str | None = None

    def fits(self, key: Key) -> bool:
        """Whether a key may be used with it: its type, its curve, and `alg` and `use` where it has them."""
        parameters = key.as_dict(private=False)
        return (
            isinstance(key, self.kind)
            and parameters.get("crv") == self.curve
            and parameters.get("alg", self.name) == self.name
            and parameters.get("use", "sig") == "sig"
        )


ALGORITHMS = {a.name: a for a in (Algorithm("ES256", ECKey, "P-256"), Algorithm("RS256", RSAKey))}
"""All asymmetric: nobody who can check a token can make one."""


class KeySource(Protocol):
    """Public keys of one issuer."""

    async def find(self, kid: str) -> Key | None:
        """The key with this id."""
        ...


class KeyRing:
    """This server's keys: the first signs, all verify and are published."""

    def __init__(self, keys: KeySet) -> None:
        self._keys = keys
        self.signing = keys.keys[0]
        self.algorithm = next(a for a in ALGORITHMS.values() if a.fits(self.signing))

    @classmethod
    def load(cls, path: str | None) -> KeyRing:
        """The keys of a JWKS file, or a new one.

        Raises:
            SigningKeysError: it cannot be read, or a key in it cannot sign with ES256 or RS256.
        """
        if path is None:
            return cls(KeySet([ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"})]))
        try:
            keys = KeySet.import_key_set(json.loads(Path(path).read_text("utf-8")))
        except (OSError, ValueError, TypeError, KeyError, JoseError) as problem:
            raise SigningKeysError(
                f"the signing keys {path} cannot be read: {problem}; give a JWKS file"
            ) from None
        if not all(key.is_private and any(a.fits(key) for a in ALGORITHMS.values()) for key in keys):
            raise SigningKeysError(f"{path} has a key that is no private ES256 or RS256 key; remove it")
        return cls(keys)

    async def find(self, kid: str) -> Key | None:
        """The key with this id."""
        return next((key for key in self._keys if key.kid == kid), None)

    def published(self) -> dict[str, Any]:
        """The public keys as a JWKS document."""
        return {"keys": [key.as_dict(private=False) for key in self._keys]}


class PublishedKeys:
    """The keys behind a URL or in a file. A key id that is not known yet makes them be read again."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._keys: dict[str, Key] = {}
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    async def find(self, kid: str) -> Key | None:
        """The key with this id; what cannot be read now leaves the keys as they were."""
        async with self._lock:
            age = time.monotonic() - self._read_at
            if age > FRESH_S or (kid not in self._keys and age > PAUSE_S):
                self._read_at = time.monotonic()
                try:
                    self._keys = _keys(await _read(self._place))
                except (OSError, httpx.HTTPError, ValueError, TypeError, KeyError, JoseError) as problem:
                    _log.warning(
                        "the keys at %s cannot be read: %s", self._place, problem or type(problem).__name__
                    )
            return self._keys.get(kid)


async def _read(place: str) -> bytes:
    if not place.startswith(("https://", "http://")):
        return await asyncio.to_thread(Path(place).read_bytes)
    async with (
        httpx.AsyncClient(timeout=_FETCH_S, follow_redirects=False, trust_env=False) as client,
        client.stream(
            "GET", place, headers={"Accept": "application/jwk-set+json, application/json"}
        ) as answer,
    ):
        answer.raise_for_status()
        body = b""
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > _LARGEST:
                raise ValueError("the document is too large")
        return body


def _keys(document: bytes) -> dict[str, Key]:
    # A symmetric key in a public document would let everybody sign: no algorithm fits it, so it is left out.
    found = KeySet.import_key_set(json.loads(document))
    return {str(k.kid): k for k in found if any(a.fits(k) for a in ALGORITHMS.values())}
