"""SYNC checks on recorded bytes."""

from __future__ import annotations

from typing import Any

import pytest
from building import answer, event, gathered, no_answer, stream

from conformance.checks import test_sync as sync
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotTested, Violation

LIMIT = {"max_output_tokens": 5}

UP = gathered("baseline", answer({"text": "Red."}, role="chat"))


def chat(reason: str | None, output: int | None = None, text: str = "one two", **more: Any) -> Reading:
    tokens = {} if output is None else {"tokens_used": {"input": 9, "output": output, "total": 9 + output}}
    message = {"role": "assistant", "content": text}
    body = {"id": "chat_1", "message": message, "finish_reason": reason, "metadata": tokens}
    return answer(body, **({"role": "plain", "params": LIMIT} | more))


def streamed(reason: str, output: int) -> Reading:
    done = {
        "type": "done",
        "sequence_number": 2,
        "id": "chat_1",
        "finish_reason": reason,
        "text": "one",
        "metadata": {"tokens_used": {"input": 9, "output": output, "total": 9 + output}},
    }
    return stream(
        event({"type": "token", "token": "one", "index": 0, "sequence_number": 1}),
        event(done, "done"),
        event("[DONE]"),
        role="streamed",
        params=LIMIT,
    )


def classified(category: Any = "billing", confidence: Any = 0.9, **more: Any) -> Reading:
    body = {"category": category, "confidence": confidence}
    return answer(body, **({"role": "text_0", "operation": "classify"} | more))


def test_sync_01_wants_a_category_and_a_probability() -> None:
    for confidence in (0, 0.5, 1):
        sync.test_a_text_is_classified(gathered("classified", classified(confidence=confidence)))
    for bad in (
        classified(confidence=94),
        classified(confidence="0.9"),
        classified(confidence=True),
        classified(category=""),
        classified(status=202),
        answer({}, role="text_0", operation="classify"),
    ):
        with pytest.raises(Violation):
            sync.test_a_text_is_classified(gathered("classified", bad))


def capabilities(seconds: Any) -> Probed:
    return gathered(
        "self_description", answer({"limits": {"sync_max_seconds": seconds}}, role="public:capabilities")
    )


def test_sync_02_compares_the_95th_percentile_with_the_declared_time() -> None:
    quick = tuple(classified(t_end=0.2) for _ in range(19))
    probe = gathered("classified", *quick)
    one_slow = (*quick, classified(t_end=9.0))
    assert "p95 0.20 s of 20" in sync.test_synchronous_answers_come_within_the_declared_time(
        probe, capabilities(5), one_slow
    )
    many_slow = (*quick, *(classified(t_end=9.0) for _ in range(6)))
    with pytest.raises(Violation, match=r"9\.00 s"):
        sync.test_synchronous_answers_come_within_the_declared_time(probe, capabilities(5), many_slow)
    with pytest.raises(Violation):
        sync.test_synchronous_answers_come_within_the_declared_time(probe, capabilities(None), quick)
    stalled = tuple(classified(t_end=9.0, lag=2.0) for _ in range(9))
    with pytest.raises(Inconclusive):
        sync.test_synchronous_answers_come_within_the_declared_time(probe, capabilities(5), stalled)


def test_sync_03_wants_a_timeout_error() -> None:
    timeout = {"error": {"code": "MODEL_TIMEOUT", "message": "words", "details": {}}}
    sync.test_a_model_that_is_too_slow_is_a_timeout(
        gathered("slow_model", answer(timeout, status=504, role="slow"))
    )
    other = {"error": {"message": "words"}}
    sync.test_a_model_that_is_too_slow_is_a_timeout(
        gathered("slow_model", answer(other, status=408, role="slow", speaks="openai-chat"))
    )
    for bad in (
        no_answer("timeout_headers", role="slow"),
        answer(timeout, status=500, role="slow"),
        answer(other, status=502, role="slow", speaks="openai-chat"),
    ):
        with pytest.raises(Violation):
            sync.test_a_model_that_is_too_slow_is_a_timeout(gathered("slow_model", bad))
    with pytest.raises(Inconclusive):
        sync.test_a_model_that_is_too_slow_is_a_timeout(gathered("slow_model", answer({}, role="slow")))
    with pytest.raises(NotTested, match="provocation"):
        sync.test_a_model_that_is_too_slow_is_a_timeout(
            gathered("slow_model", outcome="skipped", reason="needs a provocation")
        )


