"""GET /models: what can be asked for, at what price."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from reference_impl.engine.models import CURRENCY, MODELS, PRICE_VERSION, Model, find_model
from reference_impl.exchange import Exchange
from reference_impl.http.answers import json_answer
from reference_impl.http.dispatch import Handler
from reference_impl.policies.errors import ContractError
from reference_impl.services import Services


def operations(_services: Services) -> dict[str, Handler]:
    """Handlers by operationId."""

    async def list_models(exchange: Exchange) -> Response:
        return json_answer({"data": [_described(model) for model in MODELS], "next_cursor": None})

    async def get_model(exchange: Exchange, model_id: str) -> Response:
        model = find_model(model_id)
        if model is None:
            raise ContractError(
                "MODEL_NOT_FOUND", "There is no such model; GET /models lists them.", param="model_id"
            )
        return json_answer(_described(model))

    return {"listModels": list_models, "getModel": get_model}


def _described(model: Model) -> dict[str, Any]:
    return {
        "id": model.id,
        "aliases": [model.alias],
        "pinned": True,
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "prices": {
            "currency": CURRENCY,
            "input_per_million": str(model.input_price),
            "output_per_million": str(model.output_price),
            "price_version": PRICE_VERSION,
        },
        "capabilities": list(model.capabilities),
        "released_at": model.released_at,
        "deprecated_at": None,
        "sunset_at": None,
        "successor": None,
    }
