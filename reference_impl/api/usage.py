"""GET /usage: what the caller used under one trace."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from reference_impl.engine.models import CURRENCY
from reference_impl.exchange import Exchange
from reference_impl.http.answers import json_answer
from reference_impl.http.dispatch import Handler
from reference_impl.policies.metadata import unknown_price
from reference_impl.services import Services
from reference_impl.store.usage import UsageRecord
from reference_impl.store.webhooks import timestamp


def operations(services: Services) -> dict[str, Handler]:
    """Handlers by operationId."""

    async def get_usage(exchange: Exchange, trace_id: str) -> Response:
        # Somebody else's trace, or one that nobody used, is an empty list: it tells nothing about others.
        records = await services.usage.of_trace(exchange.caller.name, trace_id)
        return json_answer(
            {"trace_id": trace_id, "data": [_described(r) for r in records], "total": _total(records)}
        )

    return {"getUsage": get_usage}


def _described(record: UsageRecord) -> dict[str, Any]:
    return {
        "request_id": record.request_id,
        "operation": record.operation,
        "model_version": record.model,
        "at": timestamp(record.at),
        "tokens_used": _tokens([record]),
        "cost": {
            "amount": record.cost,
            "currency": CURRENCY,
            "price_version": record.price_version,
            **unknown_price(record.price_version),
        },
    }


def _total(records: Sequence[UsageRecord]) -> dict[str, Any]:
    amount = sum((Decimal(record.cost) for record in records), Decimal(0))
    unknown = {k: v for record in records for k, v in unknown_price(record.price_version).items()}
    cost = {"amount": format(amount, "f"), "currency": CURRENCY, **unknown}
    return {"tokens_used": _tokens(records), "cost": cost}


def _tokens(records: Sequence[UsageRecord]) -> dict[str, int]:
    used = {
        name: sum(getattr(record, name) for record in records)
        for name in ("input", "output", "cached_input", "reasoning_output")
    }
    return {**used, "total": used["input"] + used["output"]}
