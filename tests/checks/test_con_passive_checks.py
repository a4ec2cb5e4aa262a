"""CON checks that hold for every exchange of a run, on recorded bytes."""

from __future__ import annotations

from typing import Any

import pytest
from building import answer, dialect, event, no_answer, stream

from conformance.checks import test_con_passive as con
from conformance.evidence import Failure
from conformance.reading import Reading
from conformance.verdict import Inconclusive, NotTested, Violation

ERROR = {"error": {"code": "INVALID_REQUEST", "message": "words", "details": {}}}


def token(n: int) -> bytes:
    return event({"type": "token", "token": "x ", "index": n, "sequence_number": n + 1})


def test_con_25_passes_on_complete_responses_and_our_own_hang_ups() -> None:
    assert (
        con.test_every_exchange_ends_in_a_complete_response(
            (answer({}), answer(ERROR, status=500), stream(token(0), left_at=0.1, t_end=None))
        )
        == "2 complete responses"
    )
    con.test_every_exchange_ends_in_a_complete_response((answer(ERROR, status=413, failure="reset"),))


@pytest.mark.parametrize(
    "kind", ["connect", "timeout_headers", "timeout_body", "reset", "protocol", "too_large", "redirect_loop"]
)
def test_con_25_catches_every_kind_of_failure(kind: Any) -> None:
    with pytest.raises(Violation, match=kind):
        con.test_every_exchange_ends_in_a_complete_response((answer({}), no_answer(kind)))


def test_con_25_does_not_blame_the_target_for_our_lag() -> None:
    with pytest.raises(Inconclusive, match="our own machine"):
        con.test_every_exchange_ends_in_a_complete_response((answer({}), no_answer("reset", lag=1.5)))


def test_con_25_is_undecided_without_a_connection_or_after_a_redirect_elsewhere() -> None:
    for kind in ("connect", "redirect_refused"):
        with pytest.raises(Inconclusive):
            con.test_every_exchange_ends_in_a_complete_response((no_answer(kind), no_answer(kind)))
    with pytest.raises(NotTested):
        con.test_every_exchange_ends_in_a_complete_response(())


def slow_stream(*chunks: tuple[float, bytes], limit: int) -> Reading:
    return stream(
        *chunks,
        failure=Failure("timeout_body", "the response did not end within 30 s", 30.0),
        params={"max_output_tokens": limit},
        t_end=None,
    )


def test_con_25_tells_a_slow_stream_from_a_stuck_and_from_a_runaway_one() -> None:
    slow = slow_stream(*((n * 3.0, token(n)) for n in range(10)), limit=40)
    with pytest.raises(Inconclusive, match="still bringing text"):
        con.test_every_exchange_ends_in_a_complete_response((slow,))
    dripping = slow_stream((0.1, token(0)), *((n * 1.0, b": ping\n\n") for n in range(1, 30)), limit=40)
    runaway = slow_stream(*((n * 0.1, token(n)) for n in range(299)), limit=40)
    for bad in (dripping, runaway):
        with pytest.raises(Violation):
            con.test_every_exchange_ends_in_a_complete_response((bad,))


def test_con_26_excuses_what_was_asked_for() -> None:
    contract = dialect()
    con.test_no_request_is_answered_with_a_server_error(
        (
            answer({}),
            answer(ERROR, status=504, params={"sandbox": {"scenario": "model_timeout"}}),
            answer(ERROR, status=501, method="OPTIONS"),
            answer(ERROR, status=503, headers={"Retry-After": "1"}),
        ),
        contract,
    )
    for status in (500, 502, 504):
        with pytest.raises(Violation):
            con.test_no_request_is_answered_with_a_server_error((answer(ERROR, status=status),), contract)
    with pytest.raises(Violation):
        con.test_no_request_is_answered_with_a_server_error((answer(ERROR, status=501),), contract)
    with pytest.raises(Inconclusive):
        con.test_no_request_is_answered_with_a_server_error((answer(ERROR, status=529),), contract)


