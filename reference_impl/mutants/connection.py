"""Mutants at the edges of HTTP and JSON: media types, methods, headers of caches and browsers, character sets."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from reference_impl.mutants.asked import asked_header, edit_asked, edit_scope
from reference_impl.mutants.edits import (
    drop_headers,
    edit_chat,
    errors_with,
    on_code,
    on_path,
    on_status,
    saying,
    set_header,
    set_header_on,
    to_html,
    to_status,
    when,
)
from reference_impl.mutants.model import ASGIApp, mutant
from reference_impl.mutants.names import RAW_NAMES
from reference_impl.mutants.wire import Answer, Headers, edit_answers, edit_heads, without
from reference_impl.policies.cors import SingleOrigin
from reference_impl.policies.errors import ContractError
from reference_impl.policies.parsing import StrictJson

KNOWN = frozenset(
    [
        "model",
        "messages",
        "max_output_tokens",
        "temperature",
        "seed",
        "stream",
        "deferred",
        "idempotency_key",
        "sandbox",
        "text",
        "min_confidence",
    ]
)


class _LenientJson(StrictJson):
    """Python's own parser: NaN, Infinity, duplicate names and lone surrogates are welcome."""

    def parse(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except ValueError:
            return super().parse(body)


class _LoggingJson(StrictJson):
    """Logs each value as UTF-8, which has no lone surrogates, before it is looked at."""

    def parse(self, body: bytes) -> Any:
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            return super().parse(body)
        json.dumps(value, ensure_ascii=False).encode()
        return super().parse(body)


class _DividesByWords(StrictJson):
    """Divides by the number of words of the last message."""

    def parse(self, body: bytes) -> Any:
        value = super().parse(body)
        texts = [value.get("text", "x")] if isinstance(value, dict) else ["x"]
        if isinstance(value, dict) and isinstance(value.get("messages"), list):
            texts += [m.get("content") for m in value["messages"] if isinstance(m, dict)]
        for text in texts:
            if isinstance(text, str):
                _ = 1 / len(text.split())
        return value


class _HiddenRule(StrictJson):
    """Refuses texts of one word, of which the description says nothing."""

    def parse(self, body: bytes) -> Any:
        value = super().parse(body)
        if (
            isinstance(value, dict)
            and isinstance(value.get("text"), str)
            and " " not in value["text"].strip()
        ):
            raise ContractError("INVALID_REQUEST", "The text is too short.", param="/text", details={"errors": [{"pointer": "/text", "message": "too short"}]})  # fmt: skip
        return value


class _ExposesNothing(SingleOrigin):
    def headers(self, request: Any) -> list[tuple[bytes, bytes]]:
        return [(k, v) for k, v in super().headers(request) if k != b"access-control-expose-headers"]


class _ExposesLength(SingleOrigin):
    def headers(self, request: Any) -> list[tuple[bytes, bytes]]:
        found = super().headers(request)
        return [
            (k, b"Content-Length, X-Request-Id, API-Version, RateLimit, RateLimit-Policy")
            if k == b"access-control-expose-headers"
            else (k, v)
            for k, v in found
        ]


def _bare_errors(status: int, headers: Headers) -> Headers:
    own = (b"x-request-id", b"server-timing", b"cache-control", b"api-version")
    return without(headers, *own) if status >= 400 else headers


def _second_request_id(_status: int, headers: Headers) -> Headers:
    return [*headers, (b"x-request-id", b"req_of_the_gateway")]


def _page_for_any_other_accept(answer: Answer) -> Answer:
    accept = answer.asked(b"accept")
    usual = not accept or any(t in accept for t in (b"json", b"*/*", b"event-stream"))
    return answer if usual else replace(to_html(answer), status=200)


def _head_refused(answer: Answer) -> Answer:
    if answer.scope["method"] != "HEAD":
        return answer
    return set_header_on(replace(answer, status=405), b"allow", b"GET")


def _exact_names(scope: Any) -> Any:
    """Sees headers in Title-Case or lower case, as most clients write them, and no others."""

    def usual(name: bytes) -> bool:
        return name == name.lower() or name == b"-".join(p.capitalize() for p in name.split(b"-"))

    known = {n.lower() for n in scope.get(RAW_NAMES, ()) if usual(n)}
    seen = known | {n.lower() for n in (b"Content-Length", b"Host")}
    return {**scope, "headers": [(k, v) for k, v in scope["headers"] if k in seen]}


def _cut(app: ASGIApp) -> ASGIApp:
    """The worker dies in the middle of each classification."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        async def dying(message: Any) -> None:
            if message["type"] == "http.response.body" and message.get("body"):
                await send({**message, "body": message["body"][:20], "more_body": True})
                raise ConnectionAbortedError("the worker of this mutant dies here, as it should")
            await send(message)

        cut = scope["type"] == "http" and scope["path"].endswith("/classify")
        await app(scope, receive, dying if cut else send)

    return wrapped


def _any_path_version(scope: Any) -> Any:
    return {**scope, "path": scope["path"].replace("/api/v999/", "/api/v1/")}


def _local_times(answer: Answer) -> Answer:
    return replace(answer, body=answer.body.replace(b'T00:00:00Z"', b'T00:00:00"'))


def _unix_times(answer: Answer) -> Answer:
    models = [{**m, "released_at": 1_780_000_000} for m in answer.json["data"]]
    return answer.with_json({**answer.json, "data": models})


def _labelled(media_type: bytes) -> Any:
    return lambda answer: set_header_on(answer, b"content-type", media_type)


def _is_json(answer: Answer) -> bool:
    return answer.status == 200 and answer.body.startswith(b"{")


def _framework_404(answer: Answer) -> Answer:
    return answer.with_json({"detail": "Not Found"})


def _nan_latency(answer: Answer) -> Answer:
    return replace(answer, body=answer.body.replace(b'"sources_used":[]', b'"sources_used":[],"score":NaN'))


MUTANTS = (
    mutant("json-under-another-name", "CON-03", "the model list is application/hal+json", says="Content-Type", wrap=on_path("/models", _labelled(b"application/hal+json"))),
    mutant("errors-without-headers", "CON-04", "errors have none of the contract's headers", says="no such header", wrap=edit_heads(_bare_errors)),
    mutant("request-id-twice", "CON-04", "gateway and server both send X-Request-Id", says="one X-Request-Id", wrap=edit_heads(_second_request_id)),
    mutant("content-type-ignored", "CON-07", "text/plain is parsed as JSON", says="415", wrap=edit_answers(lambda a: replace(a, status=400, body=a.body.replace(b"UNSUPPORTED_MEDIA_TYPE", b"INVALID_JSON")) if a.status == 415 else a)),
    mutant("html-for-other-accepts", "CON-08", "a web page for every Accept that is not JSON", says="text/html", wrap=edit_answers(_page_for_any_other_accept)),
    mutant("accept-ignored", "CON-31 SSE-30", "Accept is not looked at", says="406|application/json", wrap=asked_header(b"accept", b"*/*")),
    mutant("crash-on-invalid-field", "CON-10 GEN-01", "a body of the wrong shape gives 500", says="500", wrap=on_code("INVALID_REQUEST", to_status(500))),
    mutant("unknown-fields-dropped", "CON-11", "unknown body fields are dropped silently", says="INVALID_REQUEST; seen 200", wrap=edit_asked(lambda asked: {k: v for k, v in asked.items() if k in KNOWN})),
    mutant("lenient-json", "CON-12", "NaN and duplicate names are taken", says="INVALID_JSON", policies=lambda p: replace(p, parsing=_LenientJson())),
    mutant("surrogate-crash", "CON-34", "a lone surrogate gives 500", says="500", policies=lambda p: replace(p, parsing=_LoggingJson())),
    mutant("too-large-as-400", "CON-13", "a body over the maximum gives 400", says="413", wrap=on_status(413, to_status(400))),
    mutant("head-refused", "CON-16", "HEAD gives 405", says="HEAD", wrap=edit_answers(_head_refused)),
    mutant("cors-exposes-nothing", "CON-17 CON-37", "no header can be read from a browser", says="not exposed", policies=lambda p: replace(p, cors=_ExposesNothing("*"))),
    mutant("cors-exposes-length", "CON-37", "the list of exposed headers is an old one", says="Retry-After", policies=lambda p: replace(p, cors=_ExposesLength("*"))),
    mutant("json-with-bom", "CON-18", "JSON begins with a byte order mark", says="byte order mark", wrap=when(_is_json, lambda a: replace(a, body=b"\xef\xbb\xbf" + a.body))),
    mutant("json-as-latin1", "CON-18", "a proxy adds charset=iso-8859-1", says="iso-8859-1", wrap=when(_is_json, _labelled(b"application/json; charset=iso-8859-1"))),
    mutant("mojibake", "CON-19", "UTF-8 is read as Latin-1", says="Latin-1", wrap=saying(lambda t: t.encode().decode("latin-1"))),
    mutant("replaced-characters", "CON-19", "text beyond ASCII becomes U+FFFD", says="FFFD", wrap=saying(lambda t: "".join(c if c.isascii() else "\ufffd" for c in t))),
    mutant("exact-header-names", "CON-20", "header names count in their usual case only", says="header names|case", wrap=edit_scope(_exact_names)),
    mutant("unix-times", "CON-21", "a timestamp is Unix seconds", says="1780000000", wrap=on_path("/models", _unix_times)),
    mutant("local-times", "CON-21", "timestamps have no offset", says="offset", wrap=on_path("/models", _local_times)),
    mutant("no-cache-control", "CON-22 SSE-18", "no Cache-Control at all", says="no Cache-Control", wrap=drop_headers(b"cache-control")),
    mutant("public-answers", "CON-36", "a CDN marks every answer as public", says="public", wrap=set_header(b"cache-control", b"public, max-age=60", 200)),
    mutant("errors-as-200", "CON-24 ERR-18", "an unknown model gives 200 and an error", says="MODEL_NOT_FOUND|200", wrap=on_code("MODEL_NOT_FOUND", to_status(200))),
    mutant("cut-answers", "CON-25", "the worker dies while it answers", says="incomplete", wrap=_cut),
    mutant("framework-404", "CON-27 ERR-17", "an unknown path gets the framework's own body", says="404|detail", wrap=on_code("NOT_FOUND", _framework_404)),
    mutant("no-accept-post", "CON-29", "415 without Accept-Post", says="Accept-Post", wrap=drop_headers(b"accept-post", status=415)),
    mutant("crash-on-text", "CON-30", "a body that is no JSON gives 500", says="500", wrap=on_status(415, to_status(500))),
    mutant("json-fault-unlocated", "CON-32", "malformed JSON without a position", says="offset", wrap=on_code("INVALID_JSON", lambda a: a.with_json({"error": {**a.json["error"], "details": {}}}))),
    mutant("field-unnamed", "CON-33", "an invalid field is named in prose only", says="param", wrap=errors_with(param=None)),
    mutant("invalid-as-422", "CON-33 GEN-03", "an invalid field gives the framework's 422", says="422", wrap=on_code("INVALID_REQUEST", lambda a: replace(a, status=422).with_json({"detail": [{"loc": ["body"], "msg": "field required"}]}))),
    mutant("invalid-taken", "GEN-02", "what breaks the schema is answered", says="schema", wrap=on_code("INVALID_REQUEST", to_status(200))),
    mutant("hidden-rule", "GEN-04", "a rule that no document tells", says="reject|Reject|valid", policies=lambda p: replace(p, parsing=_HiddenRule())),
    mutant("nan-in-json", "CON-35", "a missing score is NaN", says="NaN", wrap=edit_answers(_nan_latency)),
    mutant("errors-untyped", "CON-38", "errors have no Content-Type", says="Content-Type", wrap=edit_heads(lambda s, h: without(h, b"content-type") if s >= 400 else h)),
    mutant("empty-input-crashes", "SYNC-08", "an empty input gives 500", says="empty|blank", policies=lambda p: replace(p, parsing=_DividesByWords())),
    mutant("any-path-version", "VER-01", "every version in the path works", says="404", wrap=edit_scope(_any_path_version)),
    mutant("finish-reason-null", "SYNC-05", "an answer does not say why it ended", says="finish_reason", wrap=edit_chat(lambda b: {**b, "finish_reason": None})),
    mutant("silent-answer", "SYNC-09", "an empty text and finish_reason stop", says="text", wrap=edit_chat(lambda b: {**b, "finish_reason": "stop", "message": {"role": "assistant", "content": ""}})),
)  # fmt: skip
