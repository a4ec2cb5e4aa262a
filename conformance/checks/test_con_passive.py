"""CON: what holds for every exchange of a run, whoever sent it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from conformance.checks.refusals import OVERLOADED, brief, complete, is_json
from conformance.dialects.model import Dialect
from conformance.evidence import Failure
from conformance.reading import Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect, fail

OWN_LAG = 1.0
"""Seconds our own event loop may stall; beyond that, a missed deadline may be our fault."""

RUNAWAY = 4
"""Times the output limit. A stream with more text events than that does not heed the limit."""

FRESH = 5.0
"""Seconds. A stream whose last text came longer ago than that has stopped, whatever else it still sends."""

LEAKS = {
    "a Python traceback": re.compile(rb"Traceback \(most recent call last\)|\.py\\?\", line \d+, in "),
    "a Java stack trace": re.compile(rb"\bat [\w$.]{3,200}\.[\w$<>]+\([\w$]+\.(?:java|kt|scala):\d+\)"),
    "a JavaScript stack trace": re.compile(rb"\bat [^\n]{1,200}[/\\][\w.-]+\.(?:js|ts|mjs|cjs):\d+:\d+"),
    "a .NET stack trace": re.compile(rb"\bat [\w.<>`]+\([^)\n]*\) in [^\n]{1,200}:line \d+"),
    "a Go stack trace": re.compile(rb"\bgoroutine \d+ \[\w+"),
    "a Rust panic": re.compile(rb"thread '[^'\n]*' (?:\(\d+\) )?panicked at "),
    "a Ruby or PHP source line": re.compile(rb"\.(?:rb:\d+:in [`']|php on line \d+)"),
    "a package's path": re.compile(rb"[/\\](?:(?:site|dist)-packages|node_modules|go/pkg/mod)[/\\]"),
}  # fmt: skip

SEARCHED = 256 * 1024
"""Bytes of an error body that are searched."""

GENERATING = frozenset({"chat", "chat_stream", "chat_deferred", "turn_stream", "classify"})
REPORTING = frozenset({"error", "errors", "get_job", "cancel_job", "job_action"})
"""Operations whose success may tell of an error that is not their own."""

SHARED = re.compile(r"(?:^|,)\s*(?:public|s-maxage\s*=\s*\"?[1-9]\d*)\b", re.I)


@check("CON-25")
def test_every_exchange_ends_in_a_complete_response(exchanges: tuple[Reading, ...]) -> str:
    """No hang, reset, truncated or endless body, redirect loop: each call is answered to its end."""
    judged = [r for r in exchanges if r.exchange.left_at is None and not _on_a_lost_connection(r)]
    if not judged:
        raise NotTested("nothing was sent")
    broken = [(r, r.exchange.failure) for r in judged if r.exchange.failure and not _refused_upload(r)]
    if len(broken) == len(judged) and all(f.kind in ("connect", "tls") for _, f in broken if f):
        raise Inconclusive("the target was never reached")
    doubts = {r.exchange.id: doubt for r, f in broken if f and (doubt := _doubt(r, f))}
    certain = [(r, f) for r, f in broken if f and r.exchange.id not in doubts]
    if certain:
        kinds = ", ".join(f"{n} x {kind}" for kind, n in Counter(f.kind for _, f in certain).most_common())
        reading, failure = certain[0]
        fail(
            expected="a complete HTTP response to every call",
            seen=f"{len(certain)} of {len(judged)} incomplete ({kinds}); first: {failure.detail}",
            at=reading,
        )
    if doubts:
        first, doubt = next(iter(doubts.items()))
        raise Inconclusive(f"{len(doubts)} of {len(judged)} exchanges are incomplete; {first}: {doubt}")
    return f"{len(judged)} complete responses"


def _on_a_lost_connection(reading: Reading) -> bool:
    """A request that followed another on its connection and got no response: CON-23 is about it."""
    exchange = reading.exchange
    return (exchange.probe, exchange.role, exchange.status) == ("kept_connection", "next", None)


def _refused_upload(reading: Reading) -> bool:
    """A 413 after which the server closed without reading the rest of the request (RFC 9110 15.5.14)."""
    failure = reading.exchange.failure
    return reading.status == 413 and failure is not None and failure.kind in ("reset", "protocol")


def _doubt(reading: Reading, failure: Failure) -> str:
    """Why this failure may not be the target's fault, or an empty text."""
    if reading.exchange.lag > OWN_LAG:
        return f"our own machine stalled for {reading.exchange.lag:.1f} s meanwhile"
    if failure.kind == "redirect_refused":
        return f"{failure.detail}: give the URL it points to as the target's"
    if failure.kind == "timeout_body" and reading.exchange.is_sse:
        deltas = reading.stream.deltas
        limit = reading.exchange.params.get("max_output_tokens")
        runaway = isinstance(limit, int) and len(deltas) > RUNAWAY * limit
        if deltas and failure.t - deltas[-1].t < FRESH and not runaway:
            return "the stream was still bringing text when our own time limit ended it: allow more time"
    return ""


