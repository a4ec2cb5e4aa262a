"""WS: the same events as a stream, on a connection that both sides may speak on."""

from __future__ import annotations

from functools import cache
from typing import Any

from conformance.checks.described import Description
from conformance.checks.refusals import brief, decisive
from conformance.checks.socket_evidence import (
    Said,
    after,
    before_the_client_speaks,
    close_code,
    conversation,
    from_server,
    said,
)
from conformance.checks.stream_evidence import objects
from conformance.reading import Probed
from conformance.registry import check
from conformance.verdict import Inconclusive, NotTested, expect
from spec.document import load_document

CANCEL_WITHIN = 2.0
"""Seconds from our `cancel` in which tokens may still arrive that were on their way, and by which the answer has
ended. Network and a busy machine need some; an answer that goes on for longer was not stopped."""

BAD_MESSAGES = ((b"{", "INVALID_JSON"), (b'{"type": "aiconform-unknown"}', "INVALID_REQUEST"))
"""What the probe sends, and the code that it deserves."""

WINDOW = 4.0
"""Seconds: a limit whose window is shorter may have been kept by a conversation that took longer."""

ENDINGS = ("done", "error", "cancelled")


@check("WS-01")
def test_an_unknown_caller_is_refused_before_the_upgrade(socket_refusals: Probed) -> str:
    """Without a key and with a wrong one: 401 with the envelope, no 101."""
    for role in ("no_key", "wrong_key"):
        reading = decisive(socket_refusals[role])
        expect(
            reading.status == 401 and reading.error.code == "UNAUTHENTICATED",
            expected="401 UNAUTHENTICATED before any upgrade",
            seen=brief(reading),
            at=reading,
        )
    return "401 without and with a wrong key"


@check("WS-02")
def test_a_subprotocol_is_agreed_or_refused(socket_talk: Probed, socket_refusals: Probed) -> str:
    """The offered one is selected; an unknown one is refused with 400 or 426."""
    reading = conversation(socket_talk, "talk")
    offered = [o.strip() for o in (reading.exchange.sent_header("sec-websocket-protocol") or "").split(",")]
    chosen = reading.header("sec-websocket-protocol")
    expect(
        chosen in offered,
        expected=f"one of the offered subprotocols, {', '.join(offered)}",
        seen=chosen or "none",
        at=reading,
        where="header Sec-WebSocket-Protocol",
    )
    unknown = decisive(socket_refusals["subprotocol"])
    expect(
        unknown.status in (400, 426),
        expected="400 or 426 for an unknown subprotocol",
        seen=brief(unknown),
        at=unknown,
    )
    return f"{chosen}; an unknown one is refused with {unknown.status}"


@check("WS-03")
def test_events_are_those_of_the_stream(socket_talk: Probed) -> str:
    """Text frames, one event each, with at least the fields of the same event in a stream, ending with `done`."""
    reading = conversation(socket_talk, "talk")
    twin = socket_talk["twin"]
    if not twin.ok or not twin.exchange.is_sse:
        raise Inconclusive(f"no stream to compare with: {brief(twin)}")
    events = after(reading, "first")
    expect(events, expected="events that answer the first message", seen="none", at=reading)
    for message in events:
        good = message.opcode == "text" and isinstance(message.value, dict)
        expect(
            good,
            expected="one JSON object in a text frame",
            seen=message.raw[:80],
            at=reading,
            where=_frame(message),
        )
        errors = _contract().errors("/components/schemas/SocketEvent", message.value)
        expect(
            not errors,
            expected="an event of the contract",
            seen=errors[0][1] if errors else "",
            at=reading,
            where=_frame(message),
        )
    kinds = _kinds([m.value for m in events])
    streamed = [value for _, value in objects(twin)]
    expect(
        kinds == _kinds(streamed),
        expected=f"{' '.join(_kinds(streamed))}, as in the stream",
        seen=" ".join(kinds),
        at=reading,
    )
    for kind in kinds:
        # Only what the contract describes: a field of their own may be on one transport only.
        wanted = set(next(v for v in streamed if str(v.get("type")) == kind)) & _described(kind)
        given = next(m for m in events if m.type == kind)
        missing = sorted(wanted - set(given.value))
        expect(
            not missing,
            expected=f"the fields of a streamed {kind} event",
            seen=f"without {', '.join(missing)}",
            at=reading,
            where=_frame(given),
        )
    return f"{len(events)} events: {' '.join(kinds)}"


