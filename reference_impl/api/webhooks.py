"""Webhook endpoints: where a principal wants to be told what became of its jobs."""

from __future__ import annotations

import time
from typing import Any

from starlette.responses import Response

from reference_impl.exchange import Exchange
from reference_impl.http.answers import json_answer
from reference_impl.http.dispatch import Handler
from reference_impl.policies.errors import ContractError
from reference_impl.services import Services
from reference_impl.store.webhooks import EVENTS, Endpoint, timestamp


def operations(services: Services) -> dict[str, Handler]:
    """Handlers by operationId."""
    settings = services.settings

    async def register_webhook(exchange: Exchange, payload: dict[str, Any]) -> Response:
        await services.policies.egress.check(payload["url"])
        secret = services.policies.callbacks.new_secret()
        endpoint = await services.webhooks.add(
            exchange.caller.name, payload["url"], payload.get("events", EVENTS), secret, settings.max_webhooks
        )
        if endpoint is None:
            raise ContractError(
                "TOO_MANY_WEBHOOKS",
                f"There are {settings.max_webhooks} webhooks already; delete one first.",
                details={"max_webhooks": settings.max_webhooks},
            )
        link = exchange.link(f"/webhooks/{endpoint.id}")
        return json_answer({**_shown(endpoint), "secret": endpoint.secret}, 201, link)

    async def list_webhooks(exchange: Exchange) -> Response:
        found = await services.webhooks.all(exchange.caller.name)
        return json_answer({"data": [_shown(endpoint) for endpoint in found], "next_cursor": None})

    async def get_webhook(exchange: Exchange, webhook_id: str) -> Response:
        return json_answer(_shown(_found(await services.webhooks.find(webhook_id, exchange.caller.name))))

    async def delete_webhook(exchange: Exchange, webhook_id: str) -> Response:
        if not await services.webhooks.remove(webhook_id, exchange.caller.name):
            raise _not_found()
        return Response(b"", 204)

    async def rotate_webhook_secret(exchange: Exchange, webhook_id: str) -> Response:
        rotated = await services.webhooks.rotate(
            webhook_id,
            exchange.caller.name,
            services.policies.callbacks.new_secret(),
            settings.webhook_overlap_s,
        )
        return json_answer({**_shown(_found(rotated)), "secret": _found(rotated).secret})

    return {
        "registerWebhook": register_webhook,
        "listWebhooks": list_webhooks,
        "getWebhook": get_webhook,
        "deleteWebhook": delete_webhook,
        "rotateWebhookSecret": rotate_webhook_secret,
    }


def _shown(endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint without its secret, which is told once."""
    until = endpoint.previous_until
    overlapping = until is not None and until > time.time()
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "events": list(endpoint.events),
        "status": "enabled" if endpoint.enabled else "disabled",
        "disabled_reason": endpoint.disabled_reason,
        "created_at": timestamp(endpoint.created_at),
        "previous_secret_expires_at": timestamp(until) if overlapping and until is not None else None,
    }


def _found(endpoint: Endpoint | None) -> Endpoint:
    if endpoint is None:
        raise _not_found()
    return endpoint


def _not_found() -> ContractError:
    return ContractError("WEBHOOK_NOT_FOUND", "There is no such webhook.", param="webhook_id")
