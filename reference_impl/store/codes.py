"""Authorization codes: kept by their hash, for a minute, until they are redeemed once."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass

from sqlalchemy import delete, insert

from reference_impl.store.database import Database
from reference_impl.store.tables import CODES


@dataclass(frozen=True)
class Grant:
    """What the resource owner allowed: which client, to do what (scopes separated by spaces), for whom."""

    client_id: str
    principal: str
    scope: str
    redirect_uri: str
    challenge: str
    resource: str


class Codes:
    """Codes are secrets with 256 random bits; the database never sees one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, grant: Grant, ttl_s: float) -> str:
        """A new code for a grant."""
        code = secrets.token_urlsafe(32)
        row = {
            "sha256": _digest(code),
            "client_id": grant.client_id,
            "principal": grant.principal,
            "scope": grant.scope,
            "redirect_uri": grant.redirect_uri,
            "challenge": grant.challenge,
            "resource": grant.resource,
            "expires_at": time.time() + ttl_s,
        }
        async with self._database.transaction() as connection:
            await connection.execute(delete(CODES).where(CODES.c.expires_at <= time.time()))
            await connection.execute(insert(CODES).values(row))
        return code

    async def take(self, code: str) -> Grant | None:
        """The grant of a code that exists and has not expired. It is gone afterwards, whoever asked."""
        async with self._database.transaction() as connection:
            taken = await connection.execute(
                delete(CODES).where(CODES.c.sha256 == _digest(code)).returning(*CODES.c)
            )
            row = taken.one_or_none()
        if row is None or row.expires_at <= time.time():
            return None
        return Grant(row.client_id, row.principal, row.scope, row.redirect_uri, row.challenge, row.resource)


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogateescape")).hexdigest()
