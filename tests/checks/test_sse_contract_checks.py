from __future__ import annotations

from typing import Any

import pytest
from building import answer, event, gathered
from sample_streams import EXTRA_HEADERS, changed, contract_events, contract_fault, sent

from conformance.checks import test_sse_contract as checks
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotTested, Violation

LARGE = "x" * checks.LARGE


def _streams(events: list[bytes], **more: Any) -> tuple[Reading, ...]:
    return (sent("contract", events, **more),)


def test_good_streams_pass_every_check_of_the_contract() -> None:
    streams = _streams(contract_events()) + _streams(contract_fault())
    for check in (
        checks.test_tokens_are_counted_and_joined_make_the_final_text,
        checks.test_sequence_numbers_begin_at_0_and_grow_by_1,
        checks.test_a_streamed_answer_has_the_operational_headers,
        checks.test_the_first_event_is_metadata,
        checks.test_events_are_named_after_their_type_and_done_is_complete,
    ):
        assert check(streams)


def test_sse_03_names_lost_and_wrong_tokens() -> None:
    check = checks.test_tokens_are_counted_and_joined_make_the_final_text
    for events in (
        contract_events(text="The quick brown fox"),
        changed(contract_events(), b'"index":2', b'"index":1'),
        changed(contract_events(), b'"token":"quick "', b'"token":7'),
        contract_events()[:2] + contract_events()[3:],
    ):
        with pytest.raises(Violation):
            check(_streams(events))


def test_sse_26_names_gaps_and_missing_numbers() -> None:
    check = checks.test_sequence_numbers_begin_at_0_and_grow_by_1
    with pytest.raises(Violation, match="sequence_number 2"):
        check(_streams(changed(contract_events(), b'"sequence_number":2', b'"sequence_number":3')))
    bare = [e.replace(b'"sequence_number"', b'"n"') for e in contract_events()]
    with pytest.raises(Violation, match="none"):
        check(_streams(bare))


@pytest.mark.parametrize("name", ["X-Request-Id", "API-Version", "RateLimit", "RateLimit-Policy"])
def test_sse_29_names_the_missing_header(name: str) -> None:
    headers = {k: v for k, v in EXTRA_HEADERS.items() if k != name}
    with pytest.raises(Violation, match=f"no {name}"):
        checks.test_a_streamed_answer_has_the_operational_headers(
            _streams(contract_events(), headers=headers)
        )


def test_sse_30_wants_json_or_406() -> None:
    check = checks.test_a_client_that_accepts_only_json_gets_json_or_406
    refused = answer({"error": {}}, status=406, role="json_only")
    for good in (refused, answer({"id": "c"}, role="json_only")):
        assert check(gathered("stream_not_accepted", good))
    bad = sent("contract", contract_events(), role="json_only")
    with pytest.raises(Violation, match="event-stream"):
        check(gathered("stream_not_accepted", bad))


def _turn(
    *, url: str = "/api/v1/chat/stream?turn_id=turn_1", bare: int = 401, again: list[bytes] | None = None
) -> Probed:
    params = {"prompt": "Say something about quillwort-7731."}
    body = {"turn_id": "turn_1", "status": "queued", "stream_url": url}
    return gathered(
        "turn_streams",
        answer(body, status=202, role="posted", operation="chat_deferred", params=params),
        answer({"error": {}}, status=bare, role="without_key", operation="turn_stream"),
        sent("contract", contract_events(), role="first", operation="turn_stream"),
        sent("contract", again or contract_events(), role="again", operation="turn_stream"),
    )


def test_sse_31_names_open_streams_and_prompts_in_urls() -> None:
    check = checks.test_a_turn_stream_needs_credentials_and_no_prompt_in_its_url
    assert check(_turn())
    with pytest.raises(Violation, match="401 without credentials"):
        check(_turn(bare=200))
    with pytest.raises(Violation, match="quillwort"):
        check(_turn(url="/api/v1/chat/stream?message=about+quillwort-7731"))
    with pytest.raises(Violation, match="no stream_url"):
        check(_turn(url=""))


def test_sse_43_names_a_second_generation() -> None:
    check = checks.test_a_turn_is_generated_once_and_then_replayed
    assert check(_turn())
    for other in (contract_events(("Another ", "text.")), contract_events(id="chat_2")):
        with pytest.raises(Violation, match="of the first time"):
            check(_turn(again=other))
    with pytest.raises(Inconclusive):
        check(_turn(again=contract_events()[:3]))


def _large(events: list[bytes], **more: Any) -> Probed:
    return gathered("stream_large_event", sent("contract", events, role="large", **more))


def test_sse_33_names_a_large_event_that_breaks() -> None:
    check = checks.test_an_event_of_256_kb_passes_unbroken
    whole = contract_events((LARGE,))
    assert check(_large(whole))
    with pytest.raises(Violation, match="without its terminal"):
        check(_large([whole[0], whole[1][:65536]]))
    with pytest.raises(Violation, match="as the test says"):
        check(_large([whole[0], whole[1][:65536]], failure="reset", t_end=None))
    split = [whole[0], whole[1][:65536] + b"\n\n", *whole[2:]]
    with pytest.raises(Violation, match="does not parse"):
        check(_large(split))
    with pytest.raises(Violation, match="letters"):
        check(_large(contract_events((LARGE[:-1],))))


def test_sse_33_is_undecided_when_the_model_says_something_else() -> None:
    with pytest.raises(Inconclusive):
        checks.test_an_event_of_256_kb_passes_unbroken(_large(contract_events()))


def test_sse_39_names_a_keep_alive_with_a_blank_line() -> None:
    check = checks.test_a_keep_alive_is_one_comment_line
    first, *rest = contract_events()
    assert check(_streams([first, b": keep-alive\n", *rest]))
    with pytest.raises(Violation, match="keep-alive"):
        check(_streams([first, b": keep-alive\n\n", *rest]))
    with pytest.raises(NotTested):
        check(_streams(contract_events()))


def test_sse_41_names_missing_and_foreign_metadata() -> None:
    check = checks.test_the_first_event_is_metadata
    first, *rest = contract_events()
    with pytest.raises(Violation, match="metadata first"):
        check(_streams(rest))
    with pytest.raises(Violation, match="no trace_id"):
        check(_streams([first.replace(b'"trace_id"', b'"trace"'), *rest]))
    foreign = changed([first], b"req_01", b"req_99")
    with pytest.raises(Violation, match="as in the header"):
        check(_streams([*foreign, *rest]))
    replay = EXTRA_HEADERS | {"Idempotency-Replayed": "true"}
    assert check(_streams([*foreign, *rest], headers=replay))


def test_sse_42_names_wrong_names_and_an_incomplete_done() -> None:
    check = checks.test_events_are_named_after_their_type_and_done_is_complete
    events = contract_events()
    with pytest.raises(Violation, match="without a name"):
        check(_streams([events[0], b"event: token\n" + events[1], *events[2:]]))
    with pytest.raises(Violation, match="named metadata"):
        check(_streams([events[0].replace(b"event: metadata\n", b""), *events[1:]]))
    with pytest.raises(Violation, match="no usable metadata"):
        check(_streams(contract_events(metadata=None)))
    late = event({"type": "token", "token": "!", "index": 4, "sequence_number": 6})
    with pytest.raises(Violation, match="last JSON event"):
        check(_streams([*events[:-1], late, events[-1]]))
    assert check(_streams([*events[:2], event({"type": "novel"}, "usage"), *events[2:]]))