def test_sync_05_accepts_any_reason_but_none() -> None:
    vendor = {"choices": [{"message": {"content": "x"}, "finish_reason": "some_new_reason"}]}
    sync.test_every_answer_says_why_it_ended((chat("stop"), answer(vendor, speaks="openai-chat")))
    with pytest.raises(Violation):
        sync.test_every_answer_says_why_it_ended((chat("stop"), chat(None)))
    with pytest.raises(NotTested):
        sync.test_every_answer_says_why_it_ended((chat("stop", status=500),))


def test_sync_06_catches_a_limit_that_is_not_kept_or_not_said() -> None:
    assert (
        sync.test_the_output_limit_is_kept_and_said(gathered("p", chat("length", 5)))
        == "length, 5 of 5 tokens"
    )
    for bad in (chat("stop", 5), chat("stop", 90), chat("length", 6)):
        with pytest.raises(Violation):
            sync.test_the_output_limit_is_kept_and_said(gathered("p", bad))
    with pytest.raises(Violation, match="in the stream too"):
        sync.test_the_output_limit_is_kept_and_said(gathered("p", chat("length", 5), streamed("length", 6)))
    for undecided in (
        chat("length", 5, status=400),
        chat("stop", 3),
        chat("content_filter", 5),
        chat("stop", None),
    ):
        with pytest.raises(Inconclusive):
            sync.test_the_output_limit_is_kept_and_said(gathered("p", undecided))


def test_sync_07_compares_reasons_where_the_limit_was_reached() -> None:
    sync.test_plain_and_streamed_answers_end_alike(gathered("p", chat("length", 5), streamed("length", 5)))
    for plain, other in (
        (chat("length", 5), streamed("stop", 5)),
        (chat("stop", 5), streamed("length", 5)),
        (chat("length", 5), answer({}, role="streamed", params=LIMIT)),
    ):
        with pytest.raises(Violation):
            sync.test_plain_and_streamed_answers_end_alike(gathered("p", plain, other))
    for plain, other in (
        (chat("length", 5), streamed("stop", 3)),
        (chat("stop", 3), streamed("stop", 3)),
        (chat("stop", 20), streamed("stop", 20)),
        (chat("length", 5), streamed("length", 50)),  # SYNC-06 judges that
    ):
        with pytest.raises(Inconclusive):
            sync.test_plain_and_streamed_answers_end_alike(gathered("p", plain, other))


def test_sync_08_minds_only_a_crash() -> None:
    fine = (chat("stop", role="chat:empty"), answer({}, status=400, role="chat:blank"))
    sync.test_degenerate_inputs_do_not_break_the_server(gathered("p", *fine), UP)
    with pytest.raises(Violation, match="chat:one_char"):
        sync.test_degenerate_inputs_do_not_break_the_server(
            gathered("p", *fine, answer({}, status=500, role="chat:one_char")), UP
        )
    with pytest.raises(Inconclusive):
        sync.test_degenerate_inputs_do_not_break_the_server(
            gathered("p", answer({}, status=429, role="chat:empty")), UP
        )


def test_sync_09_wants_text_or_a_reason() -> None:
    for good in (chat("stop", role="chat"), chat("length", text="", role="chat")):
        sync.test_an_answer_has_text_or_says_why_not(gathered("baseline", good))
    with pytest.raises(Violation):
        sync.test_an_answer_has_text_or_says_why_not(
            gathered("baseline", chat("stop", text=" ", role="chat"))
        )
    with pytest.raises(Inconclusive):
        sync.test_an_answer_has_text_or_says_why_not(
            gathered("baseline", answer({}, status=500, role="chat"))
        )


@pytest.mark.parametrize(
    ("late", "of", "signal"), [(3, 5, Violation), (1, 5, Inconclusive), (2, 40, None), (6, 20, Violation)]
)
def test_sync_02_blames_only_what_chance_cannot_explain(
    late: int, of: int, signal: type[Exception] | None
) -> None:
    """One late answer of five would happen to every fourth honest server."""
    found = tuple(classified(t_end=9.0 if n < late else 0.2) for n in range(of))

    def judged() -> str:
        return sync.test_synchronous_answers_come_within_the_declared_time(
            gathered("classified", *found), capabilities(5), found
        )

    if signal is None:
        assert judged()
        return
    with pytest.raises(signal):
        judged()
