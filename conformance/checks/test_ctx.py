"""CTX: sessions and the context window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.checks.metadata import described, is_count
from conformance.checks.refusals import brief, decisive, expect_error
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotOffered, NotTested, expect


@check("CTX-01")
def test_earlier_turns_are_part_of_the_input(session_turns: Probed) -> str:
    """A short second turn has more input tokens than the long first one."""
    first, second = _input(session_turns["turn_1"]), _input(session_turns["turn_2"])
    expect(
        second > first,
        expected=f"more than the {first} input tokens of the first turn",
        seen=f"{second}",
        at=session_turns["turn_2"],
        where="/metadata/tokens_used/input",
    )
    return f"{first}, then {second} input tokens"


@check("CTX-02")
def test_another_principals_session_does_not_exist(session_turns: Probed) -> str:
    """404 SESSION_NOT_FOUND to read, continue and delete; the owner still has it, without what the other said."""
    others = session_turns.all("other:")
    if not others and session_turns.record.outcome == "done":
        raise NotTested("needs a second credential: --other-key")
    for reading in session_turns.some("other:"):
        expect_error(reading, 404, "SESSION_NOT_FOUND")
    intruding = {text for r in others if (text := r.exchange.params.get("prompt"))}
    owner = decisive(session_turns["history"])
    expect(
        owner.ok and not any(text in intruding for _, text in _said(owner)),
        expected="the owner's session, with nothing that the other said",
        seen=brief(owner),
        at=owner,
    )
    return "not found for others, whole for its owner"


@check("CTX-03")
def test_what_does_not_fit_is_refused_unless_a_strategy_was_chosen(session_turns: Probed) -> str:
    """400 CONTEXT_LENGTH_EXCEEDED for an overfull session."""
    reading = session_turns["overfull"]
    expect_error(reading, 400, "CONTEXT_LENGTH_EXCEEDED")
    size, most = (reading.error.details.get(name) for name in ("input_tokens", "max_tokens"))
    expect(
        isinstance(size, int) and isinstance(most, int) and size > most,
        expected="details with input_tokens above max_tokens",
        seen=dict(reading.error.details),
        at=reading,
        where="/error/details",
    )
    return f"{size} tokens refused at a limit of {most}"


@check("CTX-04")
def test_cutting_keeps_the_system_text_and_is_told(context_cut: Probed) -> str:
    """200, within the limit, not less than system text and last message, and the number of dropped messages."""
    _need_strategy(context_cut, "truncated")
    reading = _answered(context_cut, "truncated")
    context, tokens = _cut_to_the_limit(context_cut, reading)
    ends = _input(context_cut["ends"])
    expect(
        tokens >= ends,
        expected=f"at least the {ends} tokens of system text and last message",
        seen=f"{tokens}",
        at=reading,
        where="/metadata/tokens_used/input",
    )
    return f"{context['dropped_messages']} messages dropped, {tokens} tokens kept"


@check("CTX-05")
def test_an_unknown_or_expired_session_is_not_found(session_end: Probed) -> str:
    """404 SESSION_NOT_FOUND, not a fresh session."""
    expect_error(session_end["unknown"], 404, "SESSION_NOT_FOUND")
    if session_end.get("expired") is None:
        return f"unknown; {session_end.notes.get('expiry', 'expiry was not reached')}"
    expect_error(session_end["expired"], 404, "SESSION_NOT_FOUND")
    return "unknown and expired"


@check("CTX-06")
def test_a_deleted_session_is_gone(session_end: Probed) -> str:
    """After DELETE, neither reading nor continuing finds it."""
    deleted = decisive(session_end["deleted"])
    expect(deleted.ok, expected="2xx for DELETE", seen=brief(deleted), at=deleted)
    for reading in session_end.some("deleted:"):
        expect_error(reading, 404, "SESSION_NOT_FOUND")
    return "gone"


@check("CTX-07")
def test_turns_at_the_same_time_do_not_mix(session_end: Probed) -> str:
    """Each 2xx, or 409 SESSION_BUSY; in the history each question is followed by its answer."""
    turns = session_end.some("turn:")
    answers: dict[str, str] = {}
    for reading in turns:
        if reading.ok:
            answers[_asked(reading)] = str(reading.facts["text"].value)
        else:
            expect_error(reading, 409, "SESSION_BUSY")
    if len(turns) < 2 or not answers:
        raise Inconclusive("the two turns did not both get an answer")
    history = decisive(session_end["history"])
    said = _said(history)
    pairs = {said[i][1]: said[i + 1][1] for i in range(0, len(said) - 1, 2)}
    roles = [role for role, _ in said]
    expect(
        pairs == answers and roles == ["user", "assistant"] * len(answers),
        expected=f"{len(answers)} question(s), each followed by its answer",
        seen=said,
        at=history,
        where="/messages",
    )
    return f"{len(answers)} of {len(turns)} turns taken, history in order"


@check("CTX-08")
def test_the_use_of_the_window_is_told(exchanges: tuple[Reading, ...]) -> str:
    """`metadata.context`: input_tokens as in the usage, and not more than the window."""
    chats = [r for r in exchanges if r.exchange.operation in ("chat", "chat_stream")]
    answers = described(chats)
    for answer in answers:
        context, used = answer.metadata.get("context"), answer.metadata.get("tokens_used")
        given = context if isinstance(context, dict) else {}
        tokens, window = given.get("input_tokens"), given.get("window")
        expect(
            is_count(tokens) and is_count(window) and tokens <= window,
            expected="context with input_tokens at most window",
            seen=context,
            at=answer.reading,
            where=answer.where("context"),
        )
        expect(
            isinstance(used, dict) and used.get("input") == tokens,
            expected=f"the {tokens} tokens that the context tells as usage of the input",
            seen=used,
            at=answer.reading,
            where=answer.where("tokens_used"),
        )
    return f"{len(answers)} answers"


@check("CTX-09")
def test_a_session_takes_the_tokens_of_its_messages(session_turns: Probed) -> str:
    """The second turn of the session, and the same conversation sent whole."""
    second, stateless = _input(session_turns["turn_2"]), _input(session_turns["stateless"])
    expect(
        second == stateless,
        expected=f"{stateless} input tokens, as for the same messages without a session",
        seen=f"{second}",
        at=session_turns["turn_2"],
        where="/metadata/tokens_used/input",
    )
    return f"{second} input tokens both ways"


@check("CTX-10")
def test_the_history_is_what_was_said(session_turns: Probed) -> str:
    """Questions and answers in order, the streamed one included."""
    wanted: list[tuple[Any, Any]] = []
    for role in ("turn_1", "turn_2", "streamed"):
        reading = _answered(session_turns, role)
        text = reading.stream.text if reading.exchange.is_sse else reading.facts["text"].value
        wanted += [("user", _asked(reading)), ("assistant", text)]
    history = decisive(session_turns["history"])
    said = _said(history)
    expect(said == wanted, expected=f"{wanted}", seen=said, at=history, where="/messages")
    return f"{len(said)} messages"


@check("CTX-11")
def test_a_summary_says_what_it_stands_for(context_cut: Probed) -> str:
    """200, within the limit, and summarized_messages of at least 1."""
    _need_strategy(context_cut, "summarized")
    reading = _answered(context_cut, "summarized")
    context, tokens = _cut_to_the_limit(context_cut, reading)
    summarized = context.get("summarized_messages")
    expect(
        is_count(summarized) and 1 <= summarized <= context["dropped_messages"],
        expected="summarized_messages of at least 1, all of them among the dropped",
        seen=context,
        at=reading,
        where="/metadata/context/summarized_messages",
    )
    return f"a summary of {summarized} messages, {tokens} tokens in all"


def _need_strategy(context_cut: Probed, role: str) -> None:
    if context_cut.get(role) is None and role in context_cut.notes:
        raise NotOffered(str(context_cut.notes[role]))


def _cut_to_the_limit(context_cut: Probed, reading: Reading) -> tuple[Mapping[str, Any], int]:
    """The context of an answer to a conversation that was one token too long, and its input tokens."""
    limit, tokens = _input(context_cut["whole"]) - 1, _input(reading)
    expect(
        tokens <= limit,
        expected=f"at most max_input_tokens, {limit}",
        seen=f"{tokens}",
        at=reading,
        where="/metadata/tokens_used/input",
    )
    (answer,) = described([reading])
    given = answer.metadata.get("context")
    context = given if isinstance(given, dict) else {}
    dropped = context.get("dropped_messages")
    expect(
        context.get("truncated") is True and is_count(dropped) and dropped >= 1,
        expected="truncated true and dropped_messages of at least 1",
        seen=given,
        at=reading,
        where="/metadata/context",
    )
    return context, tokens


def _answered(probed: Probed, role: str) -> Reading:
    reading = decisive(probed[role])
    expect(reading.ok, expected=f"an answer to '{role}'", seen=brief(reading), at=reading)
    return reading


def _input(reading: Reading) -> int:
    tokens = reading.facts["usage.input"].value
    if not reading.ok or not is_count(tokens):
        raise Inconclusive(f"{reading.exchange.id} ({reading.role}) tells no input tokens: {brief(reading)}")
    return int(tokens)


def _asked(reading: Reading) -> Any:
    prompt = reading.exchange.params.get("prompt")
    if prompt is None:
        raise NotTested(f"{reading.exchange.id} has no prompt of its own")
    return prompt


def _said(history: Reading) -> list[tuple[Any, Any]]:
    messages = history.body.get("messages") if isinstance(history.body, dict) else None
    expect(
        history.ok and isinstance(messages, list) and all(isinstance(m, dict) for m in messages),
        expected="a session with a list of messages",
        seen=brief(history),
        at=history,
        where="/messages",
    )
    return [(m.get("role"), m.get("content")) for m in messages or ()]
