"""Mutants of answers, errors and headers in OpenAI's shape."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

from reference_impl.mutants.answers import key_echoed, stack_trace
from reference_impl.mutants.asked import Fields, edit_asked
from reference_impl.mutants.edits import (
    Edit,
    drop_headers,
    edit_chat,
    error_with,
    errors_with,
    on_code,
    on_status,
    set_header,
    to_html,
    to_status,
)
from reference_impl.mutants.failures import cut_messages
from reference_impl.mutants.model import Subject, mutant
from reference_impl.mutants.quotas import doubled
from reference_impl.mutants.streams import early_errors_as_stream
from reference_impl.mutants.wire import Answer, Headers, edit_answers, edit_heads, with_header

FILTERED = {
    "id": "chatcmpl-filtered",
    "object": "chat.completion",
    "created": 1_780_000_000,
    "model": "atlas-1-2026-06-01",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}],
}


def _choice(**changes: Any) -> Any:
    return edit_chat(lambda b: {**b, "choices": [{**b["choices"][0], **changes}]})


def _reason(name: str) -> Any:
    """Say ``name`` where an answer was cut off by its limit."""

    def edit(body: Fields) -> Fields:
        choice = body["choices"][0]
        if choice["finish_reason"] == "length":
            choice = {**choice, "finish_reason": name}
        return {**body, "choices": [choice]}

    return edit_chat(edit)


def _usage(change: Any) -> Any:
    return edit_chat(lambda b: {**b, "usage": change(b["usage"])})


def _unlimited(asked: Fields) -> Fields:
    return {k: v for k, v in asked.items() if k not in ("max_tokens", "max_completion_tokens")}


def _some_model(asked: Fields) -> Fields:
    return {**asked, "model": "atlas-1"} if "no-such" in str(asked.get("model")) else asked


def _in_words(answer: Answer) -> Answer:
    return answer.with_json({"error": "something went wrong"})


def _now_and_then() -> Edit:
    number = count()
    return lambda answer: replace(answer, status=422) if next(number) % 2 else answer


def _more_than_all(_status: int, headers: Headers) -> Headers:
    told = any(k == b"x-ratelimit-remaining-requests" for k, _ in headers)
    return with_header(headers, b"x-ratelimit-remaining-requests", b"7000000") if told else headers


def _any_error(edit: Edit) -> Any:
    return edit_answers(lambda a: edit(a) if a.status >= 400 else a)


def facade(name: str, violates: str, story: str, *, says: str, wrap: Any, sandbox: bool = False) -> Subject:
    """A defect of the facade. ``sandbox``: it shows only when a failure is provoked, which OpenAI's own format cannot."""
    dialect = "openai-facade" if sandbox else "openai-chat"
    return mutant(f"oai-{name}", violates, story, says=says, wrap=wrap, dialect=dialect)


