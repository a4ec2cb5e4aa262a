"""Mutants of identity and self-description: traces, usage, models, versions, what the documents say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from reference_impl.mutants.edits import drop_headers, edit_metadata, edit_usage, on_path, set_header, when
from reference_impl.mutants.model import mutant
from reference_impl.mutants.wire import Answer, Headers, edit_heads

DEPRECATED = b"@1893456000"  # 2030-01-01
SUNSET = b"Sat, 01 Jan 2028 00:00:00 GMT"


def _cut_client_id(_status: int, headers: Headers) -> Headers:
    return [(k, v[:8] if k == b"x-client-request-id" else v) for k, v in headers]


def _two_dates(_status: int, headers: Headers) -> Headers:
    return [*headers, (b"deprecation", DEPRECATED), (b"sunset", SUNSET)]


def _is_document(answer: Answer) -> bool:
    return answer.status == 200 and b'"openapi":' in answer.body


def _renamed(old: bytes, new: bytes) -> Callable[[Answer], Answer]:
    return lambda answer: replace(answer, body=answer.body.replace(old, new))


def _older(answer: Answer) -> Answer:
    document = answer.json
    return answer.with_json({**document, "info": {**document["info"], "version": "0.9.0"}})


def _numbers_for_examples(value: Any) -> Any:
    """The document with a number in the place of each example."""
    if isinstance(value, list):
        return [_numbers_for_examples(v) for v in value]
    if not isinstance(value, dict):
        return value
    changed = {k: _numbers_for_examples(v) for k, v in value.items()}
    for name in ("value", "dataValue"):
        if name in changed and ("summary" in changed or len(changed) == 1):
            changed[name] = 7
    return changed


def _without_summaries(answer: Answer) -> Answer:
    document = answer.json
    paths = {
        path: {k: {n: v for n, v in op.items() if n != "summary"} if isinstance(op, dict) else op for k, op in item.items()}
        for path, item in document["paths"].items()
    }  # fmt: skip
    return answer.with_json({**document, "paths": paths})


def _thin(answer: Answer) -> Answer:
    models = [{"id": m["id"], "object": "model", "created": 1_780_000_000} for m in answer.json["data"]]
    return answer.with_json({"object": "list", "data": models})


def _repointed(answer: Answer) -> Answer:
    first, second = answer.json["data"][:2]
    models = [{**first, "aliases": second["aliases"]}, {**second, "aliases": first["aliases"]}]
    return answer.with_json({**answer.json, "data": models})


def _bare_confidence(answer: Answer) -> Answer:
    body = answer.json
    return answer.with_json({**body, "capabilities": {**body["capabilities"], "confidence": {}}})


MUTANTS = (
    mutant("trace-of-its-own", "TRC-01", "the trace id is a response id of the vendor's", says="32 lower-case", wrap=edit_metadata(lambda m: {**m, "trace_id": m["request_id"]})),
    mutant("trace-not-in-head", "TRC-07", "the trace is nowhere in the headers", says="Server-Timing", wrap=drop_headers(b"server-timing")),
    mutant("client-id-cut", "TRC-08", "the client's request id comes back cut", says="X-Client-Request-Id", wrap=edit_heads(_cut_client_id)),
    mutant("cached-beside-input", "TRC-12", "cached tokens are not part of the input", says="cached_input", wrap=edit_usage(cached_input=100_000)),
    mutant("no-otel-names", "TRC-18", "nobody maps the metadata to OpenTelemetry", says="x-otel", wrap=when(_is_document, _renamed(b'"x-otel"', b'"x-own"'))),
    mutant("requests-unnamed", "TRC-19 TRC-02", "no response names its request", says="request id", wrap=drop_headers(b"x-request-id")),
    mutant("model-unnamed", "TRC-20", "an answer does not name its model", says="the model that gave the answer", wrap=edit_metadata(lambda m: {**m, "model_version": ""})),
    mutant("metadata-of-another", "TRC-21", "body and header name two requests", says="request_id", wrap=edit_metadata(lambda m: {**m, "request_id": "req_of_the_worker"})),
    mutant("newest-version-answers", "VER-03", "the version asked for is not the one that answers", says="API-Version", wrap=set_header(b"api-version", b"2027-01-01")),
    mutant("alias-repointed", "VER-06", "the model list does not know where an alias leads", says="atlas", wrap=on_path("/models", _repointed)),
    mutant("deprecation-true", "VER-08", "Deprecation: true, as in an old draft", says="seen true", wrap=set_header(b"deprecation", b"true")),
    mutant("sunset-iso", "VER-09", "Sunset is an ISO date", says="IMF-fixdate", wrap=set_header(b"sunset", b"2027-11-24T00:00:00Z")),
    mutant("sunset-before-deprecation", "VER-11", "the sunset is before the deprecation", says="2028", wrap=edit_heads(_two_dates)),
    mutant("stale-description", "DOC-01", "the description is of another release", says="0.9.0", wrap=when(_is_document, _older)),
    mutant("examples-invalid", "DOC-03", "examples do not match their schemas", says="example", wrap=when(_is_document, lambda a: a.with_json(_numbers_for_examples(a.json)))),
    mutant("summaries-missing", "DOC-03", "operations have no summary", says="summary", wrap=when(_is_document, _without_summaries)),
    mutant("thin-model-list", "DOC-07", "models have little more than an id", says="no such member", wrap=on_path("/models", _thin)),
    mutant("confidence-unexplained", "DOC-09", "nobody tells where a confidence comes from", says="method", wrap=on_path("/capabilities", _bare_confidence)),
)  # fmt: skip