@check("WS-04")
def test_a_bad_message_is_an_error_and_not_the_end(socket_talk: Probed) -> str:
    """Broken JSON and an unknown type get an `error` event with the contract's code; the next answer is whole."""
    reading = conversation(socket_talk, "talk")
    messages = said(reading)
    codes = []
    for text, wanted in BAD_MESSAGES:
        sent = next((n for n, m in enumerate(messages) if m.sender == "client" and m.raw == text), None)
        if sent is None:
            raise Inconclusive("the connection was gone before the bad messages were sent")
        answers = before_the_client_speaks(messages[sent + 1 :])
        code = _first_code(answers)
        expect(
            code == wanted,
            expected=f"an error event {wanted}",
            seen=code or ", ".join(m.type for m in answers) or "no answer",
            at=reading,
            where=_frame(messages[sent]),
        )
        codes.append(code)
    again = [m.type for m in after(reading, "again")]
    expect(
        "done" in again,
        expected="a whole answer on the same connection afterwards",
        seen=", ".join(again) or "no answer",
        at=reading,
    )
    return ", ".join(map(str, codes))


@check("WS-05")
def test_close_codes_say_why(socket_talk: Probed, socket_too_big: Probed) -> str:
    """1000 answers our normal close; a message that is too big is closed with 1009."""
    reading = conversation(socket_talk, "talk")
    code = close_code(reading)
    expect(
        code == 1000, expected="close code 1000 in answer to 1000", seen=code or "no close frame", at=reading
    )
    if socket_too_big.get("too_big") is None:
        return "1000; the limit of a message is not declared, or too large to try"
    big = conversation(socket_too_big, "too_big")
    code = close_code(big)
    expect(
        code == 1009,
        expected="close code 1009 for a message that is too big",
        seen=code or "no close frame",
        at=big,
    )
    return "1000 and 1009"


@check("WS-06")
def test_a_foreign_page_is_refused_before_the_upgrade(socket_refusals: Probed) -> str:
    """An Origin that is not allowed: 403."""
    origins = socket_refusals.notes.get("origins")
    if not isinstance(origins, list):
        raise NotTested("the capabilities do not tell which origins are allowed")
    if "*" in origins:
        raise NotTested("every origin is allowed, as the capabilities say")
    reading = decisive(socket_refusals["origin"])
    expect(
        reading.status == 403,
        expected="403 for an origin that is not allowed",
        seen=brief(reading),
        at=reading,
    )
    return f"403; allowed: {', '.join(map(str, origins)) or 'none'}"


@check("WS-07")
def test_a_ping_is_answered(socket_talk: Probed) -> str:
    """A pong with the payload of our ping within 10 s."""
    reading = conversation(socket_talk, "talk")
    frames = reading.exchange.frames
    ping = next((f for f in frames if f.opcode == "ping" and f.sender == "client"), None)
    if ping is None:
        raise Inconclusive("the connection was gone before a ping was sent")
    pong = next((f for f in frames if f.opcode == "pong" and f.sender == "server"), None)
    expect(pong is not None, expected="a pong within 10 s", seen="none", at=reading)
    assert pong is not None
    expect(pong.payload == ping.payload, expected="the payload of the ping", seen=pong.payload, at=reading)
    return f"after {pong.t - ping.t:.3f} s"


@check("WS-08")
def test_cancel_stops_the_answer(socket_cancel: Probed) -> str:
    """After `cancel` no token but those on their way, then `cancelled`, then nothing."""
    reading = conversation(socket_cancel, "cancel")
    messages = said(reading)
    at = next((n for n, m in enumerate(messages) if m.sender == "client" and m.type == "cancel"), None)
    if at is None or any(m.type in ENDINGS for m in messages[:at]):
        raise Inconclusive("the answer had ended before it was cancelled")
    within = CANCEL_WITHIN + reading.exchange.lag
    rest = [m for m in messages[at + 1 :] if m.sender == "server"]
    last = next((m for m in rest if m.type in ENDINGS), None)
    if last is not None and last.type == "done" and last.t - messages[at].t <= within:
        raise Inconclusive("the answer ended while it was cancelled")
    seen = last.type if last else "no end"
    expect(seen == "cancelled", expected="a cancelled event", seen=seen, at=reading)
    assert last is not None
    waited = last.t - messages[at].t
    expect(waited <= within, expected=f"cancelled within {within:.1f} s", seen=f"{waited:.2f} s", at=reading)
    late = [m for m in rest if m.index > last.index and m.type in ("token", *ENDINGS)]
    expect(not late, expected="nothing of the answer after cancelled", seen=f"{len(late)} events", at=reading)
    tokens = sum(m.type == "token" for m in rest)
    return f"{tokens} tokens after cancel, cancelled after {waited:.3f} s"


