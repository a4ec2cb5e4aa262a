from __future__ import annotations

from typing import Any

import pytest
from building import answer, gathered, stream
from sample_streams import BOTH, changed, contract_events, good, metadata, openai_events, sent

from conformance.checks import test_sse_answer as checks
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotOffered, Violation

TEXT = "The quick brown fox."


def _plain(
    speaks: str, *, text: str = TEXT, tokens: tuple[int, int] = (10, 4), reason: str = "stop"
) -> Reading:
    counted, written = tokens
    message = {"role": "assistant", "content": text}
    if speaks == "contract":
        used = {"input": counted, "output": written, "total": sum(tokens), "reasoning_output": 0}
        body: dict[str, Any] = {
            "id": "chat_0",
            "message": message,
            "finish_reason": reason,
            "metadata": metadata(tokens_used=used),
        }
    else:
        body = {
            "id": "chatcmpl-0",
            "object": "chat.completion",
            "model": "gpt-x",
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
            ],
            "usage": {"prompt_tokens": counted, "completion_tokens": written, "total_tokens": sum(tokens)},
        }
    return answer(body, speaks=speaks, role="json")


def _twins(speaks: str, streamed: Reading | None = None, **plain: Any) -> Probed:
    return gathered("stream_twin", _plain(speaks, **plain), streamed or sent(speaks, good(speaks)))


@pytest.mark.parametrize("speaks", BOTH)
def test_a_good_stream_passes_every_check_of_its_answer(speaks: str) -> None:
    streams = (sent(speaks, good(speaks)),)
    assert checks.test_a_stream_reports_the_usage_of_the_whole_answer(streams, streams)
    assert checks.test_a_streamed_answer_forbids_storing_it(streams)
    assert checks.test_all_events_of_a_stream_name_one_id_and_one_model(streams)
    assert checks.test_streamed_and_plain_answers_count_the_same_tokens(_twins(speaks))
    assert checks.test_a_stream_delivers_the_text_of_the_answer(_twins(speaks))


def test_sse_07_names_missing_and_zero_usage() -> None:
    check = checks.test_a_stream_reports_the_usage_of_the_whole_answer
    without = sent("openai-chat", openai_events(usage=None))
    with pytest.raises(Violation, match="no input and no output"):
        check((without,), (_plain("openai-chat"), without))
    zero = sent("openai-chat", openai_events(usage={"prompt_tokens": 9, "completion_tokens": 0}))
    with pytest.raises(Violation, match="0 output tokens"):
        check((zero,), (zero,))
    bare = sent("contract", contract_events(metadata={}))
    with pytest.raises(Violation):
        check((bare,), (_plain("contract"), bare))


def test_sse_07_is_not_offered_where_no_answer_reports_usage() -> None:
    without = sent("openai-chat", openai_events(usage=None))
    with pytest.raises(NotOffered):
        checks.test_a_stream_reports_the_usage_of_the_whole_answer((without,), (without,))


def test_sse_07_accepts_usage_that_grows_in_every_event() -> None:
    events = openai_events()
    growing = [
        e.replace(b'"usage":null', b'"usage":{"prompt_tokens":10,"completion_tokens":%d}' % n)
        for n, e in enumerate(events)
    ]
    judged = (sent("openai-chat", growing),)
    assert checks.test_a_stream_reports_the_usage_of_the_whole_answer(judged, judged)


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_08_names_counts_that_differ(speaks: str) -> None:
    check = checks.test_streamed_and_plain_answers_count_the_same_tokens
    with pytest.raises(Violation, match="30 input tokens"):
        check(_twins(speaks, tokens=(30, 4)))
    with pytest.raises(Violation, match="12 output tokens"):
        check(_twins(speaks, tokens=(10, 12)))
    assert check(_twins(speaks, tokens=(12, 5)))


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_08_compares_output_only_of_equal_visible_text(speaks: str) -> None:
    check = checks.test_streamed_and_plain_answers_count_the_same_tokens
    with pytest.raises(Inconclusive, match="texts differ"):
        check(_twins(speaks, text="Another text", tokens=(10, 40)))
    with pytest.raises(Inconclusive, match="reasoning"):
        check(_twins(speaks, tokens=(10, 400)))


@pytest.mark.parametrize("speaks", BOTH)
@pytest.mark.parametrize("headers", [{}, {"Cache-Control": "public, max-age=60"}])
def test_sse_18_names_a_stream_that_may_be_stored(speaks: str, headers: dict[str, str]) -> None:
    bad = stream(*good(speaks), speaks=speaks, headers=headers)
    with pytest.raises(Violation, match="Cache-Control"):
        checks.test_a_streamed_answer_forbids_storing_it((bad,))


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_25_names_an_id_or_a_model_that_changes(speaks: str) -> None:
    check = checks.test_all_events_of_a_stream_name_one_id_and_one_model
    events = good(speaks)
    other_id = changed(
        events[-2:-1], b'"chat_1"' if speaks == "contract" else b"chatcmpl-1", b'"other"'[1:-1]
    )
    if speaks == "contract":
        other_id = changed(events[-2:-1], b"chat_1", b"other")
    with pytest.raises(Violation, match="also 'other'"):
        check((sent(speaks, [*events[:-2], *other_id, events[-1]]),))
    model = b"atlas-1-2026-06-01" if speaks == "contract" else b"gpt-x"
    other_model = changed(events[-2:-1], model, b"other")
    with pytest.raises(Violation, match="one model"):
        check((sent(speaks, [*events[:-2], *other_model, events[-1]]),))


def test_sse_25_ignores_empty_names() -> None:
    first, *rest = good("openai-chat")
    blank = first.replace(b"chatcmpl-1", b"").replace(b"gpt-x", b"")
    assert checks.test_all_events_of_a_stream_name_one_id_and_one_model(
        (sent("openai-chat", [blank, *rest]),)
    )


@pytest.mark.parametrize("speaks", BOTH)
def test_sse_37_names_an_empty_stream_of_an_answer_with_text(speaks: str) -> None:
    check = checks.test_a_stream_delivers_the_text_of_the_answer
    events = contract_events(()) if speaks == "contract" else openai_events(())
    empty = sent(speaks, events)
    with pytest.raises(Violation, match="none in"):
        check(_twins(speaks, empty))
    with pytest.raises(Inconclusive, match="no text either"):
        check(_twins(speaks, empty, text=""))
    # Where reasoning is counted and there was none, the limit is no excuse: the plain answer had text within it.
    excuse = (Violation, "none in") if speaks == "contract" else (Inconclusive, "token limit")
    with pytest.raises(excuse[0], match=excuse[1]):
        check(_twins(speaks, empty, reason="length"))
