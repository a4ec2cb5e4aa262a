"""Mutants of answers and headers: errors in the wrong shape, identity lost, limits that lie."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from reference_impl.mutants.asked import answer_json
from reference_impl.mutants.edits import (
    drop_headers,
    edit_metadata,
    edit_usage,
    error_with,
    errors_with,
    on_code,
    on_status,
    set_header,
    to_html,
    to_status,
)
from reference_impl.mutants.model import ASGIApp, mutant
from reference_impl.mutants.wire import Answer, Headers, edit_answers, edit_heads, without

LIMITS = (b"ratelimit", b"ratelimit-policy")


def key_echoed(answer: Answer) -> Answer:
    return error_with(message=f"Bad credential {answer.asked(b'authorization').decode()}")(answer)


def stack_trace(answer: Answer) -> Answer:
    trace = (
        'Traceback (most recent call last):\n  File "/srv/app/handlers/chat.py", line 41, in post\nKeyError'
    )
    return error_with(message=trace)(answer)


def _ids_lost_on_errors(status: int, headers: Headers) -> Headers:
    return without(headers, b"x-request-id") if status >= 400 else headers


def _only_when_limited(status: int, headers: Headers) -> Headers:
    aliases = tuple(k.lower() for k, _ in headers if k.lower().startswith(b"x-ratelimit-"))
    return without(headers, *LIMITS, *aliases) if status != 429 else headers


def _method_hidden(answer: Answer) -> Answer:
    return replace(answer, status=404, headers=without(answer.headers, b"allow"))


def _bad_trace_refused(app: ASGIApp) -> ASGIApp:
    """Answers 400 to a traceparent that is not made of lower-case hex digits."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        given = dict(scope.get("headers", ())).get(b"traceparent", b"")
        if not given or (
            given.startswith(b"00-")
            and len(given) == 55
            and given == given.lower()
            and b"-0000000000000000" not in given
        ):
            await app(scope, receive, send)
            return
        error = {"code": "INVALID_REQUEST", "message": "bad traceparent", "details": {}}
        await answer_json(send, 400, {"error": error})

    return wrapped


