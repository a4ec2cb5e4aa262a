"""Chat completions over the contract's own steps: the same admission, idempotency, charging and streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from reference_impl.api.chat import new_chat_id, streamed_answer, whole_answer
from reference_impl.api.context import Turn
from reference_impl.api.once import once
from reference_impl.api.prompts import chat_call
from reference_impl.exchange import Exchange
from reference_impl.facade.shapes import CompletionEvents, completion, model_object
from reference_impl.http.answers import JSON, encode, json_answer
from reference_impl.http.dispatch import Handler
from reference_impl.policies.errors import ContractError
from reference_impl.policies.idempotency import Ticket
from reference_impl.policies.scopes import model_scopes
from reference_impl.services import Services
from reference_impl.store.ledger import StoredAnswer


def operations(services: Services) -> dict[str, Handler]:
    """Handlers by operationId."""

    async def chat(exchange: Exchange, payload: dict[str, Any]) -> Response:
        # OpenAI's own clients ask for streams with `Accept: application/json`, so only the body decides.
        call = chat_call(services.engine, _contract_request(payload))
        services.policies.scopes.require(exchange, *model_scopes(call.model))
        if payload.get("stream"):
            include_usage = bool((payload.get("stream_options") or {}).get("include_usage"))
            events = CompletionEvents(services.policies.events, call.model, include_usage)
            writing = replace(services, policies=replace(services.policies, events=events))
            return await streamed_answer(writing, exchange, payload, Turn(call, (), {}, call.model.id))

        async def execute(_ticket: Ticket | None) -> StoredAnswer:
            text, reason, usage = await whole_answer(services, exchange, call)
            return StoredAnswer(200, JSON, encode(completion(new_chat_id(), call.model, text, reason, usage)))

        return await once(services, exchange, payload, execute)

    async def models(exchange: Exchange) -> Response:
        models = services.engine.catalogue.models
        listed = [model_object(name, model) for model in models for name in model.names]
        return json_answer({"object": "list", "data": listed})

    async def one_model(exchange: Exchange, model_id: str) -> Response:
        model = services.engine.catalogue.find(model_id)
        if model is None:
            raise ContractError("MODEL_NOT_FOUND", f"The model {model_id!r} does not exist.", param="model")
        return json_answer(model_object(model_id, model))

    return {"facadeChat": chat, "facadeModels": models, "facadeModel": one_model}


def _contract_request(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The contract's chat request that asks for the same."""
    limit = payload.get("max_completion_tokens") or payload.get("max_tokens")
    wanted = {
        "model": payload["model"],
        "messages": [
            {"role": _role(message["role"]), "content": _text(message["content"])}
            for message in payload["messages"]
        ],
        "max_output_tokens": limit,
        "temperature": payload.get("temperature"),
        "seed": payload.get("seed"),
        "sandbox": payload.get("sandbox"),
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _role(name: str) -> str:
    # OpenAI's newer name for the same thing.
    return "system" if name == "developer" else name


def _text(content: str | list[dict[str, str]]) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)