@check("CON-26")
def test_no_request_is_answered_with_a_server_error(exchanges: tuple[Reading, ...], dialect: Dialect) -> str:
    """No 5xx, unless a provocation asked for it, a method is unknown (501) or the target is overloaded."""
    answered = [r for r in complete(exchanges) if not _provoked(r, dialect.provocations)]
    if not answered:
        raise NotTested("no call was answered")
    busy = [r for r in answered if r.status in OVERLOADED]
    for reading in answered:
        status = reading.status or 0
        excused = reading in busy or (status == 501 and reading.exchange.sent.method not in ("GET", "POST"))
        expect(status < 500 or excused, expected="no 5xx", seen=brief(reading), at=reading)
    unexplained = [r for r in busy if r.header("retry-after") is None]
    if unexplained:
        raise Inconclusive(
            f"{len(unexplained)} of {len(answered)} calls were answered {unexplained[0].status}"
            " without Retry-After: overload or defect?"
        )
    return f"{len(answered)} answers without an unasked 5xx" + (f", {len(busy)} overloaded" if busy else "")


def _provoked(reading: Reading, provocations: Mapping[str, Mapping[str, Any]]) -> bool:
    """Did the call carry all parameters of a declared provocation? Then its failure was asked for."""
    params = reading.exchange.params
    if params.get("sandbox"):
        return True
    return any(
        provocation and all(params.get(k) == v for k, v in provocation.items())
        for provocation in provocations.values()
    )


@check("CON-14")
def test_every_error_is_json(exchanges: tuple[Reading, ...]) -> str:
    """Errors of every layer, gateway and framework included, are labelled JSON and are a JSON object."""
    errors = _errors(exchanges)
    for reading in errors:
        expect(
            is_json(reading.exchange.media_type),
            expected="an error in JSON",
            seen=brief(reading) if reading.exchange.raw else f"{reading.status} with an empty body",
            at=reading,
            where="header Content-Type",
        )
        expect(
            isinstance(reading.exchange.json, dict | list),
            expected="a JSON object",
            seen=reading.exchange.content[:120].decode("utf-8", "replace"),
            at=reading,
        )
    return f"{len(errors)} errors in JSON"


@check("CON-15")
def test_no_error_shows_the_inside_of_the_server(exchanges: tuple[Reading, ...]) -> str:
    """Error bodies hold no stack trace and no path of an installed package."""
    errors = _errors(exchanges)
    for reading in errors:
        for what, pattern in LEAKS.items():
            found = pattern.search(reading.exchange.content[:SEARCHED])
            if found and found[0] not in reading.exchange.sent.body:
                seen = f"{what}: {found[0][:120].decode('utf-8', 'replace')}"
                fail(expected="no internals", seen=seen, at=reading, where=f"byte {found.start()}")
    return f"{len(errors)} errors without internals"


@check("CON-22")
def test_no_response_may_be_stored(exchanges: tuple[Reading, ...]) -> str:
    """Every response carries Cache-Control: no-store."""
    answered = [r for r in complete(exchanges) if r.exchange.principal != "none"]
    if not answered:
        raise NotTested("no authenticated call was answered")
    for reading in answered:
        expect(
            "no-store" in _directives(reading),
            expected="Cache-Control with no-store",
            seen=reading.header("cache-control") or "no Cache-Control",
            at=reading,
            where="header Cache-Control",
        )
    return f"{len(answered)} responses"


@check("CON-36")
def test_no_generated_answer_may_be_shared(exchanges: tuple[Reading, ...]) -> str:
    """No generated answer is marked `public` or `s-maxage`: a shared cache would give it to others."""
    generated = [r for r in complete(exchanges) if r.ok and r.exchange.operation in GENERATING]
    if not generated:
        raise NotTested("no generated answer")
    for reading in generated:
        value = reading.header("cache-control") or ""
        shared = SHARED.search(value) and not _directives(reading) & {"no-store", "private"}
        expect(
            not shared,
            expected="no permission for shared caches",
            seen=value,
            at=reading,
            where="header Cache-Control",
        )
    return f"{len(generated)} generated answers"


@check("CON-24")
def test_no_success_carries_an_error(exchanges: tuple[Reading, ...]) -> str:
    """A 2xx answer outside a stream has no `error` member."""
    answers = [
        r
        for r in complete(exchanges)
        if r.ok and isinstance(r.exchange.json, dict) and r.exchange.operation not in REPORTING
    ]
    if not answers:
        raise NotTested("no JSON answer with a 2xx status")
    for reading in answers:
        error = reading.exchange.json.get("error")
        expect(not error, expected="a 4xx or 5xx status for an error", seen=error, at=reading, where="/error")
    return f"{len(answers)} answers"


@check("CON-38")
def test_every_body_names_its_media_type(exchanges: tuple[Reading, ...]) -> str:
    """A response with a body has a Content-Type of the form type/subtype."""
    bodies = [r for r in complete(exchanges) if r.exchange.raw]
    if not bodies:
        raise NotTested("no response had a body")
    for reading in bodies:
        expect(
            re.fullmatch(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+", reading.exchange.media_type),
            expected="a Content-Type",
            seen=reading.header("content-type") or "no Content-Type",
            at=reading,
            where="header Content-Type",
        )
    return f"{len(bodies)} bodies"


def _errors(exchanges: tuple[Reading, ...]) -> list[Reading]:
    """Complete responses from 400 on that may have a body."""
    found = [r for r in complete(exchanges) if (r.status or 0) >= 400 and r.exchange.sent.method != "HEAD"]
    if not found:
        raise NotTested("no call was answered with an error")
    return found


def _directives(reading: Reading) -> set[str]:
    return {d.split("=", 1)[0].strip().lower() for d in (reading.header("cache-control") or "").split(",")}