def _query_key(app: ASGIApp) -> ASGIApp:
    """Takes ``?api_key=`` as a credential."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        given = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        key = next((given[n][0] for n in ("api_key", "key", "access_token") if n in given), None)
        if key is not None:
            headers = [*scope["headers"], (b"authorization", f"Bearer {key}".encode("latin-1"))]
            scope = {**scope, "headers": headers, "query_string": b""}
        await app(scope, receive, send)

    return wrapped


MUTANTS = (
    mutant("html-404", "CON-05 CON-14", "an unknown path gives an HTML page", wrap=on_status(404, to_html)),
    mutant("html-429", "CON-14 RATE-06", "a limit gives an HTML page", wrap=on_status(429, to_html)),
    mutant("404-for-wrong-method", "CON-28", "a wrong method gives 404", wrap=on_status(405, _method_hidden)),
    mutant("allow-missing", "CON-06", "405 without Allow", wrap=drop_headers(b"allow", status=405)),
    mutant("crash-on-bad-json", "CON-09 CON-26", "malformed JSON gives 500", wrap=on_code("INVALID_JSON", to_status(500))),
    mutant("stack-trace", "CON-15", "errors carry a stack trace", wrap=on_status(404, stack_trace)),
    mutant("error-without-code", "ERR-01", "errors have no code", wrap=errors_with(code=...)),
    mutant("numeric-error-code", "ERR-01", "the code is a number", wrap=errors_with(code=400)),
    mutant("error-without-details", "ERR-01", "errors have no details", wrap=errors_with(details=...)),
    mutant("wrong-status-for-code", "ERR-02 ERR-13", "an unknown model gives 400", wrap=on_code("MODEL_NOT_FOUND", to_status(400))),
    mutant("retryable-lie", "ERR-10", "every error says it is retryable", wrap=errors_with(retryable=True)),
    mutant("overflow-without-numbers", "ERR-03", "context overflow in prose only", wrap=on_code("CONTEXT_LENGTH_EXCEEDED", error_with(details={}))),
    mutant("timeout-as-500", "ERR-07", "a timeout gives 500", wrap=on_code("MODEL_TIMEOUT", to_status(500))),
    mutant("tool-failure-as-502", "ERR-09 ERR-02", "a failed tool gives 502", wrap=on_code("TOOL_EXECUTION_FAILED", to_status(502))),
    mutant("filter-as-500", "ERR-05", "a filtered prompt gives 500", wrap=on_code("CONTENT_FILTER_TRIGGERED", to_status(500))),
    mutant("low-confidence-as-500", "CONF-06 ERR-02", "low confidence gives 500", wrap=on_code("INSUFFICIENT_CONFIDENCE", to_status(500))),
    mutant("no-challenge", "AUTH-20 AUTH-21", "401 without WWW-Authenticate", wrap=drop_headers(b"www-authenticate", status=401)),
    mutant("forbidden-for-unknown-key", "AUTH-02", "a bad key gives 403", wrap=on_status(401, to_status(403))),
    mutant("key-echoed", "AUTH-16", "a refused model echoes the credential", wrap=on_status(404, key_echoed)),
    mutant("key-in-query", "AUTH-06", "the key is taken from the URL", wrap=_query_key),
    mutant("no-request-id-on-errors", "TRC-02", "errors have no X-Request-Id", wrap=edit_heads(_ids_lost_on_errors)),
    mutant("constant-request-id", "TRC-04", "one request id for all", wrap=set_header(b"x-request-id", b"req_1")),
    mutant("other-id-in-error", "TRC-03", "the error names another request", wrap=errors_with(request_id="req_other")),
    mutant("bad-traceparent-refused", "TRC-06", "an invalid traceparent gives 400", wrap=_bad_trace_refused),
    mutant("alias-as-version", "TRC-09", "model_version echoes the alias", wrap=edit_metadata(lambda m: {**m, "model_version": m["model_version"].rsplit("-", 3)[0]})),
    mutant("latency-in-microseconds", "TRC-10", "latency_ms is a thousandfold", wrap=edit_metadata(lambda m: {**m, "latency_ms": m["latency_ms"] * 1000 + 60000})),
    mutant("usage-does-not-add-up", "TRC-11", "total is not input plus output", wrap=edit_usage(total=7)),
    mutant("constant-usage", "TRC-13", "the input always has ten tokens", wrap=edit_usage(input=10)),
    mutant("sources-null", "TRC-15", "no sources are null", wrap=edit_metadata(lambda m: {**m, "sources_used": None})),
    mutant("no-api-version", "VER-02", "no API-Version header", wrap=drop_headers(b"api-version")),
    mutant("no-retry-after", "RATE-02", "429 without Retry-After", wrap=drop_headers(b"retry-after", status=429)),
    mutant("retry-after-zero", "RATE-03", "Retry-After: 0", wrap=set_header(b"retry-after", b"0", 429)),
    mutant("retry-after-past", "RATE-03 RATE-23", "Retry-After is a date in the past", wrap=set_header(b"retry-after", b"Tue, 24 Nov 2020 12:00:00 GMT", 429)),
    mutant("retry-after-too-short", "RATE-04 RATE-12", "Retry-After is always one second", wrap=set_header(b"retry-after", b"1", 429)),
    mutant("limit-unnamed", "RATE-06", "429 does not say which limit", wrap=on_status(429, error_with(details={}))),
    mutant("limits-only-when-hit", "RATE-21", "limit headers only on 429", wrap=edit_heads(_only_when_limited)),
    mutant("limit-syntax", "RATE-07", "RateLimit is not a structured field", wrap=set_header(b"ratelimit", b"limit=5; remaining")),
    mutant("remaining-constant", "RATE-08", "remaining never changes", wrap=set_header(b"ratelimit", b'"requests";r=5;t=4, "tokens";r=400;t=4')),
    mutant("replay-unmarked", "IDEM-02", "a replay is not marked", wrap=drop_headers(b"idempotency-replayed")),
    mutant("confidence-in-percent", "CONF-01", "confidence from 0 to 100", wrap=edit_answers(lambda a: a.with_json({**a.json, "confidence": a.json["confidence"] * 100}) if a.status == 200 and b'"alternatives"' in a.body else a)),
    mutant("alternatives-unsorted", "CONF-02", "alternatives in rising order", wrap=edit_answers(lambda a: a.with_json({**a.json, "alternatives": a.json["alternatives"][::-1]}) if a.status == 200 and b'"alternatives"' in a.body else a)),
    mutant("undeclared-status", "CON-01", "418 for an unsupported media type", wrap=on_status(415, to_status(418))),
    mutant("schema-broken", "CON-02", "the message is a bare string", wrap=edit_answers(lambda a: a.with_json({**a.json, "message": "text"}) if a.status == 200 and b'"finish_reason"' in a.body else a)),
)  # fmt: skip
