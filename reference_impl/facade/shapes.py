"""OpenAI's shapes for what the contract says: errors, chunks, completions, models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from reference_impl.engine.base import FinishReason
from reference_impl.engine.models import Model
from reference_impl.exchange import Exchange
from reference_impl.policies.errors import JSON, ContractError, Rendered
from reference_impl.policies.events import EventWriter
from reference_impl.policies.metadata import Usage
from spec.errors import ERRORS

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

# Where OpenAI has a code of its own; any other code of the contract is written in lower case.
_CODES = {
    "UNAUTHENTICATED": "invalid_api_key",
    "RATE_LIMITED": "rate_limit_exceeded",
    "TOKEN_LIMIT_EXCEEDED": "rate_limit_exceeded",
    "BUDGET_EXCEEDED": "insufficient_quota",
    "CONTENT_FILTER_TRIGGERED": "content_policy_violation",
    "MODEL_OVERLOADED": "overloaded",
    "MODEL_TIMEOUT": "timeout",
    "INTERNAL": "server_error",
}
_TYPES = {
    "RATE_LIMITED": "requests",
    "TOKEN_LIMIT_EXCEEDED": "tokens",
    "BUDGET_EXCEEDED": "insufficient_quota",
    "MODEL_OVERLOADED": "overloaded_error",
    "MODEL_TIMEOUT": "timeout_error",
}
_FIELDS = {"/max_output_tokens": "max_tokens"}
_CREATED_DIGITS = 12


class CompletionErrors:
    """`{"error": {"message", "type", "param", "code"}}`, whatever form the client prefers."""

    def envelope(self, error: ContractError, exchange: Exchange) -> dict[str, Any]:
        """The error object. `param` is a path as OpenAI writes it: `messages[0].role`."""
        status = ERRORS[error.code].status
        return {
            "message": _message(error),
            "type": _TYPES.get(error.code, "server_error" if status >= 500 else "invalid_request_error"),
            "param": None if error.param is None else _FIELDS.get(error.param, dotted(error.param)),
            "code": _CODES.get(error.code, error.code.lower()),
        }

    def render(self, error: ContractError, exchange: Exchange) -> Rendered:
        """The whole answer."""
        body = _ENCODER.encode({"error": self.envelope(error, exchange)}).encode()
        return Rendered(error.status, JSON, body, tuple(error.headers.items()))


def _message(error: ContractError) -> str:
    """The contract's words, except where clients are known to parse OpenAI's."""
    if error.code != "CONTEXT_LENGTH_EXCEEDED":
        return error.message
    limit, size = error.details["max_tokens"], error.details["input_tokens"]
    return (
        f"This model's maximum context length is {limit} tokens. However, your messages resulted in {size} "
        "tokens. Please reduce the length of the messages."
    )


def dotted(pointer: str) -> str:
    """A JSON Pointer (RFC 6901) as a dotted path; any other name stays as it is."""
    if not pointer.startswith("/"):
        return pointer
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in pointer[1:].split("/")]
    joined = "".join(f"[{token}]" if token.isdecimal() else f".{token}" for token in tokens)
    return joined.removeprefix(".")


class CompletionEvents:
    """Writes the contract's events as `chat.completion.chunk` objects, through the server's own writer."""

    def __init__(self, writer: EventWriter, model: Model, include_usage: bool) -> None:
        self._writer = writer
        self._model = model
        self._usage: dict[str, Any] = {"usage": None} if include_usage else {}
        self._id = ""

    def event(self, data: Mapping[str, Any], name: str | None = None) -> bytes:
        """One event of the contract as one or, for the end with usage, two chunks."""
        match data["type"]:
            case "metadata":
                self._id = data["id"]
                return self._chunk({"role": "assistant", "content": "", "refusal": None}, None)
            case "token":
                return self._chunk({"content": data["token"]}, None)
            case "error":
                return self._writer.event({"error": data["error"]})
            case _:
                return self._ending(data)

    def done(self) -> bytes:
        """`data: [DONE]`."""
        return self._writer.done()

    def keep_alive(self) -> bytes:
        """As the server's writer does."""
        return self._writer.keep_alive()

    def _chunk(self, delta: dict[str, Any], reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return self._writer.event({**self._head(), "choices": [choice], **self._usage})

    def _ending(self, data: Mapping[str, Any]) -> bytes:
        last = self._chunk({}, data["finish_reason"])
        if not self._usage:
            return last
        used = data["metadata"]["tokens_used"]
        usage = usage_object(
            Usage(used["input"], used["output"], used["cached_input"], used["reasoning_output"])
        )
        return last + self._writer.event({**self._head(), "choices": [], "usage": usage})

    def _head(self) -> dict[str, Any]:
        return head(self._id, "chat.completion.chunk", self._model)


def completion(answer_id: str, model: Model, text: str, reason: FinishReason, usage: Usage) -> dict[str, Any]:
    """A whole `chat.completion`."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    return {**head(answer_id, "chat.completion", model), "choices": [choice], "usage": usage_object(usage)}


def head(answer_id: str, kind: str, model: Model) -> dict[str, Any]:
    """What every object of one answer repeats. `created` is read from the id, so a replay repeats it too."""
    digits = answer_id.partition("_")[2]
    return {
        "id": f"chatcmpl-{digits}",
        "object": kind,
        "created": int(digits[:_CREATED_DIGITS], 16) // 1000 if digits else 0,
        "model": model.id,
    }


def usage_object(usage: Usage) -> dict[str, Any]:
    """Token counts; the details are part of the counts above them."""
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_output},
    }


def model_object(name: str, model: Model) -> dict[str, Any]:
    """One entry of the model list. `created` is the Unix time of the release.

    `context_window` (tokens) is beyond OpenAI's shape, which has no place for it.
    """
    return {
        "id": name,
        "object": "model",
        "created": released(model),
        "owned_by": "aiconform",
        "context_window": model.context_window,
    }


def released(model: Model) -> int:
    """Unix seconds of the model's release."""
    return int(datetime.fromisoformat(model.released_at).timestamp())
