"""Conversations that the server remembers: whose they are, what was said, and who is adding to them now."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, delete, func, insert, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from reference_impl.engine.base import Message
from reference_impl.outages import LeaseLostError
from reference_impl.store.database import Database, Transaction
from reference_impl.store.tables import SESSION_MESSAGES, SESSIONS

_AT_ONCE = 1000
"""Databases have a limit on the parameters of one statement."""


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
        self._held: set[str] = set()

    async def create(self, session_id: str, principal: str, created_at: float, ttl_s: float) -> Session:
        """A new, empty session. What has expired is deleted on this occasion."""
        expires_at = created_at + ttl_s
        async with self._database.transaction() as connection:
            await delete_expired_sessions(connection)
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

    async def take(self, session_id: str, principal: str, lease: str) -> Session | None:
        """The session, and the sole right to add to it until `release`; None if there is no such session.

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
                .values(lease=lease, leased_until=now + self._database.lease_s)
            )
            session = await _read(connection, session_id, principal)
        if session is not None and not taken.rowcount:
            raise SessionIsBusyError
        if session is not None:
            self._held.add(lease)
        return session

    async def append(self, session_id: str, lease: str, messages: Sequence[Message]) -> bool:
        """Add what was said; False, and nothing is kept, if the session is gone.

        Raises:
            LeaseLostError: somebody else may be adding to it.
        """
        table = SESSION_MESSAGES.c
        async with self._database.transaction() as connection:
            found = await connection.execute(
                select(SESSIONS.c.lease).where(SESSIONS.c.id == session_id).with_for_update()
            )
            row = found.one_or_none()
            if row is None:
                return False
            if row.lease != lease:
                raise LeaseLostError("the lease of a session ran out during a turn")
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
        self._held.discard(lease)
        async with self._database.transaction() as connection:
            await connection.execute(
                update(SESSIONS)
                .where(SESSIONS.c.id == session_id, SESSIONS.c.lease == lease)
                .values(lease=None, leased_until=None)
            )

    async def renew(self) -> None:
        """Say that this process is alive and its turns are under way."""
        if not self._held:
            return
        async with self._database.transaction() as connection:
            await connection.execute(
                update(SESSIONS)
                .where(SESSIONS.c.lease.in_(self._held))
                .values(leased_until=time.time() + self._database.lease_s)
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


async def delete_expired_sessions(connection: Transaction) -> None:
    """Drop sessions that have expired, and what was said in them. In the order of `append`: the session first."""
    gone = await connection.execute(
        delete(SESSIONS).where(SESSIONS.c.expires_at <= time.time()).returning(SESSIONS.c.id)
    )
    ids = [row.id for row in gone]
    for first in range(0, len(ids), _AT_ONCE):
        some = ids[first : first + _AT_ONCE]
        await connection.execute(delete(SESSION_MESSAGES).where(SESSION_MESSAGES.c.session.in_(some)))


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
