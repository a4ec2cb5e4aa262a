"""Any OpenAI-compatible server as the engine: its tokens, its usage, and its failures told as what they are.

Every call is streamed, also one that is answered whole: a stream shows whether it ended, a body does not.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
from httpx_sse import EventSource, SSEError

from reference_impl.engine.base import (
    Call,
    ContextExceededError,
    EngineError,
    Finish,
    FinishReason,
    Gauge,
    InputFilteredError,
    Message,
    ModelTimeoutError,
    OverloadedError,
    TokenCounts,
    UpstreamBrokenError,
)
from reference_impl.engine.models import Model
from reference_impl.engine.tokens import count_messages

_log = logging.getLogger("aiconform.reference")

_CONNECT_S = 5.0
_MOST_ERROR_BYTES = 65_536
_FINISH: dict[str, FinishReason] = {"length": "length", "content_filter": "content_filter"}
_FILTERED = frozenset(("content_filter", "content_policy_violation", "moderation_blocked"))
_TOO_LONG = frozenset(("context_length_exceeded", "exceed_context_size_error"))
_TOO_LONG_WORDS = ("maximum context length", "context window", "context length", "context size")


@dataclass(frozen=True)
class Upstream:
    """Where the engine is. `url` ends in `/v1`; `names` maps a published model id to the server's own name.

    `silence_s` is the longest wait for the next byte. `output_limit` is the field that carries the limit.
    """

    url: str
    names: Mapping[str, str]
    key: str | None = field(default=None, repr=False)
    silence_s: float = 60.0
    output_limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"


class UpstreamEngine:
    """Generates by asking another server."""

    def __init__(self, upstream: Upstream, models: tuple[Model, ...]) -> None:
        self.gauge = Gauge()
        self.models = models
        self._upstream = upstream
        headers = {} if upstream.key is None else {"Authorization": f"Bearer {upstream.key}"}
        self._client = httpx.AsyncClient(
            base_url=upstream.url.rstrip("/"),
            headers=headers,
            timeout=httpx.Timeout(upstream.silence_s, connect=_CONNECT_S),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            trust_env=False,
        )

    def count(self, messages: Sequence[Message]) -> int:
        """An estimate, for admission; what is charged is what the server reports at the end."""
        return count_messages(messages)

    async def admit(self, call: Call) -> None:
        """Nothing is known before the server is asked."""

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def generate(self, call: Call) -> AsyncGenerator[str | Finish, None]:
        """One string per delta, then the finish with the server's own token counts."""
        started = time.perf_counter()
        self.gauge.active += 1
        try:
            async with self._client.stream("POST", "/chat/completions", json=self._body(call)) as response:
                if response.status_code != 200:
                    raise await _refusal(response, call, _elapsed_ms(started))
                async for item in _items(response):
                    if isinstance(item, str):
                        self.gauge.generated += 1
                    yield item
        except httpx.TimeoutException as late:
            raise ModelTimeoutError(round(self._upstream.silence_s * 1000), _elapsed_ms(started)) from late
        except (httpx.HTTPError, SSEError, ValueError) as broken:
            _log.warning("the model's server failed: %s", type(broken).__name__)
            raise UpstreamBrokenError from broken
        finally:
            self.gauge.active -= 1

    def _body(self, call: Call) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._upstream.names[call.model.id],
            "messages": [{"role": m.role, "content": m.content} for m in call.messages],
            self._upstream.output_limit: call.max_output_tokens,
            "temperature": call.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        return body if call.seed is None else {**body, "seed": call.seed}


async def _items(response: httpx.Response) -> AsyncGenerator[str | Finish, None]:
    response.encoding = "utf-8"  # an event stream has no other
    reason: str | None = None
    counts: TokenCounts | None = None
    async for event in EventSource(response).aiter_sse():
        if event.data == "[DONE]":
            break
        chunk = json.loads(event.data)
        if not isinstance(chunk, dict):
            raise UpstreamBrokenError
        if chunk.get("error") is not None:
            raise _stream_failure(chunk["error"])
        counts = _counts(chunk.get("usage")) or counts
        for choice in chunk.get("choices") or ():
            reason = choice.get("finish_reason") or reason
            text = (choice.get("delta") or {}).get("content")
            if isinstance(text, str) and text:
                yield text
    if reason is None:
        # Cut off: whoever takes this for an answer takes half a sentence for a whole one.
        raise UpstreamBrokenError
    yield Finish(_FINISH.get(reason, "stop"), counts)


def _counts(usage: Any) -> TokenCounts | None:
    if not isinstance(usage, dict) or not isinstance(usage.get("prompt_tokens"), int):
        return None
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    return TokenCounts(usage["prompt_tokens"], usage.get("completion_tokens") or 0, cached, reasoning)


async def _refusal(response: httpx.Response, call: Call, elapsed_ms: int) -> EngineError:
    """What an answer other than 200 means to our caller; what was said is for the log's reader only."""
    status = response.status_code
    error = await _error_object(response)
    codes = {error.get("code"), error.get("type")}
    message = str(error.get("message", "")).lower()
    if status in (400, 413, 422) and (codes & _TOO_LONG or any(word in message for word in _TOO_LONG_WORDS)):
        return ContextExceededError(call.input_tokens, call.model.context_window)
    if status in (400, 403) and codes & _FILTERED:
        return InputFilteredError(categories=("upstream",))
    if status in (429, 503, 529):
        return OverloadedError(_retry_after_s(response.headers.get("retry-after")))
    if status in (408, 504):
        return ModelTimeoutError(elapsed_ms, elapsed_ms)
    _log.warning("the model's server answered %d (code %.80r)", status, error.get("code"))
    return UpstreamBrokenError()


async def _error_object(response: httpx.Response) -> dict[str, Any]:
    body = b""
    async for part in response.aiter_bytes():
        body += part
        if len(body) > _MOST_ERROR_BYTES:
            return {}
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return {}
    # A code may be a number, a list in broken servers: only strings are compared.
    return {k: v for k, v in error.items() if isinstance(v, str)} if isinstance(error, dict) else {}


def _stream_failure(error: Any) -> EngineError:
    code = error.get("code") if isinstance(error, dict) else None
    return (
        OverloadedError()
        if code in (429, 503, "overloaded", "rate_limit_exceeded")
        else UpstreamBrokenError()
    )


def _retry_after_s(value: str | None) -> int:
    return min(3600, max(1, int(value))) if value is not None and value.isascii() and value.isdigit() else 1


def _elapsed_ms(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)