MUTANTS = (
    facade("choices-empty", "SYNC-05", "an answer without a choice", says="finish_reason", wrap=edit_chat(lambda b: {**b, "choices": []})),
    facade("finish-reason-null", "SYNC-05", "finish_reason is null", says="finish_reason", wrap=_choice(finish_reason=None)),
    facade("limit-as-stop", "SYNC-06", "an answer cut by its limit ends with stop", says="length", wrap=_reason("stop")),
    facade("limit-as-tool-calls", "SYNC-06", "an answer cut by its limit ends with tool_calls", says="length", wrap=_reason("tool_calls")),
    facade("limit-dropped", "SYNC-06", "a gateway drops max_tokens", says="output tokens", wrap=edit_asked(_unlimited)),
    facade("content-empty", "SYNC-09", "no text and finish_reason stop", says="text", wrap=_choice(finish_reason="stop", message={"role": "assistant", "content": ""})),
    facade("usage-does-not-add-up", "TRC-11", "the total is not the sum", says="in total", wrap=_usage(lambda u: {**u, "total_tokens": 7})),
    facade("usage-in-text", "TRC-11", "tokens are strings", says="integer", wrap=_usage(lambda u: {**u, "prompt_tokens": str(u["prompt_tokens"])})),
    facade("cached-beside-input", "TRC-12", "cached tokens are not part of the input", says="cached_input", wrap=_usage(lambda u: {**u, "prompt_tokens_details": {"cached_tokens": 90_000}})),
    facade("usage-constant", "TRC-13", "the input always has ten tokens", says="input tokens of the short", wrap=_usage(lambda u: {**u, "prompt_tokens": 10})),
    facade("requests-unnamed", "TRC-19", "no response names its request", says="request id", wrap=drop_headers(b"x-request-id")),
    facade("ids-lost-on-errors", "TRC-02", "errors have no x-request-id", says="request id", wrap=edit_heads(lambda s, h: [(k, v) for k, v in h if k != b"x-request-id" or s < 400])),
    facade("model-unnamed", "TRC-20", "an answer names no model", says="model", wrap=edit_chat(lambda b: {k: v for k, v in b.items() if k != "model"})),
    facade("html-404", "CON-05 CON-14", "an unknown path gives a web page", says="HTML|html", wrap=on_status(404, to_html)),
    facade("html-429", "CON-14 RATE-26", "a limit gives a web page", says="html|DOCTYPE", wrap=on_status(429, to_html)),
    facade("crash-on-bad-json", "CON-09", "malformed JSON gives 500", says="500", wrap=on_code("invalid_json", to_status(500))),
    facade("crash-on-invalid-field", "CON-10", "a body of the wrong shape gives 500", says="500", wrap=on_code("invalid_request", to_status(500))),
    facade("stack-trace", "CON-15", "errors carry a stack trace", says="traceback", wrap=_any_error(stack_trace)),
    facade("error-as-200", "CON-24 ERR-18", "an unknown model gives 200 and an error", says="model_not_found|200", wrap=on_code("model_not_found", to_status(200))),
    facade("public-answers", "CON-36", "answers may be shared by caches", says="public", wrap=set_header(b"cache-control", b"public, max-age=60", 200)),
    facade("no-retry-after", "RATE-02", "429 without Retry-After", says="Retry-After", wrap=drop_headers(b"retry-after", status=429)),
    facade("retry-after-zero", "RATE-03", "Retry-After: 0", says="seen 0", wrap=set_header(b"retry-after", b"0", 429)),
    facade("retry-after-fraction", "RATE-03", "Retry-After has a fraction", says=r"1\.5", wrap=set_header(b"retry-after", b"1.5", 429)),
    facade("retry-after-too-short", "RATE-04", "Retry-After is always one second", says="429 again", wrap=set_header(b"retry-after", b"1", 429)),
    facade("retry-after-doubled", "RATE-05", "Retry-After is twice the wait needed", says="half of Retry-After", wrap=on_status(429, doubled)),
    facade("429-in-stream", "RATE-17", "a limit is told by an event in a 200", says="200 and an error event", wrap=early_errors_as_stream(429)),
    facade("more-left-than-all", "RATE-22", "more is left than the limit", says="is left", wrap=edit_heads(_more_than_all)),
    facade("limit-as-500", "RATE-01", "a limit gives 500", says="500", wrap=on_status(429, to_status(500))),
    facade("error-without-message", "ERR-19", "errors have no message", says="message", wrap=errors_with(message="")),
    facade("error-in-words", "ERR-19", "an error is a bare text", says="code or type", wrap=_any_error(_in_words)),
    facade("unknown-model-500", "ERR-18", "an unknown model gives 500", says="500", wrap=on_code("model_not_found", to_status(500))),
    facade("unknown-model-answered", "ERR-18", "an unknown model is answered by another", says="200", wrap=edit_asked(_some_model)),
    facade("status-varies", "ERR-20", "the same cause gives 400 or 422", says="one status for one code", wrap=on_code("invalid_request", _now_and_then())),
    facade("overflow-as-500", "ERR-21", "too long a prompt gives 500", says="500", wrap=on_code("context_length_exceeded", to_status(500)), sandbox=True),
    facade("overflow-cut", "ERR-21", "too long a prompt is cut silently", says="200", wrap=edit_asked(cut_messages), sandbox=True),
    facade("overflow-in-prose", "ERR-22", "an overflow is told without numbers", says="input_tokens", wrap=on_code("context_length_exceeded", error_with(message="Too long.")), sandbox=True),
    facade("filter-as-empty-answer", "ERR-23", "a filtered prompt gives an empty answer", says="finish reason stop", wrap=on_code("content_policy_violation", lambda a: replace(a, status=200).with_json(FILTERED)), sandbox=True),
    facade("balancer-timeout", "SYNC-03", "the balancer's timeout strikes first", says="502", wrap=on_code("timeout", lambda a: replace(to_html(a), status=502)), sandbox=True),
    facade("forbidden-for-unknown-key", "AUTH-02", "a wrong key gives 403", says="403", wrap=on_status(401, to_status(403))),
    facade("no-challenge", "AUTH-20", "401 without WWW-Authenticate", says="WWW-Authenticate", wrap=drop_headers(b"www-authenticate", status=401)),
    facade("key-echoed", "AUTH-16", "a refused model echoes the credential", says="a key in", wrap=on_status(404, key_echoed)),
)  # fmt: skip