@check("WS-09")
def test_limits_hold_on_a_socket(limit_burst: Probed) -> str:
    """Messages count as requests: one too many gets an `error` event with a limit's code, and how long to wait."""
    if limit_burst.get("socket") is None and limit_burst.notes.get("principal") == "main":
        raise NotTested("needs a second credential: --limited-key")
    reading = conversation(limit_burst, "socket")
    errors = [m for m in from_server(reading) if m.type == "error"]
    sent = [m for m in said(reading) if m.sender == "client"]
    if not errors and len(sent) > 1 and sent[-1].t - sent[0].t > WINDOW:
        raise Inconclusive(
            f"{len(sent)} messages took {sent[-1].t - sent[0].t:.1f} s: a new window may have begun meanwhile"
        )
    expect(errors, expected="an error event of a limit", seen=f"{len(sent)} messages answered", at=reading)
    code = _code(errors[0])
    expect(
        code in ("RATE_LIMITED", "TOKEN_LIMIT_EXCEEDED"),
        expected="RATE_LIMITED",
        seen=code,
        at=reading,
        where=_frame(errors[0]),
    )
    details = errors[0].value["error"].get("details")
    wait = details.get("retry_after_seconds") if isinstance(details, dict) else None
    expect(
        isinstance(wait, int) and wait >= 1,
        expected="details.retry_after_seconds",
        seen=wait,
        at=reading,
        where=_frame(errors[0]),
    )
    return f"{code} after {len(sent)} messages"


@check("WS-10")
def test_a_key_is_executed_once_on_a_socket(socket_talk: Probed) -> str:
    """Two messages with one idempotency key get one answer: the same id, the same text."""
    reading = conversation(socket_talk, "talk")
    ids = []
    for name in ("key_1", "key_2"):
        done = next((m for m in after(reading, name) if m.type == "done"), None)
        if done is None:
            raise Inconclusive(f"the message {name} got no whole answer")
        ids.append((done.value.get("id"), done.value.get("text")))
    expect(ids[0] == ids[1], expected=f"the stored answer {ids[0][0]}", seen=str(ids[1][0]), at=reading)
    return f"both {ids[0][0]}"


@check("WS-11")
def test_errors_have_the_codes_of_http(socket_talk: Probed) -> str:
    """An unknown model: an `error` event with MODEL_NOT_FOUND."""
    reading = conversation(socket_talk, "talk")
    answers = after(reading, "model")
    if not answers:
        raise Inconclusive("the message with the unknown model was not answered")
    code = _first_code(answers)
    expect(
        code == "MODEL_NOT_FOUND",
        expected="an error event MODEL_NOT_FOUND",
        seen=code or ", ".join(m.type for m in answers),
        at=reading,
        where=_frame(answers[0]),
    )
    return "MODEL_NOT_FOUND"


@cache
def _contract() -> Description:
    return Description(load_document())


@cache
def _described(kind: str) -> frozenset[str]:
    """The fields that the contract describes for an event of this type."""
    schemas = load_document()["components"]["schemas"]
    found = (schemas[one["$ref"].rpartition("/")[2]]["properties"] for one in schemas["StreamEvent"]["oneOf"])
    return frozenset(name for fields in found if fields["type"].get("const") == kind for name in fields)


def _first_code(messages: list[Said]) -> str | None:
    """The code of the first error event; events that nobody knows may come before it."""
    return next((code for m in messages if (code := _code(m)) is not None), None)


def _code(message: Said | None) -> str | None:
    """The code of an error event."""
    error = message.value.get("error") if message is not None and isinstance(message.value, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) and message is not None and message.type == "error" else None


def _kinds(events: list[dict[str, Any]]) -> list[str]:
    """The types in order, of several in a row only one. Types that nobody knows may come anywhere."""
    known = ("metadata", "token", "done", "error", "cancelled")
    found: list[str] = []
    for event in events:
        kind = str(event.get("type"))
        if kind in known and (not found or found[-1] != kind):
            found.append(kind)
    return found


def _frame(message: Said) -> str:
    return f"frame {message.index}"
