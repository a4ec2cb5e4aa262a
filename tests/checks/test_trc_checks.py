from __future__ import annotations

from typing import Any

import pytest
from building import answer, gathered, no_answer
from sample_streams import BOTH, EXTRA_HEADERS, REQUEST, TRACE, contract_events, good, metadata, sent

from conformance.checks import test_trc as checks
from conformance.reading import Reading
from conformance.verdict import Inconclusive, NotOffered, NotTested, Violation

OTHER_TRACE = "0af7651916cd43dd8448eb211c80319c"


def _chat(*, headers: dict[str, str] | None = None, role: str = "chat", **changes: Any) -> Reading:
    body = {"id": "chat_1", "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}
    sends = EXTRA_HEADERS | (headers or {})
    more = {k: changes.pop(k) for k in ("sent_headers", "status") if k in changes}
    return answer(body | {"metadata": metadata(**changes)}, headers=sends, role=role, **more)


def _error(body_id: Any = REQUEST, **more: Any) -> Reading:
    error = {"code": "NOT_FOUND", "message": "No.", "request_id": body_id}
    return answer({"error": error}, status=404, **({"headers": {"X-Request-Id": REQUEST}} | more))


def test_good_answers_pass_every_check_of_ids_and_traces() -> None:
    exchanges = (_chat(), sent("contract", contract_events()), _error())
    for check in (
        checks.test_every_ai_answer_has_a_trace_id,
        checks.test_every_response_has_a_request_id,
        checks.test_the_request_id_of_an_error_equals_the_header,
        checks.test_the_trace_is_in_the_headers,
        checks.test_requests_are_named_in_a_header,
        checks.test_the_request_id_of_the_metadata_equals_the_header,
    ):
        assert check(exchanges)


@pytest.mark.parametrize("trace", [None, "0" * 32, TRACE.upper(), TRACE[:-1], 7])
def test_trc_01_names_a_missing_or_malformed_trace_id(trace: Any) -> None:
    with pytest.raises(Violation, match="32 lower-case"):
        checks.test_every_ai_answer_has_a_trace_id((_chat(trace_id=trace),))
    bare = sent("contract", contract_events(metadata=metadata(trace_id=trace)))
    with pytest.raises(Violation, match=r"byte \d+"):
        checks.test_every_ai_answer_has_a_trace_id((bare,))


def test_trc_01_needs_an_answer() -> None:
    with pytest.raises(NotTested):
        checks.test_every_ai_answer_has_a_trace_id((_error(), sent("contract", contract_events()[:3])))


@pytest.mark.parametrize("speaks", BOTH)
def test_trc_02_names_the_response_without_an_id(speaks: str) -> None:
    check = checks.test_every_response_has_a_request_id
    named = answer({}, speaks=speaks, headers={"X-Request-Id": "a"})
    bare = answer({}, status=500, speaks=speaks)
    assert check((named, no_answer(speaks=speaks)))
    with pytest.raises(Violation, match="none on chat with status 500"):
        check((named, bare))


def test_trc_02_shows_an_operation_that_names_its_requests_elsewhere() -> None:
    """LiteLLM names no request for its models, which says less than a refused chat request without a name."""
    named = answer({}, speaks="openai-chat", headers={"x-litellm-call-id": "a"})
    listed = answer({}, speaks="openai-chat", operation="models")
    refused = answer({}, speaks="openai-chat", status=401)
    with pytest.raises(Violation, match="none on chat with status 401"):
        checks.test_every_response_has_a_request_id((listed, named, refused))


def test_trc_02_and_19_where_no_response_has_an_id() -> None:
    bare = answer({}, speaks="openai-chat")
    with pytest.raises(NotOffered):
        checks.test_every_response_has_a_request_id((bare,))
    with pytest.raises(Violation, match="none in 1 response"):
        checks.test_requests_are_named_in_a_header((bare,))
    with pytest.raises(Violation):
        checks.test_every_response_has_a_request_id((answer({}),))


def test_trc_02_leaves_unknown_paths_of_vendors_alone() -> None:
    named = answer({}, speaks="openai-chat", headers={"X-Request-Id": "a"})
    unknown = answer({}, speaks="openai-chat", operation="raw", status=404)
    assert checks.test_every_response_has_a_request_id((named, unknown))


def test_trc_03_names_an_error_of_another_request() -> None:
    check = checks.test_the_request_id_of_an_error_equals_the_header
    for body_id in ("req_99", None):
        with pytest.raises(Violation, match="as in the header"):
            check((_error(body_id),))
    problem = answer(
        {"status": 404, "request_id": "req_99"},
        status=404,
        content_type="application/problem+json",
        headers={"X-Request-Id": REQUEST},
    )
    with pytest.raises(Violation, match="req_99"):
        check((problem,))
    with pytest.raises(NotTested):
        check((_chat(), _error(method="HEAD")))


@pytest.mark.parametrize("speaks", BOTH)
def test_trc_04_names_an_id_used_twice(speaks: str) -> None:
    check = checks.test_request_ids_are_unique
    first, second, again = (answer({}, speaks=speaks, headers={"X-Request-Id": i}) for i in ("a", "b", "a"))
    assert check((first, second))
    with pytest.raises(Violation, match=f"the same as in {first.exchange.id}"):
        check((first, second, again))
    with pytest.raises(NotOffered):
        check((answer({}, speaks=speaks),))


def test_trc_05_names_a_trace_that_is_not_continued() -> None:
    sends = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    good_answer, bad = _chat(sent_headers=sends), _chat(sent_headers=sends, trace_id=OTHER_TRACE)
    assert checks.test_a_valid_traceparent_is_continued(gathered("traceparent", good_answer))
    with pytest.raises(Violation, match="traceparent sent"):
        checks.test_a_valid_traceparent_is_continued(gathered("traceparent", bad))


@pytest.mark.parametrize("speaks", BOTH)
def test_trc_06_names_a_request_that_fails_for_its_traceparent(speaks: str) -> None:
    check = checks.test_an_invalid_traceparent_is_ignored
    baseline = gathered("baseline", answer({"id": "x"}, speaks=speaks, role="chat"))
    zero = {"traceparent": "00-" + "0" * 32 + "-" + "0" * 16 + "-00"}
    fine = answer({"id": "x"}, speaks=speaks, sent_headers=zero)
    assert check(gathered("traceparent_invalid", fine, fine), baseline)
    for status in (400, 500):
        bad = answer({}, status=status, speaks=speaks, sent_headers=zero)
        with pytest.raises(Violation, match=f"status {status}"):
            check(gathered("traceparent_invalid", fine, bad), baseline)


def test_trc_06_names_an_invalid_trace_taken_over() -> None:
    sends = {"traceparent": f"ff-{TRACE}-00f067aa0ba902b7-01"}
    with pytest.raises(Violation, match="a new trace"):
        checks.test_an_invalid_traceparent_is_ignored(
            gathered("traceparent_invalid", _chat(sent_headers=sends)), gathered("baseline", _chat())
        )


def test_trc_06_does_not_blame_the_traceparent_for_an_overloaded_server() -> None:
    check = checks.test_an_invalid_traceparent_is_ignored
    busy, limited, fine = _chat(status=503), _chat(status=429), _chat(trace_id=OTHER_TRACE)
    with pytest.raises(Inconclusive):
        check(gathered("traceparent_invalid", fine, busy), gathered("baseline", _chat()))
    with pytest.raises(Inconclusive):
        check(gathered("traceparent_invalid", limited), gathered("baseline", _chat()))
    with pytest.raises(Inconclusive):
        check(gathered("traceparent_invalid", busy, busy), gathered("baseline", busy))


def test_trc_07_names_answers_without_their_trace_in_the_headers() -> None:
    check = checks.test_the_trace_is_in_the_headers
    older = {"Server-Timing": "", "traceresponse": f"00-{TRACE}-00f067aa0ba902b7-01"}
    several = {"Server-Timing": f'db;dur=5, trace;desc="00-{TRACE}-00f067aa0ba902b7-01"'}
    assert check((_chat(headers=older), _chat(headers=several)))
    with pytest.raises(Violation, match="no Server-Timing"):
        check((_chat(headers={"Server-Timing": ""}),))
    with pytest.raises(Violation, match="trace of the metadata"):
        check((_chat(trace_id=OTHER_TRACE),))


def test_trc_08_names_a_changed_echo_and_a_refused_id() -> None:
    check = checks.test_a_client_request_id_is_echoed_unchanged_or_not_at_all
    sends = {"X-Client-Request-Id": "abc"}
    long = _chat(role="too_long")

    def usable(**headers: str) -> Reading:
        sent_back = {k.replace("_", "-"): v for k, v in headers.items()}
        return _chat(role="usable", sent_headers=sends, headers=sent_back)

    echoed = usable(X_Client_Request_Id="abc")
    assert check(gathered("client_request_id", echoed, long))
    with pytest.raises(Violation, match="expected abc"):
        check(gathered("client_request_id", usable(X_Client_Request_Id="ab"), long))
    with pytest.raises(Violation, match="unusable"):
        check(gathered("client_request_id", echoed, _chat(role="too_long", status=400)))
    with pytest.raises(NotOffered):
        check(gathered("client_request_id", usable(), long))


def test_trc_21_names_metadata_of_another_request_unless_replayed() -> None:
    check = checks.test_the_request_id_of_the_metadata_equals_the_header
    with pytest.raises(Violation, match="as in the header"):
        check((_chat(request_id="req_99"),))
    with pytest.raises(NotTested):
        check((_chat(request_id="req_99", headers={"Idempotency-Replayed": "true"}),))
    with pytest.raises(NotTested):
        check((sent("contract", good("contract"), operation="turn_stream"),))
