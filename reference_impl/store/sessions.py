"""Conversations that the server remembers: whose they are, what was said, and who is adding to them now."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, delete, func, insert, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from reference_impl.engine.base import Message
from reference_impl.store.database import Database, Transaction
from reference_impl.store.tables import SESSION_MESSAGES, SESSIONS


@dataclass(frozen=True)
class Session:
    """One conversation with everything said in it, oldest first. Times are seconds since the epoch."""

    id: str
    created_at: float
    expires_at: float
    messages: tuple[Message, ...]


class SessionIsBusyError(Exception):
    """Another turn of the session is under way."""


class Sessions:
    """Sessions exist for the principal that made them, until they expire or are deleted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, session_id: str, principal: str, created_at: float, ttl_s: float) -> Session:
        """A new, empty session. What has expired is deleted on this occasion."""
        expires_at = created_at + ttl_s
        async with self._database.transaction() as connection:
            await _delete_expired(connection)
            await connection.execute(
                insert(SESSIONS).values(
                    id=session_id, principal=principal, created_at=created_at, expires_at=expires_at
                )
            )
        return Session(session_id, created_at, expires_at, ())

    async def find(self, session_id: str, principal: str) -> Session | None:
        """The session, if it exists, belongs to `principal` and has not expired."""
        async with self._database.transaction() as connection:
            return await _read(connection, session_id, principal)

    async def take(self, session_id: str, principal: str, lease: str, seconds: float) -> Session | None:
        """The session, and the sole right to add to it for so many seconds; None if there is no such session.

        Raises:
            SessionIsBusyError: somebody else has that right now.
        """
        now = time.time()
        table = SESSIONS.c
        async with self._database.transaction() as connection:
            taken = await connection.execute(
                update(SESSIONS)
                .where(
                    _of(session_id, principal), or_(table.leased_until.is_(None), table.leased_until <= now)
                )
                .values(lease=lease, leased_until=now + seconds)
            )
            session = await _read(connection, session_id, principal)
        if session is not None and not taken.rowcount:
            raise SessionIsBusyError
        return session

    async def append(self, session_id: str, lease: str, messages: Sequence[Message]) -> bool:
        """Add what was said; False, and nothing is kept, if the session is gone or the right was lost."""
        table = SESSION_MESSAGES.c
        async with self._database.transaction() as connection:
            mine = await connection.execute(
                select(SESSIONS.c.id).where(SESSIONS.c.id == session_id, SESSIONS.c.lease == lease)
            )
            if mine.one_or_none() is None:
                return False
            found = await connection.execute(
                select(func.coalesce(func.max(table.position), -1)).where(table.session == session_id)
            )
            first = int(found.scalar_one()) + 1
            await connection.execute(
                insert(SESSION_MESSAGES),
                [
                    {"session": session_id, "position": first + index, "role": m.role, "content": m.content}
                    for index, m in enumerate(messages)
                ],
            )
        return True

    async def release(self, session_id: str, lease: str) -> None:
        """Give the right back."""
        async with self._database.transaction() as connection:
            await connection.execute(
                update(SESSIONS)
                .where(SESSIONS.c.id == session_id, SESSIONS.c.lease == lease)
                .values(lease=None, leased_until=None)
            )

    async def delete(self, session_id: str, principal: str) -> bool:
        """Delete the session and everything said in it; False if there is no such session."""
        async with self._database.transaction() as connection:
            gone = await connection.execute(delete(SESSIONS).where(_of(session_id, principal)))
            if not gone.rowcount:
                return False
            await connection.execute(delete(SESSION_MESSAGES).where(SESSION_MESSAGES.c.session == session_id))
        return True


def _of(session_id: str, principal: str) -> ColumnElement[bool]:
    table = SESSIONS.c
    return and_(table.id == session_id, table.principal == principal, table.expires_at > time.time())


async def _delete_expired(connection: Transaction) -> None:
    expired = SESSIONS.c.expires_at <= time.time()
    ids = select(SESSIONS.c.id).where(expired)
    await connection.execute(delete(SESSION_MESSAGES).where(SESSION_MESSAGES.c.session.in_(ids)))
    await connection.execute(delete(SESSIONS).where(expired))


async def _read(connection: Transaction, session_id: str, principal: str) -> Session | None:
    row = (await connection.execute(select(SESSIONS).where(_of(session_id, principal)))).one_or_none()
    if row is None:
        return None
    said = await connection.execute(
        select(SESSION_MESSAGES.c.role, SESSION_MESSAGES.c.content)
        .where(SESSION_MESSAGES.c.session == session_id)
        .order_by(SESSION_MESSAGES.c.position)
    )
    return Session(
        row.id, row.created_at, row.expires_at, tuple(Message(role, content) for role, content in said)
    )
