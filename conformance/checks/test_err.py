"""ERR: errors that a program can act upon. Codes are judged, messages never."""

from __future__ import annotations

import re
from collections import defaultdict
from urllib.parse import urlsplit

from conformance.evidence import NOT_JSON
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect
from spec.errors import ERRORS

CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
CANARY = "zanzibar-quokka-5519"  # in the prompts of the probes of conformance.probes.errors
SHORTEST_SECRET = 12  # characters; a shorter credential may be an ordinary word
FRAMEWORK_STATUSES = frozenset({404, 405, 406, 413, 415})
ABOUT_THE_CALLER = frozenset({401, 403, 429, 503, 529})  # or about load, never about the request
WAITING_STATUSES = frozenset({409, 429, 503})


@check("ERR-01")
def test_every_error_has_the_envelope(exchanges: tuple[Reading, ...]) -> str:
    """`error.code` in UPPER_SNAKE and declared, a message, and details as an object."""
    found = _errors(exchanges)
    for reading in found:
        error = _envelope(reading)
        code = error.get("code")
        good = isinstance(code, str) and CODE.fullmatch(code) and code in ERRORS
        _expect(reading, "/error/code", code, bool(good), "a declared code in UPPER_SNAKE")
        message = error.get("message")
        _expect(
            reading,
            "/error/message",
            message,
            isinstance(message, str) and message.strip() != "",
            "a non-empty text",
        )
        details = error.get("details")
        _expect(reading, "/error/details", details, isinstance(details, dict), "an object")
    return f"{len(found)} errors in the envelope"


@check("ERR-02")
def test_a_code_always_has_its_declared_status(exchanges: tuple[Reading, ...]) -> str:
    """Each code comes with the one status that the contract declares for it."""
    found = [r for r in _errors(exchanges) if r.error.raw_code.value in ERRORS]
    if not found:
        raise NotTested("no error with a declared code was seen")
    for reading in found:
        code = str(reading.error.raw_code.value)
        status = ERRORS[code].status
        _expect(reading, "", reading.status, reading.status == status, f"status {status} for {code}")
    return f"{len({r.error.raw_code.value for r in found})} codes, each with its status"


@check("ERR-10")
def test_retryable_agrees_with_the_code_and_retry_after(exchanges: tuple[Reading, ...]) -> str:
    """`retryable` is what the contract declares; Retry-After comes with the errors that waiting cures."""
    found = [r for r in _errors(exchanges) if r.error.raw_code.value in ERRORS]
    if not found:
        raise NotTested("no error with a declared code was seen")
    for reading in found:
        code, told = str(reading.error.raw_code.value), reading.error.retryable.value
        wait = reading.header("Retry-After")
        never_fits = (
            code == "TOKEN_LIMIT_EXCEEDED" and told is False and wait is None
        )  # larger than the limit
        retryable = ERRORS[code].retryable and not never_fits
        _expect(reading, "/error/retryable", told, told is retryable, f"{retryable} for {code}")
        if not retryable:
            _expect(reading, "header Retry-After", wait, wait is None, f"no Retry-After beside {code}")
        elif reading.status in WAITING_STATUSES:
            _expect(reading, "header Retry-After", wait, wait is not None, f"Retry-After beside {code}")
    return f"{len(found)} errors say truly whether a retry helps"


@check("ERR-12")
def test_messages_repeat_neither_prompt_nor_credential(exchanges: tuple[Reading, ...]) -> str:
    """What the user wrote and what the caller signed with do not belong into logs."""
    prompted = [r for r in _errors(exchanges) if CANARY.encode() in r.exchange.sent.body]
    if not prompted:
        raise NotTested("no request with the canary in its prompt was refused")
    for reading in prompted:
        message = str(reading.error.message.value or "")
        where = reading.error.message.where
        _expect(reading, where, "the prompt", CANARY not in message, "a message without the prompt's text")
    for reading in _errors(exchanges):
        secret = (reading.exchange.sent_header("authorization") or "").rpartition(" ")[2]
        if len(secret) < SHORTEST_SECRET or "*" in secret or "redacted" in secret.lower():
            continue
        whole = secret not in str(reading.error.message.value or "")
        _expect(
            reading, reading.error.message.where, "the credential", whole, "a message without the credential"
        )
    return f"{len(prompted)} errors about a prompt do not repeat it"


@check("ERR-13")
def test_an_unknown_model_is_404_model_not_found(unknown_model: Probed) -> str:
    """404 MODEL_NOT_FOUND, and `param` points to the model."""
    reading = unknown_model["unknown_model"]
    _code(reading, 404, "MODEL_NOT_FOUND")
    param = reading.error.param.value
    _expect(reading, "/error/param", param, param == "/model", "/model")
    return "404 MODEL_NOT_FOUND for /model"


@check("ERR-18")
def test_an_unknown_model_is_refused(unknown_model: Probed, baseline: Probed) -> str:
    """A model that does not exist is a 4xx error, not another model's answer and not a server fault."""
    reading = unknown_model["unknown_model"]
    status = reading.status or 0
    if status in ABOUT_THE_CALLER:
        raise Inconclusive(f"refused with {status}, which is not about the model")
    if status >= 500 and not baseline["chat"].ok:
        raise Inconclusive(f"the plain request was answered {baseline['chat'].status} as well")
    _expect(reading, "", f"status {status}", 400 <= status < 500, "a 4xx error for an unknown model")
    return f"refused with {status} {reading.error.raw_code.value or reading.error.type.value or ''}".strip()


