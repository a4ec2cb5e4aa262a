from __future__ import annotations

import pytest
from building import answer, event, gathered, stream
from sample_streams import BOTH, DONE, fault, good, sent

from conformance.checks import test_sse_disconnect as hangups
from conformance.checks import test_sse_errors as checks
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotTested, Violation


def _faulty(speaks: str, events: list[bytes]) -> Probed:
    return gathered("stream_fault", sent(speaks, events, role="fault"))


@pytest.mark.parametrize("speaks", BOTH)
def test_a_stream_that_fails_well_passes(speaks: str) -> None:
    probe = _faulty(speaks, fault(speaks))
    assert checks.test_a_failing_stream_says_so_in_one_error_event(probe)
    assert checks.test_the_error_event_is_a_block_of_its_own(probe)
    streams = (sent(speaks, fault(speaks)), sent(speaks, good(speaks)))
    assert checks.test_the_response_ends_soon_after_an_error_event(streams)
    assert checks.test_a_failing_stream_carries_no_terminal(streams)


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_19_wants_the_status_of_an_error(speaks: str) -> None:
    check = checks.test_errors_known_before_the_first_event_use_the_status
    refused = answer({"error": {"code": "x"}}, status=404, operation="chat_stream", speaks=speaks)
    accepted = sent(speaks, good(speaks))
    assert check(gathered("stream_invalid", refused, accepted))
    with pytest.raises(Violation, match="only an error event"):
        check(gathered("stream_invalid", refused, sent(speaks, fault(speaks)[-1:])))
    with pytest.raises(Violation, match="without any event"):
        check(gathered("stream_invalid", refused, sent(speaks, [])))
    with pytest.raises(Inconclusive):
        check(gathered("stream_invalid", accepted))
    limited = answer({}, status=429, operation="chat_stream", speaks=speaks)
    with pytest.raises(Inconclusive):
        check(gathered("stream_invalid", limited))


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_20_names_a_failure_that_looks_like_an_answer(speaks: str) -> None:
    check = checks.test_a_failing_stream_says_so_in_one_error_event
    with pytest.raises(Violation, match="0 error events"):
        check(_faulty(speaks, good(speaks)))
    *begun, error = fault(speaks)
    with pytest.raises(Violation, match="2 error events"):
        check(_faulty(speaks, [*begun, error, error]))
    with pytest.raises(Violation, match="1 more piece"):
        check(_faulty(speaks, [*begun, error, good(speaks)[1]]))
    with pytest.raises(Violation, match="finish_reason stop"):
        check(_faulty(speaks, [*begun, error, *good(speaks)[-2 if speaks == "contract" else -3 :]]))


def test_sse_20_wants_a_code_and_a_message() -> None:
    empty = event({"type": "error", "sequence_number": 3, "error": {}}, "error")
    with pytest.raises(Violation, match="code and a message"):
        checks.test_a_failing_stream_says_so_in_one_error_event(
            _faulty("contract", [*fault("contract")[:-1], empty])
        )


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_21_names_an_error_glued_to_another_event(speaks: str) -> None:
    check = checks.test_the_error_event_is_a_block_of_its_own
    *begun, error = fault(speaks)
    with pytest.raises(Violation, match="one JSON value"):
        check(_faulty(speaks, [*begun, b"data: {}\n" + error.replace(b"event: error\n", b"")]))
    with pytest.raises(Violation, match="without one"):
        check(_faulty(speaks, [*begun, error, error[:-1]]))


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_22_names_a_stream_that_stays_open_after_its_error(speaks: str) -> None:
    check = checks.test_the_response_ends_soon_after_an_error_event
    pings = [(float(n), b": ping\n") for n in range(1, 20)]
    with pytest.raises(Violation, match="of the error event"):
        check((stream(*fault(speaks), *pings, speaks=speaks),))
    with pytest.raises(NotTested):
        check((sent(speaks, good(speaks)),))


def test_sse_40_names_a_terminal_after_the_error() -> None:
    for rest in ([DONE], good("contract")[-2:]):
        with pytest.raises(Violation, match="neither done nor the terminal"):
            checks.test_a_failing_stream_carries_no_terminal((sent("contract", [*fault("contract"), *rest]),))


def _limit(role: str, remaining: int, reset: int = 40) -> Reading:
    headers = {"RateLimit": f'"requests";r=9;t={reset}, "tokens";r={remaining};t={reset}'}
    return answer({"data": []}, operation="models", role=role, headers=headers)


def _charged(whole: int, left: int, lag: float = 0.0) -> Probed:
    done = good("contract")
    done = [e.replace(b'"output":4', b'"output":60').replace(b'"total":14', b'"total":70') for e in done]
    return gathered(
        "stream_hangup_cost",
        _limit("before", 10_000),
        sent("contract", done, role="whole"),
        _limit("between", 10_000 - whole),
        sent("contract", good("contract")[:4], role="left", left_at=0.2, t_end=None, lag=lag),
        _limit("after", 10_000 - whole - left),
    )


def test_sse_23_names_a_whole_answer_charged_after_hanging_up() -> None:
    assert "13 tokens" in hangups.test_hanging_up_stops_generation(_charged(70, 13))
    with pytest.raises(Violation, match="70 charged"):
        hangups.test_hanging_up_stops_generation(_charged(70, 70))


@pytest.mark.parametrize(("whole", "left"), [(70, 0), (70, -69), (10, 13), (0, 0)])
def test_sse_23_is_undecided_when_the_limit_does_not_tell(whole: int, left: int) -> None:
    with pytest.raises(Inconclusive):
        hangups.test_hanging_up_stops_generation(_charged(whole, left))


def test_sse_23_is_undecided_when_this_machine_hung_up_late() -> None:
    with pytest.raises(Inconclusive, match="late"):
        hangups.test_hanging_up_stops_generation(_charged(70, 70, lag=0.5))


def _pair(speaks: str, stays: Reading, left_at: float | None = 0.12) -> Probed:
    left = sent(speaks, good(speaks)[:3], role="left", left_at=left_at, t_end=None)
    return gathered("stream_disconnect", stays, left)


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_24_names_a_stream_disturbed_by_a_disconnect(speaks: str) -> None:
    check = hangups.test_a_disconnect_does_not_disturb_another_stream
    undisturbed = (sent(speaks, good(speaks)),)
    assert check(_pair(speaks, sent(speaks, good(speaks), role="stays")), undisturbed)
    cut = sent(speaks, good(speaks)[:4], role="stays", failure="reset", t_end=0.2)
    with pytest.raises(Violation, match="that we did not leave"):
        check(_pair(speaks, cut), undisturbed)
    short = sent(speaks, good(speaks)[:4], role="stays")
    with pytest.raises(Violation, match="a clean end"):
        check(_pair(speaks, short), undisturbed)


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_24_needs_streams_that_overlap_and_a_server_that_ends_streams(speaks: str) -> None:
    check = hangups.test_a_disconnect_does_not_disturb_another_stream
    quick = sent(speaks, good(speaks), role="stays", step=0.001)
    with pytest.raises(Inconclusive, match="too fast"):
        check(_pair(speaks, quick), ())
    with pytest.raises(Inconclusive, match="before three events"):
        check(_pair(speaks, quick, left_at=None), ())
    cut = sent(speaks, good(speaks)[:4], role="stays", failure="reset", t_end=0.2)
    with pytest.raises(Inconclusive, match="no stream of this target"):
        check(_pair(speaks, cut), (cut,))
