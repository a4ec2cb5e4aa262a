"""Each ERR check passes on an honest server's bytes and fails on one defect."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from building import BASE_URL, answer, event, gathered, stream

from conformance.checks import test_err as err
from conformance.checks import test_err_provoked as provoked
from conformance.probes.errors import CANARY
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotTested, Violation

PROMPTED = f'{{"messages":[{{"role":"user","content":"Hello {CANARY}"}}]}}'


def error(
    status: int, code: Any, role: str = "role", headers: Any = (), more: Any = None, **exchange: Any
) -> Reading:
    body = {
        "code": code,
        "message": "It does not work.",
        "details": {},
        "param": None,
        "retryable": code in ("RATE_LIMITED", "MODEL_OVERLOADED", "MODEL_TIMEOUT", "SERVICE_UNAVAILABLE"),
        "request_id": "req_1",
        "docs_url": f"{BASE_URL}/errors/{code}",
    }
    return answer({"error": body | (more or {})}, status=status, role=role, headers=headers, **exchange)


def openai_error(
    status: int, code: Any, kind: Any = "invalid_request_error", message: str = "No.", **more: Any
) -> Reading:
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return answer(body, status=status, speaks="openai-chat", **more)


def model(reading: Reading) -> Probed:
    return gathered("unknown_model", reading)


def failures(*readings: Reading) -> Probed:
    return gathered("provoked_errors", *readings)


def window(*readings: Reading) -> Probed:
    return gathered("context_window", *readings, notes={"window": 2048, "model": "atlas-mini"})


def overflow(
    size: Any = 2460, limit: Any = 2048, role: str = "overflow", suggestion: str = "Shorten it."
) -> Reading:
    details = {"input_tokens": size, "max_tokens": limit, "suggestion": suggestion}
    return error(400, "CONTEXT_LENGTH_EXCEEDED", role, more={"details": details})


def fits(role: str = "just_under", counted: int = 2047) -> Reading:
    return answer({"id": "chat_1", "metadata": {"tokens_used": {"input": counted, "output": 1}}}, role=role)


def forms(problem: Any = None, content_type: str = "application/problem+json", docs: int = 200) -> Probed:
    body = {"type": "/errors/MODEL_NOT_FOUND", "title": "No", "status": 404, "code": "MODEL_NOT_FOUND"}
    return gathered(
        "error_forms",
        error(404, "MODEL_NOT_FOUND", "plain"),
        answer(body if problem is None else problem, status=404, role="problem", content_type=content_type),
        answer({"code": "MODEL_NOT_FOUND"}, status=docs, role="docs_page", operation="raw"),
    )


def filtered(**details: Any) -> Probed:
    found = {"stage": "input", "categories": ["violence"]} | details
    return failures(error(400, "CONTENT_FILTER_TRIGGERED", "content_filter_input", more={"details": found}))


def timeout(status: int = 504, t_end: float = 0.4, **details: Any) -> Probed:
    found = {"timeout_ms": 300, "elapsed_ms": 301} | details
    reading = error(status, "MODEL_TIMEOUT", "model_timeout", more={"details": found}, t_end=t_end)
    return failures(reading)


def tool(status: int = 424, **details: Any) -> Probed:
    found = {"tool": "search", "tool_call_id": "call_1", "retryable": False, "side_effects": "none"} | details
    return failures(error(status, "TOOL_EXECUTION_FAILED", "tool_failure", more={"details": found}))


def outage(status: int = 503, code: str = "SERVICE_UNAVAILABLE", headers: Any = None, **more: Any) -> Probed:
    wait = {"Retry-After": "1"} if headers is None else headers
    return failures(error(status, code, "unavailable", wait, more))


def output(reason: str, stream_reason: str) -> Probed:
    done = event({"type": "done", "finish_reason": stream_reason, "text": "A"}, "done")
    return failures(
        answer({"id": "chat_1", "finish_reason": reason}, role="content_filter_output"),
        stream(
            event({"type": "token", "token": "A", "index": 0}),
            done,
            event("[DONE]"),
            role="content_filter_output.stream",
        ),
    )


def unsure(**more: Any) -> Probed:
    headers = more.pop("headers", ())
    return gathered("classify_thresholds", error(422, "INSUFFICIENT_CONFIDENCE", "at_0.9", headers, more))


WAIT = {"Retry-After": "1"}
LIMITED = error(429, "RATE_LIMITED", headers=WAIT)
NOT_FOUND = error(404, "MODEL_NOT_FOUND", "unknown_model", more={"param": "/model"})
RAW_404 = error(404, "NOT_FOUND", operation="raw")
PROBLEM_500 = answer({"type": "about:blank"}, status=500, content_type="text/html")

ENVELOPE = err.test_every_error_has_the_envelope
STATUS = err.test_a_code_always_has_its_declared_status
RETRYABLE = err.test_retryable_agrees_with_the_code_and_retry_after
QUIET = err.test_messages_repeat_neither_prompt_nor_credential
MODEL = err.test_an_unknown_model_is_404_model_not_found
SERVED = gathered("baseline", answer({"id": "chat_1"}, role="chat"))
BROKEN = gathered("baseline", answer({}, status=500, role="chat"))
REFUSED = partial(err.test_an_unknown_model_is_refused, baseline=SERVED)
FRAMEWORK = err.test_framework_errors_use_the_envelope_too
JSON = err.test_every_error_is_json_with_a_code_and_a_message
ONE_STATUS = err.test_one_code_has_one_status
PROBLEM = err.test_problem_json_is_given_to_who_asks_for_it
DOCS = err.test_the_documentation_of_an_error_resolves
NUMBERS = provoked.test_too_long_a_prompt_is_refused_with_its_numbers
EDGE = provoked.test_the_published_window_is_the_real_one
OVERFLOW = partial(provoked.test_too_long_a_prompt_is_a_recognisable_client_error, baseline=SERVED)
SIZES = provoked.test_a_context_overflow_tells_size_and_limit
FILTER = provoked.test_a_filtered_prompt_is_refused_as_such
VISIBLE = provoked.test_a_filtered_prompt_does_not_look_like_success
OUTPUT = provoked.test_filtered_output_ends_with_that_reason
OUTAGE = provoked.test_an_outage_is_503_of_its_own_code
TIMEOUT = provoked.test_a_model_timeout_is_504_with_its_times
FINAL = provoked.test_insufficient_confidence_is_final
TOOL = provoked.test_a_failing_tool_is_424_and_says_what_it_left_behind

EXACT = window(overflow(), overflow(2049, role="just_over"), fits())
PROSE = "This model's maximum context length is 500 tokens. However, your messages resulted in 1800 tokens."
OPENAI_OVERFLOW = window(openai_error(400, "context_length_exceeded", message=PROSE, role="overflow"))
GOOD: list[tuple[Any, Any]] = [
    (ENVELOPE, (LIMITED, NOT_FOUND)),
    (STATUS, (LIMITED, NOT_FOUND)),
    (RETRYABLE, (LIMITED, NOT_FOUND)),
    (RETRYABLE, (error(429, "TOKEN_LIMIT_EXCEEDED", more={"retryable": False}),)),
    (QUIET, (error(404, "MODEL_NOT_FOUND", sent_body=PROMPTED),)),
    (MODEL, model(NOT_FOUND)),
    (REFUSED, model(openai_error(404, "model_not_found", role="unknown_model"))),
    (REFUSED, model(openai_error(400, None, role="unknown_model"))),
    (FRAMEWORK, (RAW_404, error(405, "METHOD_NOT_ALLOWED"))),
    (JSON, (openai_error(400, None), openai_error(404, "model_not_found"), LIMITED)),
    (ONE_STATUS, (openai_error(404, "model_not_found"), openai_error(400, None), LIMITED, LIMITED)),
    (PROBLEM, forms()),
    (DOCS, forms()),
    (NUMBERS, window(overflow())),
    (EDGE, EXACT),
    (OVERFLOW, OPENAI_OVERFLOW),
    (OVERFLOW, window(overflow())),
    (SIZES, window(overflow())),
    (FILTER, filtered()),
    (VISIBLE, filtered()),
    (VISIBLE, failures(answer({"id": "c", "finish_reason": "content_filter"}, role="content_filter_input"))),
    (OUTPUT, output("content_filter", "content_filter")),
    (TIMEOUT, timeout()),
    (OUTAGE, outage()),
    (FINAL, unsure()),
    (TOOL, tool()),
]
BAD: dict[str, tuple[Any, Any]] = {
    "lower case": (ENVELOPE, (error(404, "model_not_found"),)),
    "undeclared": (ENVELOPE, (error(404, "LOST"),)),
    "number": (ENVELOPE, (error(404, 404),)),
    "no details": (ENVELOPE, (error(404, "NOT_FOUND", more={"details": None}),)),
    "no message": (ENVELOPE, (error(404, "NOT_FOUND", more={"message": " "}),)),
    "no envelope": (ENVELOPE, (answer({"detail": "Not Found"}, status=404),)),
    "other status": (STATUS, (error(400, "MODEL_NOT_FOUND"),)),
    "retryable by mistake": (RETRYABLE, (error(404, "NOT_FOUND", more={"retryable": True}),)),
    "not retryable by mistake": (
        RETRYABLE,
        (error(503, "MODEL_OVERLOADED", headers=WAIT, more={"retryable": False}),),
    ),
    "final with Retry-After": (RETRYABLE, (error(404, "NOT_FOUND", headers=WAIT),)),
    "429 without Retry-After": (RETRYABLE, (error(429, "RATE_LIMITED"),)),
    "prompt in the message": (
        QUIET,
        (error(404, "MODEL_NOT_FOUND", sent_body=PROMPTED, more={"message": f"bad: Hello {CANARY}"}),),
    ),
    "credential in the message": (
        QUIET,
        (
            error(404, "MODEL_NOT_FOUND", sent_body=PROMPTED),
            error(
                401,
                "UNAUTHENTICATED",
                sent_headers={"Authorization": "Bearer made-up-key-1234"},
                more={"message": "unknown key made-up-key-1234"},
            ),
        ),
    ),
    "400 for a model": (MODEL, model(error(400, "INVALID_REQUEST", "unknown_model"))),
    "no param": (MODEL, model(error(404, "MODEL_NOT_FOUND", "unknown_model"))),
    "answered by another model": (
        REFUSED,
        model(answer({"id": "c"}, role="unknown_model", speaks="openai-chat")),
    ),
    "500 for a model": (REFUSED, model(openai_error(500, None, role="unknown_model"))),
    "framework page": (
        FRAMEWORK,
        (answer("<h1>Not Found</h1>", status=404, content_type="text/html", operation="raw"),),
    ),
    "bare text": (
        JSON,
        (answer("upstream error", status=502, content_type="text/plain", speaks="openai-chat"),),
    ),
    "neither code nor type": (JSON, (openai_error(400, None, None),)),
    "no text": (JSON, (openai_error(400, "x", message=""),)),
    "two statuses": (ONE_STATUS, (openai_error(400, "too_long"), openai_error(500, "too_long"))),
    "envelope instead of problem": (PROBLEM, forms({"error": {}}, "application/json")),
    "other status in the problem": (
        PROBLEM,
        forms({"type": "/e", "title": "No", "status": 400, "code": "MODEL_NOT_FOUND"}),
    ),
    "no type": (PROBLEM, forms({"title": "No", "status": 404, "code": "MODEL_NOT_FOUND"})),
    "dead link": (DOCS, forms(docs=404)),
    "413": (NUMBERS, window(error(413, "PAYLOAD_TOO_LARGE", "overflow"))),
    "prose only": (NUMBERS, window(error(400, "CONTEXT_LENGTH_EXCEEDED", "overflow"))),
    "sizes swapped": (NUMBERS, window(overflow(2048, 2460))),
    "no suggestion": (NUMBERS, window(overflow(suggestion=""))),
    "one more is accepted": (EDGE, window(overflow(), fits("just_over", 2049), fits())),
    "the edge is refused": (
        EDGE,
        window(overflow(), overflow(2049, role="just_over"), overflow(2047, role="just_under")),
    ),
    "cut in silence": (OVERFLOW, window(answer({"id": "c"}, role="overflow", speaks="openai-chat"))),
    "500 for the length": (OVERFLOW, window(openai_error(500, None, role="overflow"))),
    "not recognisable": (OVERFLOW, window(openai_error(400, None, role="overflow"))),
    "no numbers": (SIZES, window(error(400, "CONTEXT_LENGTH_EXCEEDED", "overflow"))),
    "no categories": (FILTER, filtered(categories=[])),
    "no stage": (FILTER, filtered(stage=None)),
    "empty success": (
        VISIBLE,
        failures(answer({"id": "c", "finish_reason": "stop"}, role="content_filter_input")),
    ),
    "plain output says stop": (OUTPUT, output("stop", "content_filter")),
    "stream says stop": (OUTPUT, output("content_filter", "stop")),
    "outage as 500": (OUTAGE, outage(500, "INTERNAL")),
    "outage under another code": (OUTAGE, outage(503, "INTERNAL")),
    "outage that invites no retry": (OUTAGE, outage(retryable=False)),
    "outage of unknown length": (OUTAGE, outage(headers={})),
    "408": (TIMEOUT, timeout(status=408)),
    "no times": (TIMEOUT, timeout(timeout_ms=None)),
    "late": (TIMEOUT, timeout(t_end=9.0)),
    "invites a retry": (FINAL, unsure(retryable=True)),
    "Retry-After": (FINAL, unsure(headers=WAIT)),
    "502": (TOOL, tool(status=502)),
    "no tool": (TOOL, tool(tool=None)),
    "no side effects told": (TOOL, tool(side_effects=None)),
}


@pytest.mark.parametrize(("check", "evidence"), GOOD)
def test_an_honest_server_passes(check: Any, evidence: Any) -> None:
    assert check(evidence)


@pytest.mark.parametrize(("check", "evidence"), BAD.values(), ids=list(BAD))
def test_a_defect_is_a_violation(check: Any, evidence: Any) -> None:
    with pytest.raises(Violation):
        check(evidence)


def test_checks_and_probes_mean_the_same_canary() -> None:
    assert err.CANARY == CANARY


def test_without_errors_nothing_is_judged() -> None:
    for check in (ENVELOPE, JSON, QUIET, ONE_STATUS):
        with pytest.raises(NotTested):
            check((answer({"id": "chat_1"}),))


def test_a_page_on_another_origin_is_not_requested() -> None:
    with pytest.raises(NotTested, match="origin"):
        DOCS(
            gathered(
                "error_forms",
                error(404, "MODEL_NOT_FOUND", "plain", more={"docs_url": "https://docs.example/x"}),
            )
        )


def test_a_limit_instead_of_the_overflow_decides_nothing() -> None:
    for check in (OVERFLOW, SIZES):
        with pytest.raises(Inconclusive):
            check(window(openai_error(429, "rate_limit_exceeded", role="overflow")))


def test_an_edge_that_was_missed_decides_nothing() -> None:
    with pytest.raises(Inconclusive):
        EDGE(window(overflow(), overflow(2055, role="just_over"), fits()))


def test_a_server_that_fails_every_request_does_not_fail_these() -> None:
    failed = openai_error(500, None, role="unknown_model")
    with pytest.raises(Inconclusive):
        REFUSED(model(failed), baseline=BROKEN)
    with pytest.raises(Inconclusive):
        OVERFLOW(window(openai_error(500, None, role="overflow")), baseline=BROKEN)


@pytest.mark.parametrize(("status", "code"), [(429, "RATE_LIMITED"), (503, "MODEL_OVERLOADED")])
def test_an_outage_is_not_judged_where_a_limit_or_an_overload_answered(status: int, code: str) -> None:
    with pytest.raises(Inconclusive):
        OUTAGE(outage(status, code))