@check("ERR-17")
def test_framework_errors_use_the_envelope_too(exchanges: tuple[Reading, ...]) -> str:
    """Unknown paths, wrong methods, media types and broken JSON come in the envelope as well."""
    found = [
        r
        for r in _all_errors(exchanges)
        if r.exchange.operation == "raw" or r.status in FRAMEWORK_STATUSES or r.error.code == "INVALID_JSON"
    ]
    if not found:
        raise NotTested("no error of the framework was provoked")
    for reading in found:
        _envelope(reading)
    return f"{len(found)} framework errors in the envelope"


@check("ERR-19")
def test_every_error_is_json_with_a_code_and_a_message(exchanges: tuple[Reading, ...]) -> str:
    """An error is JSON, with a code or type for programs and a message for people."""
    found = _errors(exchanges)
    for reading in found:
        error = reading.error
        seen = reading.exchange.content[:120].decode("utf-8", "replace") or "an empty body"
        _expect(reading, "", seen, reading.exchange.json is not NOT_JSON, "a JSON body")
        told = any(f and f.value not in ("", None) for f in (error.raw_code, error.type))
        _expect(reading, error.raw_code.where, seen, told, "a machine-readable code or type")
        _expect(reading, error.message.where, seen, bool(error.message.value), "a message")
    return f"{len(found)} errors with code or type, and message"


@check("ERR-20")
def test_one_code_has_one_status(exchanges: tuple[Reading, ...]) -> str:
    """The same code is not sent with different statuses."""
    statuses: dict[str, dict[int, Reading]] = defaultdict(dict)
    for reading in _errors(exchanges):
        code = reading.error.raw_code.value
        if isinstance(code, str) and code and not code.isdigit() and reading.status is not None:
            statuses[code].setdefault(reading.status, reading)
    if not statuses:
        raise NotTested("no error with a code was seen")
    for code, seen in statuses.items():
        last = list(seen.values())[-1]
        _expect(last, "", f"{code} with {sorted(seen)}", len(seen) == 1, "one status for one code")
    return f"{len(statuses)} codes, each with one status"


@check("ERR-11")
def test_problem_json_is_given_to_who_asks_for_it(error_forms: Probed) -> str:
    """`Accept: application/problem+json` is answered with RFC 9457."""
    reading = error_forms["problem"]
    kind = reading.exchange.media_type
    _expect(
        reading, "header Content-Type", kind, kind == "application/problem+json", "application/problem+json"
    )
    problem = reading.body if isinstance(reading.body, dict) else {}
    uri = problem.get("type")
    absolute = isinstance(uri, str) and bool(urlsplit(uri).scheme or uri.startswith("/"))
    _expect(reading, "/type", uri, absolute, "a URI")
    _expect(
        reading,
        "/status",
        problem.get("status"),
        problem.get("status") == reading.status,
        str(reading.status),
    )
    _expect(
        reading, "/code", problem.get("code"), problem.get("code") == "MODEL_NOT_FOUND", "MODEL_NOT_FOUND"
    )
    title = problem.get("title")
    _expect(reading, "/title", title, isinstance(title, str) and title != "", "a non-empty title")
    return f"{reading.status} as application/problem+json"


@check("ERR-16")
def test_the_documentation_of_an_error_resolves(error_forms: Probed) -> str:
    """`docs_url` of an error answers with the entry of its code."""
    plain = error_forms["plain"]
    page = plain.error.docs_url
    _expect(plain, "/error/docs_url", page.value, isinstance(page.value, str) and page.value != "", "a URL")
    if error_forms.get("docs_page") is None:
        raise NotTested(f"{page.value} is on another origin, which a run does not contact")
    docs = error_forms["docs_page"]
    _expect(docs, "", docs.status, docs.ok, f"2xx for {page.value}")
    return f"{page.value} answers {docs.status}"


def _all_errors(exchanges: tuple[Reading, ...]) -> list[Reading]:
    """Complete error answers that have a body to judge (not HEAD)."""
    return [
        r
        for r in exchanges
        if r.exchange.failure is None
        and r.exchange.left_at is None
        and r.status is not None
        and r.status >= 400
        and r.exchange.sent.method != "HEAD"
    ]


def _errors(exchanges: tuple[Reading, ...]) -> list[Reading]:
    """Errors of the API's own operations, in its default form."""
    found = [
        r
        for r in _all_errors(exchanges)
        if r.exchange.operation != "raw" and r.exchange.media_type != "application/problem+json"
    ]
    if not found:
        raise NotTested("no error was provoked")
    return found


def _envelope(reading: Reading) -> dict[str, object]:
    error = reading.body.get("error") if isinstance(reading.body, dict) else None
    if reading.exchange.media_type == "application/problem+json":  # asked for, see ERR-11
        error = reading.body
    seen = reading.exchange.content[:120].decode("utf-8", "replace") or "an empty body"
    _expect(reading, "/error", seen, isinstance(error, dict), 'a JSON object {"error": {…}}')
    return dict(error) if isinstance(error, dict) else {}


def _code(reading: Reading, status: int, code: str) -> None:
    seen = f"{reading.status} {reading.error.code or ''}".strip()
    good = reading.status == status and reading.error.code == code
    _expect(reading, "/error/code", seen, good, f"{status} {code}")


def _expect(reading: Reading, where: str, seen: object, good: bool, expected: str) -> None:
    expect(good, expected=expected, seen="absent" if seen is None else seen, at=reading, where=where)
