"""CTX checks on recorded bytes."""

from __future__ import annotations

from typing import Any

import pytest
from building import answer, event, gathered, stream

from conformance.checks import test_ctx as ctx
from conformance.probes.context import life_of
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotOffered, NotTested, Violation


def error(code: str, status: int, role: str, **details: Any) -> Reading:
    body = {"error": {"code": code, "message": "words", "details": details}}
    return answer(body, status=status, role=role)


def said(role: str, tokens: int = 10, text: str = "Yes.", prompt: str = "Is it?", **context: Any) -> Reading:
    told = {"input_tokens": tokens, "window": 100, "truncated": False, "dropped_messages": 0, **context}
    metadata = {"tokens_used": {"input": tokens, "output": 2, "total": tokens + 2}, "context": told}
    body = {"message": {"role": "assistant", "content": text}, "metadata": metadata}
    return answer(body, role=role, params={"prompt": prompt})


def history(*messages: tuple[str, str]) -> Reading:
    return answer(
        {"messages": [{"role": r, "content": c} for r, c in messages]}, role="history", operation="session"
    )


def turns(*readings: Reading) -> Probed:
    return gathered("session_turns", *readings)


def test_ctx_01_wants_the_first_turn_in_the_second() -> None:
    ctx.test_earlier_turns_are_part_of_the_input(turns(said("turn_1", 40), said("turn_2", 55)))
    with pytest.raises(Violation, match="more than the 40"):
        ctx.test_earlier_turns_are_part_of_the_input(turns(said("turn_1", 40), said("turn_2", 6)))
    with pytest.raises(Inconclusive):
        ctx.test_earlier_turns_are_part_of_the_input(turns(said("turn_1"), error("INTERNAL", 500, "turn_2")))


def test_ctx_02_wants_not_found_for_others_and_all_for_the_owner() -> None:
    owner = history(("user", "Ann's"), ("assistant", "yes"))
    others = {n: error("SESSION_NOT_FOUND", 404, f"other:{n}") for n in ("read", "delete")}
    others["continue"] = answer(
        {"error": {"code": "SESSION_NOT_FOUND", "message": "No.", "details": {}}},
        status=404,
        role="other:continue",
        params={"prompt": "intruding"},
    )
    check = ctx.test_another_principals_session_does_not_exist
    check(turns(*others.values(), owner))
    bad = (
        (owner, {**others, "read": answer({"messages": []}, role="other:read", operation="session")}),
        (owner, {**others, "delete": error("FORBIDDEN", 403, "other:delete")}),
        (error("SESSION_NOT_FOUND", 404, "history"), others),
        (history(("user", "Ann's"), ("user", "intruding")), others),
    )
    for owned, seen in bad:
        with pytest.raises(Violation):
            check(turns(*seen.values(), owned))
    with pytest.raises(NotTested, match="--other-key"):
        check(turns(owner))


def test_ctx_03_wants_a_refusal_with_numbers() -> None:
    check = ctx.test_what_does_not_fit_is_refused_unless_a_strategy_was_chosen
    check(turns(error("CONTEXT_LENGTH_EXCEEDED", 400, "overfull", input_tokens=80, max_tokens=40)))
    for bad in (
        said("overfull", 30),
        error("CONTEXT_LENGTH_EXCEEDED", 413, "overfull", input_tokens=80, max_tokens=40),
        error("CONTEXT_LENGTH_EXCEEDED", 400, "overfull", input_tokens=40, max_tokens=40),
        error("CONTEXT_LENGTH_EXCEEDED", 400, "overfull"),
    ):
        with pytest.raises(Violation):
            check(turns(bad))


def cut(role: str, tokens: int = 80, **context: Any) -> Probed:
    told = {"truncated": True, "dropped_messages": 2, **context}
    return gathered("context_cut", said("whole", 100), said("ends", 70), said(role, tokens, **told))


def test_ctx_04_wants_an_honest_cut_that_keeps_the_system_text() -> None:
    check = ctx.test_cutting_keeps_the_system_text_and_is_told
    check(cut("truncated"))
    check(cut("truncated", 99))
    for bad in (
        cut("truncated", 100),
        cut("truncated", 60),
        cut("truncated", truncated=False),
        cut("truncated", dropped_messages=0),
        cut("truncated", dropped_messages=None),
        gathered(
            "context_cut",
            said("whole", 100),
            said("ends", 70),
            error("CONTEXT_LENGTH_EXCEEDED", 400, "truncated"),
        ),
    ):
        with pytest.raises(Violation):
            check(bad)


@pytest.mark.parametrize(
    ("check", "role"),
    [
        (ctx.test_cutting_keeps_the_system_text_and_is_told, "truncated"),
        (ctx.test_a_summary_says_what_it_stands_for, "summarized"),
    ],
)
def test_ctx_04_and_11_ask_nothing_of_a_strategy_that_is_not_listed(check: Any, role: str) -> None:
    unlisted = gathered("context_cut", said("whole", 100), notes={role: "the capabilities list it not"})
    with pytest.raises(NotOffered, match="list it not"):
        check(unlisted)


