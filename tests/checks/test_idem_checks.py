"""Each IDEM check passes on an honest server's bytes and fails on one defect."""

from __future__ import annotations

from typing import Any

import pytest
from building import answer, event, exchange, gathered, stream

from conformance.checks import test_idem as idem
from conformance.checks import test_idem_streams as streams
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotTested, Violation

DATE = "Tue, 24 Nov 2026 10:00:00 GMT"
REPLAYED = {"Idempotency-Replayed": "true"}
REMAINING = "x-ratelimit-remaining-tokens"


def chat(
    role: str, id_: str = "chat_1", request_id: str = "req_1", headers: Any = (), **more: Any
) -> Reading:
    body = {
        "id": id_,
        "message": {"role": "assistant", "content": f"text of {id_}"},
        "finish_reason": "stop",
        "metadata": {
            "trace_id": more.pop("trace_id", "a" * 32),
            "idempotency": {"expires_at": more.pop("expires_at", "2026-11-25T10:00:00Z")},
        },
    }
    return answer(
        body, role=role, headers={"Date": DATE, "X-Request-Id": request_id, **dict(headers)}, **more
    )


def refusal(role: str, status: int, code: str, request_id: str = "req_9", headers: Any = ()) -> Reading:
    body = {"error": {"code": code, "message": "No.", "details": {}, "request_id": request_id}}
    return answer(body, status=status, role=role, headers=dict(headers))


def replay(**changed: Reading) -> Probed:
    """The probe `idempotent_replay` against an honest server, with some answers replaced."""
    again = {"request_id": "req_2", "headers": REPLAYED}
    honest = {
        "first": chat("first"),
        "replay": chat("replay", **again),
        "reordered": chat("reordered", **again),
        "quoted": chat("quoted", **again),
        "other_payload": refusal("other_payload", 422, "IDEMPOTENCY_KEY_REUSED"),
    }
    return gathered("idempotent_replay", *(honest | changed).values())


def steps(tokens_after: int) -> Probed:
    def level(role: str, left: int) -> Reading:
        return answer(
            {"data": []},
            role=role,
            operation="models",
            headers={REMAINING: str(left), "RateLimit": tokens(left)},
        )

    def tokens(left: int) -> str:
        return f'"requests";r=9;t=9, "tokens";r={left};t=9'

    return gathered(
        "quota_steps",
        chat("keyed"),
        level("level_1", 900),
        chat(
            "keyed_replay",
            headers=REPLAYED | {REMAINING: "900", "RateLimit": '"requests";r=8;t=9, "tokens";r=900;t=9'},
        ),
        level("level_2", tokens_after),
    )


def race(*twins: Reading, later: Reading | None = None) -> Probed:
    return gathered("idempotent_race", *twins, later or chat("later", headers=REPLAYED))


IN_PROGRESS = {"Retry-After": "1"}
WAITING = refusal("twin", 409, "IDEMPOTENCY_IN_PROGRESS", headers=IN_PROGRESS)


def scopes(**changed: Reading) -> Probed:
    honest = {
        "main": chat("main"),
        "other": chat("other", "chat_2", principal="other"),
        "classify": answer({"category": "billing", "confidence": 0.9}, role="classify", operation="classify"),
        "body_key": chat("body_key", headers=REPLAYED),
        "both_equal": chat("both_equal", headers=REPLAYED),
        "both_differ": refusal("both_differ", 400, "IDEMPOTENCY_KEY_CONFLICT"),
    }
    return gathered("idempotent_scopes", *(honest | changed).values())


def keys(longest: Reading, too_long: Reading) -> Probed:
    control = refusal("bad_header_control", 400, "IDEMPOTENCY_KEY_INVALID")
    return gathered("idempotent_keys", longest, too_long, control)


def failures(retry: Reading) -> Probed:
    return gathered("idempotent_failures", refusal("overloaded.first", 503, "MODEL_OVERLOADED"), retry)


def test_idem_09_needs_a_second_operation() -> None:
    nowhere = refusal("classify", 404, "NOT_FOUND")
    with pytest.raises(NotTested):
        idem.test_the_same_key_on_another_operation_is_another_key(scopes(classify=nowhere))


