"""Mutants of the failures peculiar to AI: windows, filters, confidence, time; and of what errors say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

from reference_impl.mutants.asked import Fields, edit_asked, fields_of, given, whole_body
from reference_impl.mutants.edits import (
    Wrap,
    edit_chat,
    error_with,
    errors_with,
    on_code,
    on_path,
    set_header_on,
    to_html,
    to_status,
    when,
)
from reference_impl.mutants.model import ASGIApp, mutant
from reference_impl.mutants.wire import Answer, edit_answers

LONGEST = 2_000
"""Characters of a message that the silent cutter leaves."""


def _narrower(answer: Answer) -> Answer:
    models = [{**m, "context_window": m["context_window"] - 64} for m in answer.json["data"]]
    return answer.with_json({**answer.json, "data": models})


def cut_messages(asked: Fields) -> Fields:
    found = asked.get("messages")
    if not isinstance(found, list) or not all(isinstance(m, dict) for m in found):
        return asked
    cut = [
        {**m, "content": m["content"][:LONGEST]} if isinstance(m.get("content"), str) else m for m in found
    ]
    return {**asked, "messages": cut}


def _one_model(asked: Fields) -> Fields:
    return {k: v for k, v in asked.items() if k != "model"} if "no-such" in str(asked.get("model")) else asked


def _empty_success(answer: Answer) -> Answer:
    metadata = {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "model_version": "atlas-1-2026-06-01"}
    message = {"role": "assistant", "content": ""}
    body = {"id": "chat_filtered", "message": message, "finish_reason": "stop", "metadata": metadata}
    return replace(answer, status=200).with_json(body)


def _invites_retry(answer: Answer) -> Answer:
    return set_header_on(error_with(retryable=True)(answer), b"retry-after", b"1")


def _prompt_in_errors(app: ASGIApp) -> ASGIApp:
    """Passes the upstream's refusal on, with the whole request in it."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await app(scope, receive, send)
            return
        body = await whole_body(receive)
        prompt = str(fields_of(body).get("messages"))[:400]
        await errors_with(message=f"upstream refused {prompt}")(app)(scope, given(body, receive), send)

    return wrapped


def _now_and_then(status: int) -> Callable[[Answer], Answer]:
    """Every second time another status."""
    number = count()
    return lambda answer: replace(answer, status=status) if next(number) % 2 else answer


def _balancer_timeout(answer: Answer) -> Answer:
    return replace(to_html(answer), status=502)


def _without_limit(asked: Fields) -> Fields:
    return {k: v for k, v in asked.items() if k != "max_output_tokens"}


def _said_stop(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "finish_reason": "stop"} if body["finish_reason"] == "length" else body


def _dead_link(answer: Answer) -> Answer:
    return replace(answer, body=answer.body.replace(b"/errors/MODEL_NOT_FOUND", b"/errors/RENAMED"))


def _without_score(answer: Answer) -> Answer:
    return answer.with_json({k: v for k, v in answer.json.items() if k != "confidence"})


def _no_sync_limit(answer: Answer) -> Answer:
    body = answer.json
    return answer.with_json({**body, "limits": {k: v for k, v in body["limits"].items() if k != "sync_max_seconds"}})  # fmt: skip


def _slow_promise(answer: Answer) -> Answer:
    body = answer.json
    return answer.with_json({**body, "limits": {**body["limits"], "sync_max_seconds": 0.0001}})


def _both_forms(answer: Answer) -> Answer:
    told = answer.json
    return answer.with_json({**told, "error": {"code": told.get("code")}, "status": 0})


def _is_problem(answer: Answer) -> bool:
    return any(k.lower() == b"content-type" and b"problem+json" in v for k, v in answer.headers)


def _any_error(edit: Callable[[Answer], Answer]) -> Wrap:
    return edit_answers(lambda a: edit(a) if a.status >= 400 else a)


MUTANTS = (
    mutant("window-off-by-template", "ERR-04", "the published window is not the enforced one", says="a refusal above the window", wrap=on_path("/models", _narrower)),
    mutant("confidence-invites-retry", "ERR-08", "low confidence is retryable", says="retryable", wrap=on_code("INSUFFICIENT_CONFIDENCE", _invites_retry)),
    mutant("prompt-in-errors", "ERR-12", "an error repeats the prompt", says="the prompt", wrap=_prompt_in_errors),
    mutant("dead-docs", "ERR-16", "docs_url leads nowhere", says="RENAMED", wrap=_any_error(_dead_link)),
    mutant("both-error-forms", "ERR-11", "problem document and envelope in one body", says="status", wrap=when(_is_problem, _both_forms)),
    mutant("unknown-model-answered", "ERR-18 ERR-13", "an unknown model is answered by another", says="200", wrap=edit_asked(_one_model)),
    mutant("error-without-message", "ERR-19", "errors have no message", says="message", wrap=errors_with(message="")),
    mutant("errors-empty", "ERR-19 CON-14", "errors have no body", says="an empty body|empty", wrap=_any_error(lambda a: replace(a, body=b""))),
    mutant("status-varies", "ERR-20", "the same cause gives 400 or 422", says="one status for one code", wrap=on_code("INVALID_REQUEST", _now_and_then(422))),
    mutant("overflow-as-500", "ERR-21", "too long a prompt gives 500", says="500", wrap=on_code("CONTEXT_LENGTH_EXCEEDED", to_status(500))),
    mutant("overflow-cut", "ERR-21 ERR-03", "too long a prompt is cut silently", says="200", wrap=edit_asked(cut_messages)),
    mutant("overflow-in-prose", "ERR-22", "an overflow is told without numbers", says="input_tokens", wrap=on_code("CONTEXT_LENGTH_EXCEEDED", error_with(details={"suggestion": "shorten it"}))),
    mutant("outage-as-500", "ERR-24", "an outage of the database gives 500", says="500", wrap=on_code("SERVICE_UNAVAILABLE", to_status(500))),
    mutant("filter-as-empty-answer", "ERR-23", "a filtered prompt gives an empty answer", says="finish reason stop", wrap=on_code("CONTENT_FILTER_TRIGGERED", _empty_success)),
    mutant("classified-without-score", "SYNC-01", "a category without confidence", says="confidence", wrap=on_path("/classify", _without_score)),
    mutant("no-sync-limit", "SYNC-02", "no time is declared for synchronous answers", says="sync_max_seconds|seconds", wrap=on_path("/capabilities", _no_sync_limit)),
    mutant("sync-limit-too-short", "SYNC-02", "the declared time is not kept", says="percentile", wrap=on_path("/capabilities", _slow_promise)),
    mutant("balancer-timeout", "SYNC-03", "the balancer's own timeout strikes first", says="502", wrap=on_code("MODEL_TIMEOUT", _balancer_timeout)),
    mutant("cut-answer-as-stop", "SYNC-06 SYNC-07", "an answer cut by the limit ends with stop", says="length", wrap=edit_chat(_said_stop)),
    mutant("output-limit-dropped", "SYNC-06", "a gateway drops the output limit", says="output tokens", wrap=edit_asked(_without_limit)),
)  # fmt: skip
