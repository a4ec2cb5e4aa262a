"""POST /estimate: what a chat request will take, by the same count as the request itself; and its predecessor."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from starlette.responses import Response

from reference_impl.api.context import preview
from reference_impl.engine.models import CURRENCY
from reference_impl.exchange import Exchange
from reference_impl.http.answers import json_answer
from reference_impl.http.dispatch import Handler
from reference_impl.services import Services


def operations(services: Services) -> dict[str, Handler]:
    """Handlers by operationId. None of them generates or charges anything."""

    async def estimate(exchange: Exchange, payload: dict[str, Any]) -> Response:
        turn = await preview(services, exchange, payload)
        call = turn.call
        return json_answer(
            {
                "model_version": call.model.id,
                "input_tokens": call.input_tokens,
                "max_output_tokens": call.max_output_tokens,
                "cost": {
                    "min": _amount(call.model.cost(call.input_tokens, 0)),
                    "max": _amount(call.model.cost(call.input_tokens, call.max_output_tokens)),
                    "currency": CURRENCY,
                },
                "price_version": call.model.price_version,
                "exact": True,
                "context": turn.context,
            }
        )

    async def count_tokens(exchange: Exchange, payload: dict[str, Any]) -> Response:
        turn = await preview(services, exchange, payload)
        return json_answer({"model_version": turn.call.model.id, "input_tokens": turn.call.input_tokens})

    return {"estimate": estimate, "countTokens": count_tokens}


def _amount(cost: Decimal) -> str:
    return format(cost, "f")
