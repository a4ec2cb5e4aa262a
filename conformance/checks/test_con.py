"""CON: what an API does at the edges of HTTP."""

from __future__ import annotations

import re

from conformance.checks.refusals import (
    brief,
    decisive,
    expect_error,
    expect_refused,
    is_html,
    is_json,
    unless_down,
)
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotOffered, expect

UNKNOWN_PATH_STATUSES = (404, 401, 403, 405)
OPERATIONAL = re.compile(
    r"retry-after(-ms)?|ratelimit(-policy)?|(x-|anthropic-)ratelimit-.+|(x-)?request-id|api-version"
    r"|deprecation|sunset|idempotency-replayed"
)
"""Response headers that a client in a browser needs and cannot read unless they are exposed (Fetch, CORS)."""

EXPOSED_BY_CONTRACT = (
    "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id", "Idempotency-Replayed", "API-Version",
    "Deprecation", "Sunset",
)  # fmt: skip


@check("CON-05")
def test_an_unknown_path_is_not_found_and_no_web_page(http_edges: Probed, baseline: Probed) -> str:
    """404 (or 401, 403, 405 where existence is hidden), never an HTML page."""
    reading = unless_down(http_edges["unknown_path"], baseline)
    expect(reading.status in UNKNOWN_PATH_STATUSES, expected="status 404", seen=brief(reading), at=reading)
    expect(not is_html(reading), expected="an error a program can read", seen="an HTML page", at=reading)
    return f"answered {brief(reading)}"


@check("CON-27")
def test_an_unknown_path_has_the_contract_error(http_edges: Probed, contract_edges: Probed) -> str:
    """404 NOT_FOUND with a key; without one 404 or 401, in the envelope."""
    expect_error(http_edges["unknown_path"], 404, "NOT_FOUND")
    anonymous = decisive(contract_edges["unknown_path"])
    expect(
        (anonymous.status, anonymous.error.code) in ((404, "NOT_FOUND"), (401, "UNAUTHENTICATED")),
        expected="404 NOT_FOUND or 401 UNAUTHENTICATED without a key",
        seen=brief(anonymous),
        at=anonymous,
    )
    return "404 NOT_FOUND"


@check("CON-06")
def test_a_wrong_method_is_refused_and_405_names_the_right_ones(http_edges: Probed, baseline: Probed) -> str:
    """4xx or 501; a 405 carries Allow."""
    reading = unless_down(http_edges["wrong_method"], baseline)
    if reading.status != 501:
        expect_refused(reading, "a method that the path does not have")
    if reading.status == 405:
        expect(
            reading.header("allow") is not None,
            expected="a 405 with the header Allow",
            seen="no Allow",
            at=reading,
            where="header Allow",
        )
    return f"answered {brief(reading)}, Allow: {reading.header('allow')}"


@check("CON-28")
def test_a_wrong_method_has_the_contract_error(http_edges: Probed) -> str:
    """405 METHOD_NOT_ALLOWED, and Allow lists POST."""
    reading = http_edges["wrong_method"]
    expect_error(reading, 405, "METHOD_NOT_ALLOWED")
    allowed = {m.strip().upper() for m in (reading.header("allow") or "").split(",")}
    expect(
        "POST" in allowed, expected="POST in Allow", seen=sorted(allowed), at=reading, where="header Allow"
    )
    return "405 METHOD_NOT_ALLOWED"


@check("CON-07")
def test_a_body_of_another_media_type_is_unsupported(http_edges: Probed) -> str:
    """415 UNSUPPORTED_MEDIA_TYPE."""
    expect_error(http_edges["plain_text"], 415, "UNSUPPORTED_MEDIA_TYPE")
    return "text/plain is answered 415"


@check("CON-29")
def test_an_unsupported_media_type_names_the_supported_ones(http_edges: Probed) -> str:
    """A 415 carries Accept-Post with application/json."""
    reading = http_edges["plain_text"]
    if reading.status != 415:
        raise Inconclusive(f"text/plain was answered {reading.status}, not 415 (CON-07)")
    offered = reading.header("accept-post") or ""
    expect(
        "application/json" in offered.lower(),
        expected="Accept-Post: application/json",
        seen=offered or "no Accept-Post",
        at=reading,
        where="header Accept-Post",
    )
    return f"Accept-Post: {offered}"


@check("CON-30")
def test_text_that_is_not_json_is_refused(http_edges: Probed, baseline: Probed) -> str:
    """A text/plain body that no JSON parser can read is refused with a 4xx."""
    reading = unless_down(http_edges["plain_text"], baseline)
    expect_refused(reading, "a text/plain body that is not JSON")
    return f"answered {brief(reading)}"


@check("CON-08")
def test_an_unsatisfiable_accept_gets_406_or_the_default(http_edges: Probed) -> str:
    """Accept: application/xml is refused, or answered in JSON as always (or really in XML)."""
    reading = decisive(http_edges["accept_xml"])
    if not decisive(http_edges["usual"]).ok:
        raise Inconclusive(
            f"the same request with the usual Accept was answered {http_edges['usual'].status}"
        )
    status, media_type = reading.status or 0, reading.exchange.media_type
    if 200 <= status < 300:
        expect(
            is_json(media_type) or media_type in ("application/xml", "text/xml"),
            expected="406, or the default media type application/json",
            seen=brief(reading),
            at=reading,
            where="header Content-Type",
        )
    else:
        expect_refused(reading, "an Accept that cannot be met")
    return f"answered {brief(reading)}"


