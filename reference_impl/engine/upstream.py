"""Any OpenAI-compatible server as the engine: its tokens, its usage, and its failures told as what they are.

Every call is streamed, also one that is answered whole: a stream shows whether it ended, a body does not.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
from httpx_sse import EventSource, SSEError

from reference_impl.engine.base import (
    Call,
    Finish,
    FinishReason,
    Gauge,
    Generation,
    Message,
    ModelTimeoutError,
    Planner,
    TokenCounts,
    UpstreamBrokenError,
)
from reference_impl.engine.models import Catalogue, Model
from reference_impl.engine.tokens import estimate_messages, estimate_text
from reference_impl.engine.upstream_failures import refusal, stream_failure

_log = logging.getLogger("aiconform.reference")

_CONNECT_S = 5.0
_ADMISSION_S = 5.0
_DRAIN_S = 0.2
_MOST_ERROR_BYTES = 65_536
_FINISH: dict[str, FinishReason] = {"length": "length", "content_filter": "content_filter"}

Chunk = dict[str, Any]


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


class Asking:
    """The connection to an upstream: one request, answered by the chunks of its stream."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.gauge = Gauge()
        headers = {} if upstream.key is None else {"Authorization": f"Bearer {upstream.key}"}
        self._client = httpx.AsyncClient(
            base_url=upstream.url.rstrip("/"),
            headers=headers,
            timeout=httpx.Timeout(upstream.silence_s, connect=_CONNECT_S),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def chunks(
        self, model: Model, size: int, request: Mapping[str, Any]
    ) -> AsyncGenerator[Chunk | None, None]:
        """None once the request was taken, then each chunk as a JSON object, until the terminal or the end.

        `size` is the input in tokens as far as known; `request` what to ask besides the model.

        Raises:
            EngineError: the request was refused, the stream is broken, or nothing came for too long.
        """
        started = time.perf_counter()
        body = {
            "model": self.upstream.names[model.id],
            **request,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        self.gauge.active += 1
        try:
            async with self._client.stream("POST", "/chat/completions", json=body) as response:
                window = model.context_window
                if response.status_code != 200:
                    told = await _error_object(response)
                    ms = _elapsed_ms(started)
                    raise refusal(response.status_code, response.headers, told, size, window, ms)
                yield None
                async for chunk in _events(response):
                    if chunk.get("error") is not None:
                        raise stream_failure(chunk["error"], size, window, _elapsed_ms(started))
                    yield chunk
        except httpx.TimeoutException as late:
            raise ModelTimeoutError(round(self.upstream.silence_s * 1000), _elapsed_ms(started)) from late
        except (httpx.HTTPError, httpx.StreamError, SSEError, ValueError) as broken:
            _log.warning("the model's server failed: %s", type(broken).__name__)
            raise UpstreamBrokenError from broken
        finally:
            self.gauge.active -= 1


class UpstreamEngine:
    """Generates by asking another server. `planner` None: its models are not asked to use tools."""

    exact = False

    def __init__(self, asking: Asking, catalogue: Catalogue, planner: Planner | None = None) -> None:
        self.gauge = asking.gauge
        self.catalogue = catalogue
        self.planner = planner
        self._asking = asking

    def count(self, messages: Sequence[Message]) -> int:
        """An estimate, for admission; what is charged is what the server reports at the end."""
        return estimate_messages(messages)

    async def close(self) -> None:
        """Close the connections."""
        await self._asking.close()

    async def start(self, call: Call) -> Generation:
        """Ask, and wait for the server's consent or refusal; not for long, since some give it with the first token.

        A refusal that comes later is raised by the generation.
        """
        items = self._generate(call)
        opening = asyncio.ensure_future(anext(items))
        try:
            await asyncio.wait((opening,), timeout=_ADMISSION_S)
        except BaseException:
            await _Opened(items, opening).aclose()
            raise
        if opening.done():
            opening.result()
        return _Opened(items, opening)

    async def _generate(self, call: Call) -> AsyncGenerator[str | Finish | None, None]:
        """None once the server has consented, one string per delta, then the finish with the server's counts."""
        request: dict[str, Any] = {
            "messages": [{"role": m.role, "content": m.content} for m in call.messages],
            self._asking.upstream.output_limit: call.max_output_tokens,
            "temperature": call.temperature,
        }
        if call.seed is not None:
            request["seed"] = call.seed
        reason: str | None = None
        counts: TokenCounts | None = None
        said: list[str] = []
        chunks = self._asking.chunks(call.model, call.input_tokens, request)
        try:
            async for chunk in chunks:
                if chunk is None:
                    yield None
                    continue
                counts = counts_of(chunk) or counts
                choice = choice_of(chunk)
                reason = text_of(choice, "finish_reason") or reason
                if text := text_of(member(choice, "delta"), "content"):
                    if len(said) == call.max_output_tokens:
                        # Every delta has at least one token: a server that goes on does not keep the limit.
                        reason, counts = "length", None
                        break
                    self.gauge.generated += 1
                    said.append(text)
                    yield text
        finally:
            await chunks.aclose()
        if reason is None:
            # Cut off: whoever takes this for an answer takes half a sentence for a whole one.
            raise UpstreamBrokenError
        guess = max(len(said), estimate_text("".join(said)))
        least = TokenCounts(call.input_tokens, min(guess, call.max_output_tokens), estimated=True)
        yield Finish(_FINISH.get(reason, "stop"), counts or least)


class _Opened:
    """A generation whose first item, the consent, may still be under way."""

    def __init__(
        self, items: AsyncGenerator[str | Finish | None, None], opening: asyncio.Future[str | Finish | None]
    ) -> None:
        self._items = items
        self._opening = opening

    def __aiter__(self) -> AsyncIterator[str | Finish]:
        return self

    async def __anext__(self) -> str | Finish:
        await self._opening
        while True:
            item = await anext(self._items)
            if item is not None:
                return item

    async def aclose(self) -> None:
        """Also while it is being opened."""
        self._opening.cancel()
        await asyncio.wait((self._opening,))
        if not self._opening.cancelled():
            self._opening.exception()  # seen: whoever iterates was told, whoever left need not be
        await self._items.aclose()


def counts_of(chunk: Chunk) -> TokenCounts | None:
    """The usage in a chunk, if it tells whole numbers."""
    usage = member(chunk, "usage")
    numbers = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    if not all(isinstance(n, int) and n >= 0 for n in numbers) or not usage["prompt_tokens"]:
        return None  # a server that tells zero has not counted
    cached = member(usage, "prompt_tokens_details").get("cached_tokens")
    reasoning = member(usage, "completion_tokens_details").get("reasoning_tokens")
    return TokenCounts(
        usage["prompt_tokens"],
        usage["completion_tokens"],
        min(cached, usage["prompt_tokens"]) if isinstance(cached, int) and cached > 0 else 0,
        min(reasoning, usage["completion_tokens"]) if isinstance(reasoning, int) and reasoning > 0 else 0,
    )


def choice_of(chunk: Chunk) -> Chunk:
    """The first choice; the chunk with the usage has none."""
    choices = chunk.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else {}
    return first if isinstance(first, dict) else {}


def member(value: Chunk, name: str) -> Chunk:
    """A member that is an object; empty where it is none."""
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def text_of(value: Chunk, name: str) -> str:
    """A member that is a text; empty where it is none."""
    found = value.get(name)
    return found if isinstance(found, str) else ""


async def _events(response: httpx.Response) -> AsyncIterator[Chunk]:
    response.encoding = "utf-8"  # an event stream has no other
    events = EventSource(response).aiter_sse()
    async for event in events:
        if event.data == "[DONE]":
            # The connection can be used again once its end was read, which comes at once or is not worth waiting for.
            with suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_S):
                    async for _ in events:
                        pass
            return
        chunk = json.loads(event.data)
        if not isinstance(chunk, dict):
            raise UpstreamBrokenError
        yield chunk


async def _error_object(response: httpx.Response) -> Any:
    body = b""
    async for part in response.aiter_bytes():
        body += part
        if len(body) > _MOST_ERROR_BYTES:
            return None
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer.get("error", answer) if isinstance(answer, dict) else None


def _elapsed_ms(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)
