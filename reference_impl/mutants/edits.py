"""The changes that mutants of answers are made of: of one status, one code, one header, one block of metadata."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from reference_impl.mutants.model import ASGIApp
from reference_impl.mutants.wire import Answer, Headers, edit_answers, edit_heads, with_header, without

Edit = Callable[[Answer], Answer]
Wrap = Callable[[ASGIApp], ASGIApp]

HTML = b"<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Error</h1></body></html>"


def when(chosen: Callable[[Answer], bool], edit: Edit) -> Wrap:
    """Rewrite the answers that ``chosen`` names."""
    return edit_answers(lambda a: edit(a) if chosen(a) else a)


def on_status(status: int, edit: Edit) -> Wrap:
    return when(lambda a: a.status == status, edit)


def on_code(code: str, edit: Edit) -> Wrap:
    """Rewrite the errors with this code."""
    return when(lambda a: a.status >= 400 and f'"{code}"'.encode() in a.body, edit)


def on_path(ending: str, edit: Edit, status: int = 200) -> Wrap:
    """Rewrite the answers of one status from the paths with this ending."""
    return when(lambda a: a.status == status and a.scope["path"].endswith(ending), edit)


def to_html(answer: Answer) -> Answer:
    headers = with_header(answer.headers, b"content-type", b"text/html; charset=utf-8")
    return replace(answer, headers=headers, body=HTML)


def to_status(status: int) -> Edit:
    return lambda answer: replace(answer, status=status)


def error_with(**changes: Any) -> Edit:
    """Change fields of the error object; a value of ``...`` removes the field."""

    def edit(answer: Answer) -> Answer:
        if not isinstance(answer.json.get("error"), dict):  # the authorization server's errors are texts
            return answer
        error = {**answer.json["error"], **changes}
        return answer.with_json({"error": {k: v for k, v in error.items() if v is not ...}})

    return edit


def errors_with(**changes: Any) -> Wrap:
    """Change fields of the error object in every error."""
    return when(lambda a: a.status >= 400 and a.body.startswith(b'{"error"'), error_with(**changes))


def drop_headers(*names: bytes, status: int | None = None) -> Wrap:
    return edit_heads(lambda s, h: without(h, *names) if status in (None, s) else h)


def set_header(name: bytes, value: bytes, status: int | None = None) -> Wrap:
    def edit(seen: int, headers: Headers) -> Headers:
        return with_header(headers, name, value) if status in (None, seen) else headers

    return edit_heads(edit)


def set_header_on(answer: Answer, name: bytes, value: bytes) -> Answer:
    return replace(answer, headers=with_header(answer.headers, name, value))


def edit_metadata(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Wrap:
    """Rewrite the metadata block of every JSON answer of a model."""

    def edit(answer: Answer) -> Answer:
        if answer.status != 200 or b'"metadata"' not in answer.body:
            return answer
        body = answer.json
        if "trace_id" not in body.get("metadata", {}):
            return answer
        return answer.with_json({**body, "metadata": change(body["metadata"])})

    return edit_answers(edit)


def edit_usage(**changes: Any) -> Wrap:
    return edit_metadata(lambda m: {**m, "tokens_used": {**m["tokens_used"], **changes}})


def edit_chat(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Wrap:
    """Rewrite every whole chat answer."""

    def edit(answer: Answer) -> Answer:
        if answer.status != 200 or b'"finish_reason"' not in answer.body or b'"openapi"' in answer.body:
            return answer
        return answer.with_json(change(answer.json))

    return edit_answers(edit)


def saying(text: Callable[[str], str]) -> Wrap:
    """Rewrite the text of every whole chat answer of the contract."""
    return edit_chat(lambda b: {**b, "message": {**b["message"], "content": text(b["message"]["content"])}})
