"""Each WS check passes on an honest conversation and fails on one defect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from building import answer, event, exchange, gathered, stream

from conformance.checks import test_ws as ws
from conformance.evidence import Frame
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotTested, Violation

METADATA = {
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "request_id": "req_1", "model_version": "m-1", "latency_ms": 5,
    "tokens_used": {"input": 1, "output": 1, "total": 2}, "sources_used": [],
    "cost": {"amount": "0", "currency": "USD", "price_version": "1"},
}  # fmt: skip
FIRST = {
    "type": "metadata",
    "sequence_number": 0,
    "id": "chat_1",
    "request_id": "req_1",
    "trace_id": METADATA["trace_id"],
    "model_version": "m-1",
}
TOKEN = {"type": "token", "token": "one", "index": 0, "sequence_number": 1}
DONE = {
    "type": "done",
    "sequence_number": 2,
    "id": "chat_1",
    "finish_reason": "stop",
    "text": "one",
    "metadata": METADATA,
}
CANCELLED = {"type": "cancelled", "sequence_number": 5, "id": "chat_1", "metadata": METADATA}


def error(code: str, **details: Any) -> dict[str, Any]:
    told = {
        "code": code,
        "message": "No.",
        "details": details,
        "type": "invalid_request_error",
        "param": None,
        "retryable": False,
        "request_id": "req_1",
        "docs_url": "http://x/errors/E",
    }
    return {"type": "error", "sequence_number": 0, "error": told}


def talk(
    role: str,
    *spoken: Any,
    close: int | None = 1000,
    subprotocol: str = "enterprise-ai.v1",
    step: float = 0.01,
) -> Reading:
    """`("client", message)` and `("server", message)`; a message is an object, a text, or a Frame."""
    frames: list[Frame] = []
    for n, (sender, message) in enumerate(spoken):
        if isinstance(message, Frame):
            frames.append(message)
            continue
        text = message if isinstance(message, str) else json.dumps(message)
        frames.append(Frame(n * step, sender, "text", text.encode()))
    if close is not None:
        frames.append(Frame(len(spoken) * step, "server", "close", close.to_bytes(2, "big")))
    return exchange(
        role=role, operation="chat_socket", method="GET", path="/chat/ws", status=101, headers=(("Sec-WebSocket-Protocol", subprotocol),),
        sent_headers=(("Sec-WebSocket-Protocol", "enterprise-ai.v1"),), frames=tuple(frames),
    )  # fmt: skip


def ask(name: str, *events: Any) -> list[tuple[str, Any]]:
    return [("client", {"type": "chat", "message_id": name, "request": {}}), *(("server", e) for e in events)]


PING = [("client", Frame(0.1, "client", "ping", b"p")), ("server", Frame(0.2, "server", "pong", b"p"))]
BAD_JSON = [("client", "{"), ("server", error("INVALID_JSON"))]
BAD_TYPE = [("client", '{"type": "aiconform-unknown"}'), ("server", error("INVALID_REQUEST"))]
UNKNOWN_MODEL = (error("MODEL_NOT_FOUND"),)
SAME = [*ask("key_1", FIRST, TOKEN, DONE), *ask("key_2", FIRST, TOKEN, DONE)]


def conversation(
    first: Any = (FIRST, TOKEN, DONE), bad: Any = (*BAD_JSON, *BAD_TYPE), again: Any = (FIRST, TOKEN, DONE),
    model: Any = UNKNOWN_MODEL, keys: Any = SAME, ping: Any = PING, **more: Any,
) -> Probed:  # fmt: skip
    spoken = [*ask("first", *first), *bad, *ask("again", *again), *ask("model", *model), *keys, *ping]
    twin = stream(
        event(FIRST, "metadata"), event(TOKEN), event(DONE, "done"), b"data: [DONE]\n\n", role="twin"
    )
    return gathered("socket_talk", talk("talk", *spoken, **more), twin)


def refused(role: str, status: int, code: str) -> Reading:
    body = {"error": {"code": code, "message": "No.", "details": {}}}
    return answer(body, status=status, role=role, operation="chat_socket")


def refusals(*changed: Reading, origins: Any = ()) -> Probed:
    honest = [
        refused("no_key", 401, "UNAUTHENTICATED"), refused("wrong_key", 401, "UNAUTHENTICATED"),
        refused("subprotocol", 400, "INVALID_REQUEST"), refused("origin", 403, "ORIGIN_NOT_ALLOWED"),
    ]  # fmt: skip
    roles = {r.role for r in changed}
    notes = {"origins": None if origins is None else list(origins)}
    return gathered("socket_refusals", *[r for r in honest if r.role not in roles], *changed, notes=notes)


def big(code: int | None = 1009) -> Probed:
    return gathered("socket_too_big", talk("too_big", ("client", "xxx"), close=code))


def cancel(*after: Any, before: int = 3, step: float = 0.01) -> Probed:
    spoken = [*ask("long", FIRST, *([TOKEN] * before)), ("client", {"type": "cancel", "message_id": "long"})]
    return gathered("socket_cancel", talk("cancel", *spoken, *(("server", e) for e in after), step=step))


def limited(*events: Any) -> Probed:
    return gathered("limit_burst", talk("socket", *(part for e in events for part in ask("m", e))))


LIMIT = error("RATE_LIMITED", retry_after_seconds=3)
HEARTBEAT = {"type": "heartbeat"}
GOOD: list[tuple[Any, ...]] = [
    (ws.test_an_unknown_caller_is_refused_before_the_upgrade, refusals()),
    (ws.test_a_subprotocol_is_agreed_or_refused, conversation(), refusals()),
    (ws.test_events_are_those_of_the_stream, conversation()),
    (
        ws.test_events_are_those_of_the_stream,
        conversation(first=(HEARTBEAT, {**FIRST, "reply_to": "m"}, TOKEN, TOKEN, {**DONE, "x": 1})),
    ),
    (ws.test_a_bad_message_is_an_error_and_not_the_end, conversation()),
    (ws.test_close_codes_say_why, conversation(), big()),
    (ws.test_close_codes_say_why, conversation(), gathered("socket_too_big")),
    (ws.test_a_foreign_page_is_refused_before_the_upgrade, refusals()),
    (ws.test_a_ping_is_answered, conversation()),
    (ws.test_cancel_stops_the_answer, cancel(CANCELLED)),
    (ws.test_cancel_stops_the_answer, cancel(TOKEN, TOKEN, CANCELLED)),
    (ws.test_limits_hold_on_a_socket, limited(DONE, LIMIT)),
    (ws.test_a_key_is_executed_once_on_a_socket, conversation()),
    (ws.test_errors_have_the_codes_of_http, conversation()),
    (ws.test_errors_have_the_codes_of_http, conversation(model=(HEARTBEAT, error("MODEL_NOT_FOUND")))),
]
OTHER = {**DONE, "id": "chat_2"}
BAD: dict[str, tuple[Any, ...]] = {
    "101 without a key": (ws.test_an_unknown_caller_is_refused_before_the_upgrade, refusals(talk("no_key"))),
    "403 without a key": (ws.test_an_unknown_caller_is_refused_before_the_upgrade, refusals(refused("wrong_key", 403, "FORBIDDEN"))),
    "another subprotocol": (ws.test_a_subprotocol_is_agreed_or_refused, conversation(subprotocol="mine"), refusals()),
    "any subprotocol": (ws.test_a_subprotocol_is_agreed_or_refused, conversation(), refusals(talk("subprotocol"))),
    "no done": (ws.test_events_are_those_of_the_stream, conversation(first=(FIRST, TOKEN))),
    "another schema": (ws.test_events_are_those_of_the_stream, conversation(first=(FIRST, {"type": "delta", "text": "one"}, DONE))),
    "invalid event": (ws.test_events_are_those_of_the_stream, conversation(first=(FIRST, {**TOKEN, "token": 7}, DONE))),
    "no JSON": (ws.test_events_are_those_of_the_stream, conversation(first=(FIRST, "[DONE]"))),
    "binary frames": (ws.test_events_are_those_of_the_stream, conversation(first=(Frame(0.0, "server", "binary", json.dumps(FIRST).encode()),))),
    "no answer": (ws.test_events_are_those_of_the_stream, conversation(first=())),
    "wrong code": (ws.test_a_bad_message_is_an_error_and_not_the_end, conversation(bad=(("client", "{"), ("server", error("INTERNAL")), *BAD_TYPE))),
    "silence": (ws.test_a_bad_message_is_an_error_and_not_the_end, conversation(bad=(*BAD_JSON, BAD_TYPE[0]))),
    "unusable afterwards": (ws.test_a_bad_message_is_an_error_and_not_the_end, conversation(again=(FIRST,))),
    "close without a code": (ws.test_close_codes_say_why, conversation(close=None), big()),
    "too big is taken": (ws.test_close_codes_say_why, conversation(), big(None)),
    "too big is 1011": (ws.test_close_codes_say_why, conversation(), big(1011)),
    "foreign pages": (ws.test_a_foreign_page_is_refused_before_the_upgrade, refusals(talk("origin"))),
    "no pong": (ws.test_a_ping_is_answered, conversation(ping=PING[:1])),
    "another pong": (ws.test_a_ping_is_answered, conversation(ping=(PING[0], ("server", Frame(0.2, "server", "pong", b"x"))))),
    "cancel is ignored": (ws.test_cancel_stops_the_answer, cancel(*[TOKEN] * 9, DONE, step=0.3)),
    "cancel is not confirmed": (ws.test_cancel_stops_the_answer, cancel()),
    "tokens go on": (ws.test_cancel_stops_the_answer, cancel(*[TOKEN] * 9, CANCELLED, step=0.3)),
    "tokens after cancelled": (ws.test_cancel_stops_the_answer, cancel(CANCELLED, TOKEN)),
    "late": (ws.test_cancel_stops_the_answer, cancel(CANCELLED, step=3.0)),
    "no limit": (ws.test_limits_hold_on_a_socket, limited(DONE, DONE)),
    "another code": (ws.test_limits_hold_on_a_socket, limited(error("INTERNAL"))),
    "no wait": (ws.test_limits_hold_on_a_socket, limited(error("RATE_LIMITED"))),
    "executed twice": (ws.test_a_key_is_executed_once_on_a_socket, conversation(keys=(*ask("key_1", DONE), *ask("key_2", OTHER)))),
    "own codes": (ws.test_errors_have_the_codes_of_http, conversation(model=(error("NOPE"),))),
}  # fmt: skip


@pytest.mark.parametrize("case", GOOD)
def test_an_honest_server_passes(case: Any) -> None:
    check, *evidence = case
    assert check(*evidence)


@pytest.mark.parametrize("case", BAD.values(), ids=list(BAD))
def test_a_defect_is_a_violation(case: Any) -> None:
    check, *evidence = case
    with pytest.raises(Violation):
        check(*evidence)


@pytest.mark.parametrize(
    ("check", "evidence", "signal"),
    [
        (ws.test_a_foreign_page_is_refused_before_the_upgrade, refusals(origins=["*"]), NotTested),
        (ws.test_a_foreign_page_is_refused_before_the_upgrade, refusals(origins=None), NotTested),
        (ws.test_cancel_stops_the_answer, cancel(TOKEN, DONE), Inconclusive),
        (
            ws.test_cancel_stops_the_answer,
            gathered("socket_cancel", talk("cancel", *ask("long", DONE))),
            Inconclusive,
        ),
        (ws.test_a_ping_is_answered, conversation(ping=()), Inconclusive),
        (
            ws.test_limits_hold_on_a_socket,
            gathered("limit_burst", refused("socket", 429, "RATE_LIMITED")),
            Inconclusive,
        ),
        (ws.test_limits_hold_on_a_socket, gathered("limit_burst"), NotTested),
        (ws.test_a_key_is_executed_once_on_a_socket, conversation(keys=()), Inconclusive),
        (ws.test_errors_have_the_codes_of_http, conversation(model=()), Inconclusive),
        (ws.test_a_bad_message_is_an_error_and_not_the_end, conversation(bad=()), Inconclusive),
    ],
)
def test_what_was_not_seen_is_not_judged(check: Any, evidence: Probed, signal: type[Exception]) -> None:
    with pytest.raises(signal):
        check(evidence)


def test_a_message_in_several_frames_is_one() -> None:
    halves = [
        Frame(0.0, "server", "text", b'{"type":', False),
        Frame(0.1, "server", "text", b' "done"}', True),
    ]
    reading = talk("talk", *(("server", h) for h in halves))
    assert [m.type for m in ws.from_server(reading)] == ["done"]