TOO_LONG = refusal("bad_too_long", 400, "IDEMPOTENCY_KEY_INVALID")
GOOD = [
    (idem.test_the_same_request_with_its_key_is_answered_with_the_stored_answer, replay()),
    (idem.test_only_the_replay_is_marked_as_one, replay()),
    (idem.test_a_replay_takes_no_tokens_from_the_quota, steps(900)),
    (idem.test_a_key_reused_with_another_payload_is_refused, replay()),
    (idem.test_order_and_whitespace_of_the_json_do_not_make_another_payload, replay()),
    (
        idem.test_concurrent_duplicates_are_executed_once,
        race(chat("twin"), WAITING, chat("twin", headers=REPLAYED)),
    ),
    (idem.test_a_key_in_progress_later_gives_the_stored_answer, race(chat("twin"), WAITING)),
    (idem.test_another_principal_with_the_same_key_gets_its_own_execution, scopes()),
    (idem.test_the_same_key_on_another_operation_is_another_key, scopes()),
    (idem.test_header_and_body_key_are_one_key_and_must_agree, scopes()),
    (idem.test_a_quoted_and_a_bare_key_are_the_same, replay()),
    (idem.test_keys_are_1_to_255_printable_characters, keys(chat("longest"), TOO_LONG)),
    (idem.test_the_answer_tells_until_when_its_key_is_kept, replay()),
    (
        idem.test_retryable_failures_are_not_stored,
        failures(refusal("overloaded.retry", 503, "MODEL_OVERLOADED", "req_8")),
    ),
    (idem.test_a_replay_has_its_own_request_id_and_the_stored_trace, replay()),
]
BAD = {
    "executed again": (GOOD[0][0], replay(replay=chat("replay", "chat_2"))),
    "other status": (GOOD[0][0], replay(replay=chat("replay", status=201))),
    "unmarked": (GOOD[1][0], replay(replay=chat("replay"))),
    "first marked": (GOOD[1][0], replay(first=chat("first", headers=REPLAYED))),
    "charged": (GOOD[2][0], steps(880)),
    "old answer for another payload": (
        GOOD[3][0],
        replay(other_payload=chat("other_payload", headers=REPLAYED)),
    ),
    "409 for another payload": (GOOD[3][0], replay(other_payload=refusal("other_payload", 409, "CONFLICT"))),
    "record lost": (GOOD[3][0], replay(replay=chat("replay", "chat_3"))),
    "raw bytes": (GOOD[4][0], replay(reordered=refusal("reordered", 422, "IDEMPOTENCY_KEY_REUSED"))),
    "two executions": (GOOD[5][0], race(chat("twin"), chat("twin", "chat_2"))),
    "409 without Retry-After": (
        GOOD[5][0],
        race(chat("twin"), refusal("twin", 409, "IDEMPOTENCY_IN_PROGRESS")),
    ),
    "500 in the race": (GOOD[5][0], race(chat("twin"), refusal("twin", 500, "INTERNAL"))),
    "stuck": (
        GOOD[6][0],
        race(chat("twin"), WAITING, later=refusal("later", 409, "IDEMPOTENCY_IN_PROGRESS")),
    ),
    "leak": (GOOD[7][0], scopes(other=chat("other", principal="other"))),
    "cross-operation replay": (GOOD[8][0], scopes(classify=chat("classify", headers=REPLAYED))),
    "blocked": (GOOD[8][0], scopes(classify=refusal("classify", 422, "IDEMPOTENCY_KEY_REUSED"))),
    "body key ignored": (GOOD[9][0], scopes(body_key=chat("body_key", "chat_4"))),
    "conflict ignored": (GOOD[9][0], scopes(both_differ=chat("both_differ"))),
    "quotes are part of the key": (GOOD[10][0], replay(quoted=chat("quoted", "chat_5"))),
    "long key refused": (GOOD[11][0], keys(refusal("longest", 400, "IDEMPOTENCY_KEY_INVALID"), TOO_LONG)),
    "too long accepted": (GOOD[11][0], keys(chat("longest"), chat("bad_too_long"))),
    "one hour": (GOOD[12][0], replay(first=chat("first", expires_at="2026-11-24T11:00:00Z"))),
    "no time": (GOOD[12][0], replay(first=chat("first", expires_at="tomorrow"))),
    "no offset": (GOOD[12][0], replay(first=chat("first", expires_at="2026-11-30T11:00:00"))),
    "failure stored": (
        GOOD[13][0],
        failures(refusal("overloaded.retry", 503, "MODEL_OVERLOADED", headers=REPLAYED)),
    ),
    "failure repeated": (GOOD[13][0], failures(refusal("overloaded.retry", 503, "MODEL_OVERLOADED"))),
    "key stuck": (GOOD[13][0], failures(refusal("overloaded.retry", 409, "IDEMPOTENCY_IN_PROGRESS"))),
    "request id stored": (GOOD[14][0], replay(replay=chat("replay", request_id="req_1"))),
    "new trace": (GOOD[14][0], replay(replay=chat("replay", request_id="req_2", trace_id="b" * 32))),
}