def test_ctx_05_wants_no_fresh_session() -> None:
    check = ctx.test_an_unknown_or_expired_session_is_not_found
    unknown, expired = (error("SESSION_NOT_FOUND", 404, role) for role in ("unknown", "expired"))
    check(gathered("session_end", unknown, expired))
    told = check(gathered("session_end", unknown, notes={"expiry": "sessions live for a day"}))
    assert told == "unknown; sessions live for a day"
    for bad in (
        (said("unknown"), expired),
        (unknown, said("expired")),
        (error("NOT_FOUND", 404, "unknown"), expired),
    ):
        with pytest.raises(Violation):
            check(gathered("session_end", *bad))


def test_the_life_of_a_session_is_measured_by_the_servers_clock_alone() -> None:
    created = {"created_at": "2031-01-01T00:00:00Z", "expires_at": "2031-01-01T00:00:01.500Z"}
    assert life_of(answer(created)) == 1.5
    for other in ({}, {"expires_at": None}, {"created_at": "2031-01-01T00:00:00"}, {"expires_at": "soon"}):
        assert life_of(answer(created | other if other else {})) is None


def test_ctx_06_wants_it_gone_to_read_and_to_continue() -> None:
    check = ctx.test_a_deleted_session_is_gone
    deleted = answer(status=204, role="deleted", content_type=None)
    read, go_on = (error("SESSION_NOT_FOUND", 404, f"deleted:{n}") for n in ("read", "continue"))
    check(gathered("session_end", deleted, read, go_on))
    for bad in (
        (error("METHOD_NOT_ALLOWED", 405, "deleted"), read, go_on),
        (deleted, answer({"messages": []}, role="deleted:read"), go_on),
        (deleted, read, said("deleted:continue")),
    ):
        with pytest.raises(Violation):
            check(gathered("session_end", *bad))


def race(*readings: Reading) -> Probed:
    return gathered("session_end", *readings)


def test_ctx_07_wants_turns_in_line_or_one_refused() -> None:
    check = ctx.test_turns_at_the_same_time_do_not_mix
    ann, ben = said("turn:Ann", text="Hi Ann", prompt="Ann"), said("turn:Ben", text="Hi Ben", prompt="Ben")
    busy = error("SESSION_BUSY", 409, "turn:Ben")
    both = history(("user", "Ben"), ("assistant", "Hi Ben"), ("user", "Ann"), ("assistant", "Hi Ann"))
    one = history(("user", "Ann"), ("assistant", "Hi Ann"))
    check(race(ann, ben, both))
    check(race(ann, busy, one))
    mixed = history(("user", "Ann"), ("user", "Ben"), ("assistant", "Hi Ben"), ("assistant", "Hi Ann"))
    for bad in (
        (ann, ben, mixed),
        (ann, ben, one),
        (ann, busy, both),
        (ann, error("INTERNAL", 500, "turn:Ben"), one),
        (
            ann,
            ben,
            history(("user", "Ann"), ("assistant", "Hi Ben"), ("user", "Ben"), ("assistant", "Hi Ann")),
        ),
    ):
        with pytest.raises(Violation):
            check(race(*bad))
    with pytest.raises(Inconclusive):
        check(race(busy, error("SESSION_BUSY", 409, "turn:Ann"), history()))


def test_ctx_08_wants_the_use_of_the_window() -> None:
    check = ctx.test_the_use_of_the_window_is_told
    done = {
        "type": "done",
        "metadata": {"tokens_used": {"input": 5}, "context": {"input_tokens": 5, "window": 10}},
    }
    check((said("a"), stream(event(done, "done"), b"data: [DONE]\n\n")))
    for bad in (
        said("a", 101),
        said("a", 10, input_tokens=9),
        said("a", window=None),
        answer({"metadata": {}}),
    ):
        with pytest.raises(Violation):
            check((said("a"), bad))


def test_ctx_09_wants_equal_counts() -> None:
    check = ctx.test_a_session_takes_the_tokens_of_its_messages
    check(turns(said("turn_2", 50), said("stateless", 50)))
    with pytest.raises(Violation):
        check(turns(said("turn_2", 57), said("stateless", 50)))


def test_ctx_10_wants_everything_that_was_said() -> None:
    check = ctx.test_the_history_is_what_was_said
    done = {"type": "done", "finish_reason": "stop", "text": "Three.", "metadata": {}}
    streamed = stream(
        event({"type": "token", "token": "Three."}),
        event(done, "done"),
        b"data: [DONE]\n\n",
        role="streamed",
        params={"prompt": "3?"},
    )
    first, second = said("turn_1", text="One.", prompt="1?"), said("turn_2", text="Two.", prompt="2?")
    whole = [
        ("user", "1?"),
        ("assistant", "One."),
        ("user", "2?"),
        ("assistant", "Two."),
        ("user", "3?"),
        ("assistant", "Three."),
    ]
    check(turns(first, second, streamed, history(*whole)))
    for bad in (whole[:4], whole[::-1], [*whole[:5], ("assistant", "")], []):
        with pytest.raises(Violation):
            check(turns(first, second, streamed, history(*bad)))
    with pytest.raises(Violation):
        check(turns(first, second, streamed, error("SESSION_NOT_FOUND", 404, "history")))


def test_ctx_11_wants_a_summary_that_says_of_what() -> None:
    check = ctx.test_a_summary_says_what_it_stands_for
    check(cut("summarized", summarized_messages=2))
    check(cut("summarized", 60, summarized_messages=1))
    for number in (0, None, 3):
        with pytest.raises(Violation):
            check(cut("summarized", summarized_messages=number))