@check("CON-31")
def test_an_unsatisfiable_accept_has_the_contract_error(http_edges: Probed) -> str:
    """406 NOT_ACCEPTABLE."""
    expect_error(http_edges["accept_xml"], 406, "NOT_ACCEPTABLE")
    return "Accept: application/xml is answered 406"


@check("CON-13")
def test_a_body_over_the_maximum_is_answered_413(contract_edges: Probed) -> str:
    """413 PAYLOAD_TOO_LARGE, not a reset connection."""
    sent = contract_edges.get("oversized")
    if sent is not None and sent.exchange.failure is not None and sent.status is None:
        expect(
            False,
            expected="status 413 PAYLOAD_TOO_LARGE",
            seen=f"no response: {sent.exchange.failure.kind}, {sent.exchange.failure.detail}",
            at=sent,
        )
    reading = sent if sent is not None and sent.status == 413 else contract_edges["oversized"]
    expect_error(reading, 413, "PAYLOAD_TOO_LARGE")
    return f"{len(reading.exchange.sent.body)} bytes are answered 413"


@check("CON-16")
def test_head_and_options_work(http_edges: Probed, baseline: Probed) -> str:
    """HEAD answers as GET does, without a body; OPTIONS has no 5xx other than 501."""
    options = unless_down(http_edges["options"], baseline)
    status = options.status or 0
    expect(status < 500 or status == 501, expected="OPTIONS without a 5xx", seen=brief(options), at=options)
    if http_edges.get("head") is None:
        return f"OPTIONS is answered {status}; no resource to compare HEAD with"
    head, get = decisive(http_edges["head"]), http_edges["usual"]
    expect(
        head.status == get.status,
        expected=f"HEAD answered {get.status}, as GET is",
        seen=brief(head),
        at=head,
    )
    # Headers that only generating the content would tell may be left out (RFC 9110 9.3.2).
    expect(
        head.exchange.media_type in ("", get.exchange.media_type),
        expected=f"Content-Type {get.exchange.media_type}, as for GET",
        seen=brief(head),
        at=head,
        where="header Content-Type",
    )
    return f"HEAD is answered {head.status}, OPTIONS {status}"


@check("CON-17")
def test_a_cross_origin_answer_exposes_the_operational_headers_it_carries(http_edges: Probed) -> str:
    """What an answer with Access-Control-Allow-Origin carries, Access-Control-Expose-Headers names."""
    reading = _cross_origin(http_edges)
    exposed = _exposed(reading)
    carried = sorted({k.lower() for k, _ in reading.exchange.headers if OPERATIONAL.fullmatch(k.lower())})
    if not carried:
        raise Inconclusive("the answer to a cross-origin request carries no operational header")
    hidden = [name for name in carried if name not in exposed and "*" not in exposed]
    expect(
        not hidden,
        expected="operational headers readable from a browser",
        seen=f"not exposed: {', '.join(hidden)}",
        at=reading,
        where="header Access-Control-Expose-Headers",
    )
    return f"exposes {', '.join(carried)}"


@check("CON-37")
def test_a_cross_origin_answer_exposes_the_contract_headers(http_edges: Probed) -> str:
    """All eight headers that the contract names, whether this answer carries them or not."""
    reading = _cross_origin(http_edges)
    exposed = _exposed(reading)
    hidden = [n for n in EXPOSED_BY_CONTRACT if n.lower() not in exposed and "*" not in exposed]
    expect(
        not hidden,
        expected=f"exposed: {', '.join(EXPOSED_BY_CONTRACT)}",
        seen=f"not exposed: {', '.join(hidden)}",
        at=reading,
        where="header Access-Control-Expose-Headers",
    )
    return f"exposes all {len(EXPOSED_BY_CONTRACT)}"


@check("CON-20")
def test_header_names_are_matched_in_any_case(http_edges: Probed, contract_edges: Probed) -> str:
    """The same request with header names in an unusual case has the same outcome."""
    keyed = contract_edges.get("odd_case")
    if keyed is None or http_edges.get("odd_case") is not None:
        odd = decisive(http_edges["odd_case"])
        plain = decisive(http_edges["usual"])
        if not plain.ok:
            raise Inconclusive(f"the same request with usual header names was answered {plain.status}")
        expect(
            odd.status == plain.status,
            expected=f"status {plain.status}, as with usual header names",
            seen=brief(odd),
            at=odd,
        )
        if keyed is None:
            return f"both answered {odd.status}"
    keyed = decisive(contract_edges["odd_case"])
    expect(keyed.ok, expected="a 2xx answer, as with usual header names", seen=brief(keyed), at=keyed)
    if keyed.dialect.offer("idempotency").state != "not_offered":
        expires = keyed.facts["idempotency.expires_at"]
        expect(
            expires,
            expected="the Idempotency-Key honoured whatever the case of its name",
            seen="no idempotency block in the answer's metadata",
            at=keyed,
            where=expires.where,
        )
    return "the case of header names makes no difference"


def _cross_origin(http_edges: Probed) -> Reading:
    reading = decisive(http_edges["usual"])
    if reading.header("access-control-allow-origin") is None:
        raise NotOffered("the API allows no cross-origin request")
    return reading


def _exposed(reading: Reading) -> set[str]:
    return {n.strip().lower() for n in (reading.header("access-control-expose-headers") or "").split(",")}
