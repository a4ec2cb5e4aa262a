"""Trace and request ids: on every answer, unique, consistent, and continued from the caller's trace."""

from __future__ import annotations

import re

from conformance.checks.metadata import described
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotOffered, NotTested, expect

TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
SERVER_TIMING = re.compile(r"(?:^|,)\s*trace\s*;[^,]*desc=\"?00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
TRACE_RESPONSE = re.compile(r"^00-([0-9a-f]{32})-")


@check("TRC-01")
def test_every_ai_answer_has_a_trace_id(exchanges: tuple[Reading, ...]) -> str:
    """32 lower-case hex digits, not all zero."""
    answers = described(exchanges)
    for answer in answers:
        trace = answer.metadata.get("trace_id")
        expect(
            isinstance(trace, str) and TRACE_ID.fullmatch(trace),
            expected="32 lower-case hex digits, not all zero",
            seen=trace,
            at=answer.reading,
            where=answer.where("trace_id"),
        )
    return f"{len(answers)} answers"


@check("TRC-02")
def test_every_response_has_a_request_id(exchanges: tuple[Reading, ...]) -> str:
    """If some responses name their request in a header, all do."""
    judged = _responses(exchanges)
    named = [r for r in judged if r.facts["request_id"]]
    if not named and not _promises_ids(judged[0]):
        raise NotOffered("no response of this target names its request in a header: see TRC-19")
    alike = {r.exchange.operation for r in named}
    # Of those without one, the first shown is of an operation that names its requests elsewhere.
    for reading in sorted(judged, key=lambda r: r.exchange.operation not in alike):
        expect(
            reading.facts["request_id"],
            expected=f"a request id, as in {len(named)} of {len(judged)} responses",
            seen=f"none on {reading.exchange.operation} with status {reading.status}",
            at=reading,
            where=reading.facts["request_id"].where,
        )
    return f"{len(judged)} responses"


@check("TRC-03")
def test_the_request_id_of_an_error_equals_the_header(exchanges: tuple[Reading, ...]) -> str:
    """Body and header name the same request."""
    judged = 0
    for reading in exchanges:
        if reading.exchange.failure or reading.status is None or reading.status < 400:
            continue
        if not reading.exchange.raw or reading.exchange.sent.method == "HEAD":
            continue
        problem = reading.exchange.media_type == "application/problem+json"
        found = reading.body.get("request_id") if problem else reading.error.request_id.value
        expect(
            isinstance(found, str) and found == reading.header("x-request-id"),
            expected=f"request_id {reading.header('x-request-id')}, as in the header",
            seen=found,
            at=reading,
            where="/request_id" if problem else "/error/request_id",
        )
        judged += 1
    if not judged:
        raise NotTested("the run holds no error answer")
    return f"{judged} errors"


@check("TRC-04")
def test_request_ids_are_unique(exchanges: tuple[Reading, ...]) -> str:
    """No two responses of the run carry the same."""
    seen: dict[str, Reading] = {}
    for reading in exchanges:
        fact = reading.facts["request_id"] if reading.status is not None else None
        if not fact or not isinstance(fact.value, str):
            continue
        earlier = seen.setdefault(fact.value, reading)
        expect(
            earlier is reading,
            expected="a request id of its own",
            seen=f"{fact.value}, the same as in {earlier.exchange.id}",
            at=reading,
            where=fact.where,
        )
    if len(seen) < 2:
        raise NotOffered("fewer than two responses name their request in a header: see TRC-19")
    return f"{len(seen)} different ids"


@check("TRC-05")
def test_a_valid_traceparent_is_continued(traceparent: Probed) -> str:
    """The trace id of the metadata is the caller's."""
    answers = described(traceparent.some())
    for answer in answers:
        sent = (answer.reading.exchange.sent_header("traceparent") or "").split("-")[1]
        expect(
            answer.metadata.get("trace_id") == sent,
            expected=f"trace_id {sent}, from the traceparent sent",
            seen=answer.metadata.get("trace_id"),
            at=answer.reading,
            where=answer.where("trace_id"),
        )
    return f"{len(answers)} answers continue the trace"


@check("TRC-06")
def test_an_invalid_traceparent_is_ignored(traceparent_invalid: Probed, baseline: Probed) -> str:
    """The request succeeds, in a new trace."""
    if not baseline["chat"].ok:
        raise Inconclusive("a request without a traceparent does not succeed either")
    judged = [r for r in traceparent_invalid.some() if r.status != 429]
    for reading in judged:
        sent = reading.exchange.sent_header("traceparent") or ""
        if not reading.ok and len(judged) > 1 and sum(not r.ok for r in judged) == 1 and _may_pass(reading):
            raise Inconclusive(
                f"{reading.exchange.id} alone got {reading.status}, which may have other reasons"
            )
        expect(
            reading.ok,
            expected="the answer that the request gets without a traceparent",
            seen=f"status {reading.status} for traceparent {sent}",
            at=reading,
        )
        trace = reading.facts["trace_id"]
        taken_over = bool(trace) and str(trace.value).lower() in sent.lower()
        expect(
            not taken_over,
            expected="a new trace",
            seen=f"the trace id of the invalid {sent}",
            at=reading,
            where=trace.where,
        )
    if not judged:
        raise Inconclusive("every request was refused by a limit")
    return f"{len(judged)} invalid traceparents are ignored"


@check("TRC-07")
def test_the_trace_is_in_the_headers(exchanges: tuple[Reading, ...]) -> str:
    """``Server-Timing`` or ``traceresponse`` with the trace of the metadata."""
    answers = described(exchanges)
    for answer in answers:
        reading = answer.reading
        timing, older = reading.header("server-timing") or "", reading.header("traceresponse") or ""
        found = SERVER_TIMING.search(timing) or TRACE_RESPONSE.search(older)
        expect(
            found,
            expected='Server-Timing: trace;desc="00-<trace>-<span>-<flags>"',
            seen=timing or older or "no Server-Timing and no traceresponse",
            at=reading,
            where="header Server-Timing",
        )
        if found and not answer.replayed:
            expect(
                found[1] == answer.metadata.get("trace_id"),
                expected=f"the trace of the metadata, {answer.metadata.get('trace_id')}",
                seen=found[1],
                at=reading,
                where="header Server-Timing",
            )
    return f"{len(answers)} answers"


@check("TRC-08")
def test_a_client_request_id_is_echoed_unchanged_or_not_at_all(client_request_id: Probed) -> str:
    """An unusable one does not make the request fail."""
    long, usable = client_request_id["too_long"], client_request_id["usable"]
    if not usable.ok:
        raise Inconclusive(f"{usable.exchange.id} was answered with {usable.status}")
    expect(long.ok, expected="an answer despite an unusable id", seen=f"status {long.status}", at=long)
    echoed, sent = usable.header("x-client-request-id"), usable.exchange.sent_header("x-client-request-id")
    if echoed is None:
        raise NotOffered("the target does not echo X-Client-Request-Id")
    expect(echoed == sent, expected=sent or "", seen=echoed, at=usable, where="header X-Client-Request-Id")
    return "echoed"


@check("TRC-19")
def test_requests_are_named_in_a_header(exchanges: tuple[Reading, ...]) -> str:
    """At least one response carries a request id."""
    judged = _responses(exchanges)
    named = [r for r in judged if r.facts["request_id"]]
    expect(
        named,
        expected="a request id header",
        seen=f"none in {len(judged)} responses",
        at=judged[0],
        where=judged[0].facts["request_id"].where,
    )
    return f"{named[0].facts['request_id'].where}, on {len(named)} of {len(judged)} responses"


@check("TRC-21")
def test_the_request_id_of_the_metadata_equals_the_header(exchanges: tuple[Reading, ...]) -> str:
    """In every answer that is no replay."""
    answers = [a for a in described(exchanges) if not a.replayed]
    for answer in answers:
        header = answer.reading.header("x-request-id")
        expect(
            header is not None and answer.metadata.get("request_id") == header,
            expected=f"request_id {header}, as in the header",
            seen=answer.metadata.get("request_id"),
            at=answer.reading,
            where=answer.where("request_id"),
        )
    if not answers:
        raise NotTested("every answer may be a replay")
    return f"{len(answers)} answers"


def _responses(exchanges: tuple[Reading, ...]) -> list[Reading]:
    """Responses that must name their request: in the contract all, elsewhere those to known operations, since
    an unknown path may never reach the API."""
    found = [
        r
        for r in exchanges
        if r.status is not None and (r.exchange.operation != "raw" or r.dialect.name == "contract")
    ]
    if not found:
        raise NotTested("no response came")
    return found


def _promises_ids(reading: Reading) -> bool:
    return bool(reading.dialect.offer("trace").state != "not_offered")


def _may_pass(reading: Reading) -> bool:
    """Statuses that an overloaded server gives to any request."""
    return reading.status in (408, 502, 503, 504, 529)