def test_con_14_wants_json_from_every_layer() -> None:
    assert (
        con.test_every_error_is_json(
            (
                answer(ERROR, status=400),
                answer([{"error": {}}], status=429),
                answer(ERROR, status=404, content_type="application/problem+json"),
                answer(status=405, method="HEAD"),
            )
        )
        == "3 errors in JSON"
    )
    for bad in (
        answer("<html>502 Bad Gateway</html>", status=502, content_type="text/html"),
        answer(status=401, content_type=None),
        answer("Internal Server Error", status=500),
        answer(ERROR, status=404, content_type="text/plain"),
    ):
        with pytest.raises(Violation):
            con.test_every_error_is_json((answer(ERROR, status=400), bad))
    with pytest.raises(NotTested):
        con.test_every_error_is_json((answer({}),))


@pytest.mark.parametrize(
    "leak",
    [
        'Traceback (most recent call last):\n  File "/app/main.py", line 3, in chat',
        "at com.example.chat.Handler.handle(Handler.java:42)",
        "    at Object.<anonymous> (/srv/app/index.js:12:9)",
        "   at Api.Chat.Post(String s) in /src/Chat.cs:line 17",
        "goroutine 7 [running]:\nmain.main()",
        "thread 'main' panicked at src/main.rs:4:5",
        "/app/chat.rb:12:in `post'",
        "/usr/lib/python3.11/site-packages/starlette/routing.py",
    ],
)
def test_con_15_finds_internals_of_many_languages(leak: str) -> None:
    with pytest.raises(Violation):
        con.test_no_error_shows_the_inside_of_the_server((answer({"error": {"message": leak}}, status=500),))


def test_con_15_allows_plain_words_and_what_we_sent_ourselves() -> None:
    con.test_no_error_shows_the_inside_of_the_server(
        (
            answer({"error": {"message": "Look at line 3 of your file main.py (offset 12)."}}, status=400),
            answer(
                {"error": {"message": "goroutine 7 [running"}}, status=400, sent_body="goroutine 7 [running"
            ),
            answer({"error": {"message": "no"}}, status=400, headers={"Server": "uvicorn"}),
        )
    )


def test_con_22_wants_no_store_on_authenticated_answers() -> None:
    no_store = {"Cache-Control": "no-store, no-transform"}
    con.test_no_response_may_be_stored((answer({}, headers=no_store), answer({}, principal="none")))
    with pytest.raises(Violation):
        con.test_no_response_may_be_stored((answer({}, headers=no_store), answer(ERROR, status=400)))


def test_con_36_minds_only_permission_to_share() -> None:
    for value in ("", "private, max-age=60", "max-age=0", "public, no-store", "s-maxage=0"):
        con.test_no_generated_answer_may_be_shared((answer({}, headers={"Cache-Control": value}),))
    con.test_no_generated_answer_may_be_shared(
        (answer({}), answer({}, operation="models", headers={"Cache-Control": "public, max-age=60"}))
    )
    for value in ("public", "max-age=60, public", "s-maxage=60"):
        with pytest.raises(Violation):
            con.test_no_generated_answer_may_be_shared((answer({}, headers={"Cache-Control": value}),))


def test_con_24_finds_an_error_behind_200() -> None:
    con.test_no_success_carries_an_error((answer({"id": "1", "error": None}), answer(ERROR, status=400)))
    with pytest.raises(Violation):
        con.test_no_success_carries_an_error((answer(ERROR),))
    with pytest.raises(NotTested):
        con.test_no_success_carries_an_error((answer(ERROR, status=400),))


def test_con_38_wants_a_media_type_where_there_is_a_body() -> None:
    con.test_every_body_names_its_media_type((answer({}), answer(status=204, content_type=None)))
    for content_type in (None, "json"):
        with pytest.raises(Violation):
            con.test_every_body_names_its_media_type((answer({}, content_type=content_type),))
