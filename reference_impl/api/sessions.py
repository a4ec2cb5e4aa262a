"""Sessions: made, read with their history, deleted for good."""

from __future__ import annotations

import secrets
import time
from typing import Any

from starlette.responses import Response

from reference_impl.api.context import session_not_found
from reference_impl.api.once import Kept, once, together
from reference_impl.exchange import Exchange
from reference_impl.http.answers import JSON, encode, json_answer
from reference_impl.http.dispatch import Handler
from reference_impl.policies.idempotency import Ticket
from reference_impl.services import Services
from reference_impl.store.ledger import StoredAnswer
from reference_impl.store.sessions import Session
from reference_impl.store.webhooks import timestamp


def operations(services: Services) -> dict[str, Handler]:
    """Handlers by operationId."""

    async def create_session(exchange: Exchange, payload: dict[str, Any]) -> Response:
        async def create() -> StoredAnswer:
            session = await services.sessions.create(
                f"sess_{secrets.token_hex(16)}",
                exchange.caller.name,
                time.time(),
                payload.get("ttl_seconds", services.settings.session_ttl_s),
            )
            link = exchange.link(f"/sessions/{session.id}")
            return StoredAnswer(201, JSON, encode(_described(session)), location=link)

        async def execute(ticket: Ticket | None) -> Kept:
            return await together(services, ticket, create)

        return await once(services, exchange, payload, execute)

    async def get_session(exchange: Exchange, session_id: str) -> Response:
        session = await services.sessions.find(session_id, exchange.caller.name)
        if session is None:
            raise session_not_found("session_id")
        return json_answer(_described(session))

    async def delete_session(exchange: Exchange, session_id: str) -> Response:
        if not await services.sessions.delete(session_id, exchange.caller.name):
            raise session_not_found("session_id")
        return Response(status_code=204)

    return {"createSession": create_session, "getSession": get_session, "deleteSession": delete_session}


def _described(session: Session) -> dict[str, Any]:
    return {
        "session_id": session.id,
        "created_at": timestamp(session.created_at),
        "expires_at": timestamp(session.expires_at),
        "messages": [{"role": message.role, "content": message.content} for message in session.messages],
    }
