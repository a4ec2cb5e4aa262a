from __future__ import annotations

import pytest
from building import event, stream
from sample_streams import BOTH, DONE, changed, fault, good, sent

from conformance.checks import test_sse_ending as checks
from conformance.evidence import Failure
from conformance.verdict import Inconclusive, NotTested, Violation

DEADLINE = Failure("timeout_body", "no end within 30 s", 30.0)


@pytest.mark.parametrize("speaks", BOTH)
def test_a_good_stream_passes_every_check_of_its_end(speaks: str) -> None:
    streams = (sent(speaks, good(speaks)), sent(speaks, good(speaks)), sent(speaks, fault(speaks)))
    for check in (
        checks.test_a_stream_ends_with_its_terminal_exactly_once,
        checks.test_the_response_ends_soon_after_the_terminal,
        checks.test_a_stream_carries_one_finish_reason,
        checks.test_a_stream_does_not_break_off,
        checks.test_a_stream_does_not_fall_silent_for_good,
    ):
        assert check(streams)


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_04_names_a_stream_cut_off_by_a_clean_end(speaks: str) -> None:
    events = good(speaks)
    for cut in (3, len(events) - 1):
        with pytest.raises(Violation, match=r"\[DONE\] before the end.* a clean end") as raised:
            checks.test_a_stream_ends_with_its_terminal_exactly_once((sent(speaks, events[:cut]),))
        assert raised.value.where == f"byte {sum(map(len, events[:cut]))}"


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_04_names_a_terminal_sent_twice_or_too_early(speaks: str) -> None:
    events = good(speaks)
    with pytest.raises(Violation, match="2 times"):
        checks.test_a_stream_ends_with_its_terminal_exactly_once((sent(speaks, [*events, DONE]),))
    early = [*events[:-2], events[-1], events[-2]]
    with pytest.raises(Violation, match="1 more event"):
        checks.test_a_stream_ends_with_its_terminal_exactly_once((sent(speaks, early),))


def test_sse_04_accepts_a_terminal_without_its_blank_line() -> None:
    judged = sent("openai-chat", [*good("openai-chat")[:-1], b"data: [DONE]"])
    assert checks.test_a_stream_ends_with_its_terminal_exactly_once((judged,))


def test_sse_04_is_undecided_when_every_stream_failed() -> None:
    with pytest.raises(Inconclusive):
        checks.test_a_stream_ends_with_its_terminal_exactly_once((sent("contract", fault("contract")),))


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_05_allows_for_the_network_before_it_fails(speaks: str) -> None:
    check = checks.test_the_response_ends_soon_after_the_terminal
    last = len(good(speaks)) * 0.05
    assert "800 ms" in check((sent(speaks, good(speaks), t_end=last + 0.8),))
    with pytest.raises(Inconclusive):
        check((sent(speaks, good(speaks), t_end=last + 1.5),))
    with pytest.raises(Violation, match=r"after 2\.5 s"):
        check((sent(speaks, good(speaks), t_end=last + 2.5),))
    with pytest.raises(Violation, match="still open"):
        check((sent(speaks, good(speaks), t_end=None, failure=DEADLINE),))


def test_sse_05_fails_for_one_plain_case_behind_one_that_this_machine_may_explain() -> None:
    check = checks.test_the_response_ends_soon_after_the_terminal
    last = len(good("contract")) * 0.05
    unclear = sent("contract", good("contract"), t_end=last + 3, lag=1.5)
    with pytest.raises(Inconclusive, match=r"3\.0 s"):
        check((unclear,))
    with pytest.raises(Violation, match=r"after 3\.0 s"):
        check((unclear, sent("contract", good("contract"), t_end=last + 3)))


def test_sse_06_names_a_missing_finish_reason() -> None:
    bad = changed(good("openai-chat"), b'"finish_reason":"stop"', b'"finish_reason":null')
    with pytest.raises(Violation, match="seen none"):
        checks.test_a_stream_carries_one_finish_reason((sent("openai-chat", bad),))
    without = changed(good("contract"), b'"finish_reason":"stop"', b'"finish_reason":null')
    with pytest.raises(Violation, match="seen none"):
        checks.test_a_stream_carries_one_finish_reason((sent("contract", without),))


def test_sse_06_allows_a_reason_repeated_but_not_two() -> None:
    events = good("openai-chat")
    finish = events[-3]
    assert checks.test_a_stream_carries_one_finish_reason(
        (sent("openai-chat", [*events[:-2], finish, *events[-2:]]),)
    )
    other = finish.replace(b'"stop"', b'"length"')
    with pytest.raises(Violation, match="length and stop"):
        checks.test_a_stream_carries_one_finish_reason(
            (sent("openai-chat", [*events[:-2], other, *events[-2:]]),)
        )


def test_sse_06_leaves_a_truncated_stream_to_sse_04() -> None:
    with pytest.raises(Inconclusive, match="SSE-04"):
        checks.test_a_stream_carries_one_finish_reason((sent("openai-chat", good("openai-chat")[:3]),))


@pytest.mark.parametrize("speaks", BOTH)
@pytest.mark.parametrize("kind", ["reset", "protocol"])
def test_sse_34_names_streams_that_break_off(speaks: str, kind: str) -> None:
    broken = sent(speaks, good(speaks)[:3], failure=kind, t_end=None)
    with pytest.raises(Violation, match="2 of 3 streams broke off"):
        checks.test_a_stream_does_not_break_off((sent(speaks, good(speaks)), broken, broken))
    with pytest.raises(Violation, match="1 of 1"):
        checks.test_a_stream_does_not_break_off((broken,))


def test_sse_34_takes_one_broken_stream_among_several_for_the_network() -> None:
    broken = sent("contract", good("contract")[:3], failure="reset", t_end=None)
    with pytest.raises(Inconclusive, match="network"):
        checks.test_a_stream_does_not_break_off((sent("contract", good("contract")), broken))


def test_sse_34_does_not_count_streams_that_we_left() -> None:
    left = sent("contract", good("contract")[:3], left_at=0.2, t_end=None)
    with pytest.raises(NotTested):
        checks.test_a_stream_does_not_break_off((left,))


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_36_tells_a_hanging_stream_from_a_slow_one(speaks: str) -> None:
    check = checks.test_a_stream_does_not_fall_silent_for_good
    begun = good(speaks)[:3]
    with pytest.raises(Violation, match=r"silence for the last 29\.\d s"):
        check((sent(speaks, begun, failure=DEADLINE, t_end=None),))
    slow = [*begun[:2], (28.0, begun[2])]
    with pytest.raises(Inconclusive, match="still running"):
        check((stream(*slow, speaks=speaks, failure=DEADLINE, t_end=None),))
    thinking = stream(event({"type": "metadata"}, "metadata"), speaks=speaks, failure=DEADLINE, t_end=None)
    with pytest.raises(Inconclusive):
        check((thinking,))
