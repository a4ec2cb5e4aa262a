"""Mutants of versions: what is pinned, what is announced, what is gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from reference_impl.mutants.asked import Wrap, edit_asked
from reference_impl.mutants.edits import on_code
from reference_impl.mutants.model import ASGIApp, mutant
from reference_impl.mutants.requests import answers, below
from reference_impl.mutants.wire import Answer, Headers, edit_answers, edit_heads, with_header, without
from reference_impl.policies.errors import PROBLEM

NOTICE = (b"deprecation", b"sunset", b"link")


def _model(wanted: Mapping[str, str]) -> Wrap:
    """Answer one model's name by another model."""
    return edit_asked(
        lambda p: {**p, "model": wanted.get(str(p["model"]), p["model"])} if "model" in p else p, "/chat"
    )


def _older_interface_older_model(app: ASGIApp) -> ASGIApp:
    """A request for another interface version than the newest is answered by the small model."""
    small = _model({"atlas-1-2026-06-01": "atlas-mini"})(app)

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        asked = dict(scope.get("headers", ())).get(b"api-version")
        await (small if asked == b"2026-06-01" else app)(scope, receive, send)

    return wrapped


def _not_found(answer: Answer) -> Answer:
    error = {**answer.json["error"], "code": "NOT_FOUND", "details": {}}
    return replace(answer.with_json({"error": error}), status=404)


def _other_code(answer: Answer) -> Answer:
    if dict(answer.headers).get(b"content-type") != PROBLEM.encode():
        return answer
    return answer.with_json({**answer.json, "code": "INVALID_REQUEST"})


def _soon(_status: int, headers: Headers) -> Headers:
    known = dict(headers)
    if b"deprecation" not in known:
        return headers
    since = datetime.fromtimestamp(int(known[b"deprecation"][1:]), UTC)
    return with_header(headers, b"sunset", format_datetime(since + timedelta(days=30), usegmt=True).encode())


def _only_here(path: str, names: tuple[bytes, ...]) -> Wrap:
    return edit_answers(
        lambda a: replace(a, headers=without(a.headers, *names)) if below(a.scope, path) else a
    )


def _shorter_description(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "paths": {k: v for k, v in document["paths"].items() if k != "/usage"}}


MUTANTS = (
    mutant("pinned-model-drifts", "VER-05", "a pinned name is answered by another model", wrap=_model({"atlas-1-2026-06-01": "atlas-mini-2026-03-01"})),
    mutant("model-tied-to-interface", "VER-07", "an older interface has an older model", wrap=_older_interface_older_model),
    mutant("sunset-in-30-days", "VER-10", "a month from deprecation to sunset", wrap=edit_heads(_soon)),
    mutant("deprecation-without-link", "VER-12", "a deprecation names no successor", wrap=edit_heads(lambda _, h: without(h, b"link"))),
    mutant("deprecation-without-sunset", "VER-13 VER-17", "a deprecation has no end", wrap=edit_heads(lambda _, h: without(h, b"sunset"))),
    mutant("silent-deprecation", "VER-13", "a deprecated operation does not say so", wrap=_only_here("/count-tokens", NOTICE)),
    mutant("description-shrinks", "VER-14", "a minor version lost an operation", wrap=answers("/openapi.json", _shorter_description)),
    mutant("retired-operation-404", "VER-15", "a retired operation is not found", wrap=on_code("GONE", _not_found)),
    mutant("retired-model-substituted", "VER-16", "a retired model is answered by its successor", wrap=_model({"atlas-beta-2025-01-15": "atlas-1"})),
    mutant("problem-with-another-code", "ERR-11", "problem documents have a code of their own", wrap=edit_answers(_other_code)),
)  # fmt: skip
