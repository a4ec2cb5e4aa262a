"""GET /me: who the server takes the caller for, and what they may do."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.responses import Response

from reference_impl.exchange import Exchange
from reference_impl.http.answers import json_answer
from reference_impl.http.dispatch import Handler
from reference_impl.services import Services


def operations(_services: Services) -> dict[str, Handler]:
    """Handlers by operationId."""

    async def get_caller(exchange: Exchange) -> Response:
        caller = exchange.caller
        end = caller.expires_at
        return json_answer(
            {
                "principal": caller.name,
                "tier": caller.tier.name,
                "scopes": sorted(caller.scopes),
                "credential": caller.credential,
                "expires_at": None if end is None else datetime.fromtimestamp(end, UTC).isoformat(),
            }
        )

    return {"getCaller": get_caller}