@pytest.mark.parametrize(("check", "evidence"), GOOD, ids=[c.__name__ for c, _ in GOOD])
def test_an_honest_server_passes(check: Any, evidence: Probed) -> None:
    assert check(evidence)


@pytest.mark.parametrize(("check", "evidence"), BAD.values(), ids=list(BAD))
def test_a_defect_is_a_violation(check: Any, evidence: Probed) -> None:
    with pytest.raises(Violation):
        check(evidence)


def test_without_a_second_key_the_scope_is_not_tested() -> None:
    with pytest.raises(NotTested, match="--other-key"):
        GOOD[7][0](gathered("idempotent_scopes", chat("main")))


def test_requests_that_did_not_overlap_prove_nothing() -> None:
    late = chat("twin", headers=REPLAYED, started_at=1_800_000_009.0)
    with pytest.raises(Inconclusive, match="overlap"):
        GOOD[5][0](race(chat("twin"), late))


def test_waiting_for_the_answer_instead_of_409_is_allowed() -> None:
    assert GOOD[5][0](race(chat("twin"), chat("twin", headers=REPLAYED)))
    with pytest.raises(NotTested):
        GOOD[6][0](race(chat("twin"), chat("twin", headers=REPLAYED)))


METADATA = event({"type": "metadata", "sequence_number": 0, "id": "chat_1"}, "metadata")
OTHER = event({"type": "metadata", "sequence_number": 0, "id": "chat_2"}, "metadata")
THE = event({"type": "token", "token": "The ", "index": 0, "sequence_number": 1})
SEA = event({"type": "token", "token": "sea.", "index": 1, "sequence_number": 2})
SKY = event({"type": "token", "token": "sky.", "index": 1, "sequence_number": 2})
DONE = event("[DONE]")


def streamed(first: Reading, again: Reading) -> Probed:
    return gathered("idempotent_streams", first, again)


def cut() -> Reading:
    return stream(METADATA, THE, role="cut", left_at=0.1)


def test_a_stream_and_its_replay_are_equal() -> None:
    check = streams.test_a_repeated_stream_has_the_same_text_and_its_end
    first = stream(METADATA, THE, SEA, DONE)
    assert check(streamed(first, stream(METADATA, THE, SEA, DONE, role="stream_replay")))
    for defect in (
        stream(OTHER, THE, SEA, DONE, role="stream_replay"),
        stream(METADATA, THE, SKY, DONE, role="stream_replay"),
        stream(METADATA, THE, SEA, role="stream_replay"),
        chat("stream_replay"),
        exchange(role="stream_replay", status=500),
    ):
        with pytest.raises(Violation):
            check(streamed(first, defect))


def test_a_cut_stream_goes_on() -> None:
    check = streams.test_a_cut_stream_is_not_generated_a_second_time
    assert check(streamed(cut(), stream(METADATA, THE, SEA, DONE, role="cut_retry")))
    for defect in (OTHER + THE + SEA + DONE, METADATA + SKY + DONE):
        with pytest.raises(Violation):
            check(streamed(cut(), stream(defect, role="cut_retry")))
    with pytest.raises(Inconclusive):
        check(streamed(cut(), refusal("cut_retry", 409, "IDEMPOTENCY_IN_PROGRESS")))
    with pytest.raises(Inconclusive):
        check(
            streamed(stream(METADATA, THE, DONE, role="cut"), stream(METADATA, THE, DONE, role="cut_retry"))
        )
