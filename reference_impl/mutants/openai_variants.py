"""Servers that speak OpenAI's format as real ones do, each in a way of its own; none of them breaks a promise."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from math import ceil
from typing import Any

from reference_impl.mutants.edits import (
    edit_chat,
    error_with,
    on_code,
    on_path,
    on_status,
    set_header_on,
    to_status,
    when,
)
from reference_impl.mutants.framing import balanced, crlf, gzipped, stream_bytes, without_length
from reference_impl.mutants.model import QUICK, ASGIApp, Subject, variant
from reference_impl.mutants.variants import pretty, title_case
from reference_impl.mutants.wire import (
    Answer,
    Headers,
    StreamEdit,
    each_event,
    edit_answers,
    edit_heads,
    edit_streams,
)

Chunk = dict[str, Any]


def _event(chunk: Chunk) -> bytes:
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def _chunk(block: bytes) -> Chunk | None:
    return json.loads(block[6:]) if block.startswith(b"data: {") else None


def _delta(change: Callable[[Chunk], Chunk]) -> Callable[[ASGIApp], ASGIApp]:
    """Rewrite the delta of each chunk."""

    def edit(chunk: Chunk) -> Chunk:
        if not chunk.get("choices"):
            return chunk
        choice = chunk["choices"][0]
        return {**chunk, "choices": [{**choice, "delta": change(choice["delta"])}]}

    return each_event(edit)


class _Coalesced(StreamEdit):
    """Two pieces of text in each chunk, as where tokens come faster than packets."""

    def __init__(self) -> None:
        self._held: Chunk | None = None

    def block(self, block: bytes) -> list[bytes]:
        chunk = _chunk(block)
        text = chunk["choices"][0]["delta"].get("content") if chunk and chunk.get("choices") else None
        if chunk is None or not text:
            held, self._held = self._held, None
            return [*([_event(held)] if held else []), block]
        if self._held is None:
            self._held = chunk
            return []
        held, self._held = self._held, None
        held["choices"][0]["delta"]["content"] += text
        return [_event(held)]


class _ReasonWithText(StreamEdit):
    """The finish reason comes in the chunk of the last text."""

    def __init__(self) -> None:
        self._held = b""

    def block(self, block: bytes) -> list[bytes]:
        chunk = _chunk(block)
        if chunk and chunk.get("choices") and chunk["choices"][0]["finish_reason"] and self._held:
            last = json.loads(self._held[6:])
            last["choices"][0]["finish_reason"] = chunk["choices"][0]["finish_reason"]
            self._held = b""
            return [_event(last)]
        held, self._held = self._held, b""
        if chunk and chunk.get("choices") and chunk["choices"][0]["delta"].get("content"):
            self._held = block
            return [held] if held else []
        return [*([held] if held else []), block]


class _RunningTotal(StreamEdit):
    """Usage in each chunk, as it grows."""

    def __init__(self) -> None:
        self._output = 0

    def block(self, block: bytes) -> list[bytes]:
        chunk = _chunk(block)
        if chunk is None or not chunk.get("choices"):
            return [block]
        self._output += bool(chunk["choices"][0]["delta"].get("content"))
        so_far = {"prompt_tokens": 1, "completion_tokens": self._output, "total_tokens": 1 + self._output}
        return [_event({**chunk, "usage": so_far})]


class _First(StreamEdit):
    """Chunks before the first one of the answer."""

    def __init__(self, *before: Callable[[Chunk], bytes]) -> None:
        self._before = before

    def block(self, block: bytes) -> list[bytes]:
        chunk = _chunk(block)
        if chunk is None or not self._before:
            return [block]
        before, self._before = self._before, ()
        return [*(make(chunk) for make in before), block]


def _azure_prefix(chunk: Chunk) -> bytes:
    return _event({**chunk, "choices": [], "prompt_filter_results": [{"prompt_index": 0}]})


def _thought(chunk: Chunk) -> bytes:
    delta = {"role": "assistant", "content": None, "reasoning_content": "The user wants"}
    return _event({**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})


def _processing(_chunk: Chunk) -> bytes:
    return b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n"


def _without_null_usage(chunk: Chunk) -> Chunk:
    return {k: v for k, v in chunk.items() if k != "usage" or v}


def _later_fields(body: Chunk) -> Chunk:
    return {**body, "service_tier": "default", "system_fingerprint": "fp_7"}


def _http_date(answer: Answer) -> Answer:
    wait = next((int(v) for k, v in answer.headers if k.lower() == b"retry-after"), 1)
    return set_header_on(answer, b"retry-after", formatdate(ceil(time.time()) + wait, usegmt=True).encode())


def _milliseconds(status: int, headers: Headers) -> Headers:
    waits = [(b"retry-after-ms", v + b"000") for k, v in headers if k.lower() == b"retry-after"]
    return [*headers, *waits] if status == 429 else headers


def _other_id_name(_status: int, headers: Headers) -> Headers:
    renamed = [(b"request-id" if k == b"x-request-id" else k, v) for k, v in headers]
    return [(k, v.replace(b"X-Request-Id", b"Request-Id") if b"expose" in k else v) for k, v in renamed]


def _numeric_code(answer: Answer) -> Answer:
    return error_with(code=answer.status)(answer)


def _is_error(answer: Answer) -> bool:
    return answer.status >= 400 and answer.body.startswith(b'{"error"')


def _bare_models(answer: Answer) -> Answer:
    return answer.with_json({"object": "list", "data": [{"id": m["id"], "object": "model"} for m in answer.json["data"]]})  # fmt: skip


def _parts(body: Chunk) -> Chunk:
    choice = body["choices"][0]
    text = [{"type": "text", "text": choice["message"]["content"]}]
    return {**body, "choices": [{**choice, "message": {**choice["message"], "content": text}}]}


def _facade(name: str, story: str, *, wrap: Any = None, sandbox: bool = False, **more: Any) -> Subject:
    dialect = "openai-facade" if sandbox else "openai-chat"
    return variant(f"oai-{name}", story, dialect=dialect, **more, **({"wrap": wrap} if wrap else {}))


VARIANTS = (
    _facade("plain", "the facade as it is"),
    _facade("plain-provoked", "the facade as it is, met with its sandbox", sandbox=True),
    _facade("role-in-each-chunk", "each delta names the role, as vLLM did: deltas are merged by key", wrap=_delta(lambda d: {"role": "assistant", **d})),
    _facade("content-null-first", "the first delta has content null, which the format allows", wrap=_delta(lambda d: {**d, "content": None} if d.get("content") == "" else d)),
    _facade("running-usage", "usage grows from chunk to chunk; the last counts", wrap=edit_streams(_RunningTotal)),
    _facade("no-null-usage", "chunks without usage leave the member out instead of null", wrap=each_event(_without_null_usage)),
    _facade("obfuscation", "OpenAI pads chunks with a member obfuscation against side channels", wrap=each_event(lambda c: {**c, "obfuscation": "x7Kq"})),
    _facade("two-tokens-per-chunk", "text comes in larger pieces: how it is cut is nobody's promise", wrap=edit_streams(_Coalesced)),
    _facade("reason-with-text", "the finish reason comes with the last text", wrap=edit_streams(_ReasonWithText)),
    _facade("azure-prefix", "a first chunk without choices, as Azure sends it", wrap=edit_streams(lambda: _First(_azure_prefix))),
    _facade("reasoning-first", "a delta of reasoning before the text, as DeepSeek sends it", wrap=edit_streams(lambda: _First(_thought))),
    _facade("processing-comments", "comments with blank lines, as OpenRouter sends them: legal, and without ids harmless", wrap=edit_streams(lambda: _First(_processing))),
    _facade("later-fields", "service_tier and system_fingerprint", wrap=edit_chat(_later_fields)),
    _facade("content-in-parts", "the text is a list of parts, as Mistral sends it", wrap=edit_chat(_parts)),
    _facade("http-date-retry-after", "Retry-After is an HTTP-date (RFC 9110 10.2.3)", wrap=on_status(429, _http_date)),
    _facade("retry-after-ms", "retry-after-ms beside Retry-After, as OpenAI sends it", wrap=edit_heads(_milliseconds)),
    _facade("request-id-by-another-name", "the request id is called request-id", wrap=edit_heads(_other_id_name)),
    _facade("title-case", "header names in Title-Case (RFC 9110 5.1)", wrap=edit_heads(title_case)),
    _facade("numeric-codes", "the code of an error repeats its status, as in vLLM; its type tells more", wrap=when(_is_error, _numeric_code)),
    _facade("invalid-as-422", "an invalid body gives 422, as in FastAPI servers: a 4xx that nobody retries", wrap=on_code("invalid_request", to_status(422))),
    _facade("bare-models", "the model list has ids only", wrap=on_path("/models", _bare_models)),
    _facade("pretty-json", "indented JSON", wrap=edit_answers(pretty)),
    _facade("crlf", "CRLF ends the lines (WHATWG HTML 9.2.5)", wrap=stream_bytes(crlf)),
    _facade("gzip", "compressed for who accepts it (RFC 9110 12.5.3)", wrap=gzipped, sandbox=True),
    _facade("chunked-answers", "answers framed by chunks (RFC 9112 6)", wrap=edit_heads(without_length)),
    _facade("redirecting-balancer", "a balancer sends each call on with 307 (RFC 9110 15.4.8)", wrap=balanced),
    _facade("unlimited", "no limits, and nothing said about them", settings=replace(QUICK, rate_limits=False)),
    _facade("slow-first-token", "the first token takes a second", settings=replace(QUICK, first_token_ms=1000)),
)  # fmt: skip
