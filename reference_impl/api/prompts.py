"""From a validated request body to a call of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reference_impl.api.failures import context_exceeded
from reference_impl.engine.base import Call, Engine, Message, Scenario
from reference_impl.engine.models import Catalogue, Model
from reference_impl.http.schema import invalid_request
from reference_impl.policies.context import Fitted
from reference_impl.policies.errors import ContractError

DEFAULT_OUTPUT_TOKENS = 256


def chosen_model(catalogue: Catalogue, payload: Mapping[str, Any]) -> Model:
    """The model of a request. Raises like `published_model`."""
    name = payload.get("model")
    return catalogue.default if name is None else published_model(catalogue, name, "/model")


def published_model(catalogue: Catalogue, name: str, param: str) -> Model:
    """The model with this id or alias; `param` is where the request has it.

    Raises:
        ContractError: MODEL_NOT_FOUND for a name nobody published, MODEL_RETIRED for one that is gone.
    """
    gone = catalogue.retired.get(name)
    if gone is not None:
        raise ContractError(
            "MODEL_RETIRED",
            f"{gone.id} is retired; use {gone.successor}.",
            param=param,
            details={"model": gone.id, "retired_at": gone.retired_at, "successor": gone.successor},
        )
    model = catalogue.find(name)
    if model is None:
        raise ContractError("MODEL_NOT_FOUND", "There is no such model; GET /models lists them.", param=param)
    return model


def scenario(payload: Mapping[str, Any]) -> Scenario | None:
    """The provocation a request declares."""
    sandbox = payload.get("sandbox")
    return None if sandbox is None else Scenario(sandbox["scenario"], sandbox.get("delay_ms"))


def messages_of(payload: Mapping[str, Any]) -> tuple[Message, ...]:
    """The messages of a chat request."""
    return tuple(Message(item["role"], item["content"]) for item in payload["messages"])


def chat_call(engine: Engine, payload: Mapping[str, Any], fitted: Fitted | None = None) -> Call:
    """The call a chat request asks for, defaults applied; of `fitted`, or of the request's own messages, which are
    then compared with the window, if that can be done before the call.
    """
    model = chosen_model(engine.catalogue, payload)
    if fitted is None:
        messages = messages_of(payload)
        input_tokens = engine.count(messages)
        if engine.exact:
            refuse_over_window(input_tokens, model)
    else:
        messages, input_tokens = fitted.messages, fitted.input_tokens
    return Call(
        model=model,
        messages=messages,
        input_tokens=input_tokens,
        max_output_tokens=_output_tokens(payload, model),
        temperature=payload.get("temperature", 1.0),
        seed=_whole(payload.get("seed")),
        scenario=scenario(payload),
    )


def refuse_over_window(input_tokens: int, model: Model) -> None:
    """CONTEXT_LENGTH_EXCEEDED for an input that does not fit into the model's window."""
    if input_tokens > model.context_window:
        raise context_exceeded(input_tokens, model.context_window)


def _whole(value: float | None) -> int | None:
    # In JSON, 3.0 is the integer 3.
    return None if value is None else int(value)


def _output_tokens(payload: Mapping[str, Any], model: Model) -> int:
    wanted = payload.get("max_output_tokens")
    if wanted is None:
        return min(DEFAULT_OUTPUT_TOKENS, model.max_output_tokens)
    if wanted > model.max_output_tokens:
        message = f"is more than the {model.max_output_tokens} that {model.id} can produce"
        raise invalid_request([{"pointer": "/max_output_tokens", "message": message}])
    return int(wanted)
