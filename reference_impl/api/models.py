"""GET /models: what can be asked for, at what price."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from reference_impl.api.notices import note_model
from reference_impl.api.prompts import published_model
from reference_impl.engine.models import CURRENCY, Model
from reference_impl.exchange import Exchange
from reference_impl.http.answers import json_answer
from reference_impl.http.dispatch import Handler
from reference_impl.policies.metadata import unknown_price
from reference_impl.services import Services


def operations(services: Services) -> dict[str, Handler]:
    """Handlers by operationId."""

    async def list_models(exchange: Exchange) -> Response:
        listed = [_described(model) for model in services.engine.catalogue.models]
        return json_answer({"data": listed, "next_cursor": None})

    async def get_model(exchange: Exchange, model_id: str) -> Response:
        model = published_model(services.engine.catalogue, model_id, "model_id")
        note_model(exchange, model)
        return json_answer(_described(model))

    return {"listModels": list_models, "getModel": get_model}


def _described(model: Model) -> dict[str, Any]:
    return {
        "id": model.id,
        "aliases": list(model.names[1:]),
        "pinned": model.pinned,
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "prices": {
            "currency": CURRENCY,
            "input_per_million": str(model.input_price),
            "output_per_million": str(model.output_price),
            "price_version": model.price_version,
            **unknown_price(model.price_version),
        },
        "capabilities": list(model.capabilities),
        "released_at": model.released_at,
        "deprecated_at": model.deprecated_at,
        "sunset_at": model.sunset_at,
        "successor": model.successor,
    }
