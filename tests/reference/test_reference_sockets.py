"""Row "WebSocket": the events of a stream, spoken with a client that is not ours."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from described import check_events
from reference_server import KEY, LIMITED_KEY, ReferenceServer
from sqlalchemy import select
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from reference_impl.settings import Settings
from reference_impl.store.tables import SESSIONS

SUBPROTOCOL = "enterprise-ai.v1"


def opened(
    server: ReferenceServer, key: str | None = KEY, subprotocol: str | None = SUBPROTOCOL, **headers: str
) -> ClientConnection:
    own = {"Authorization": f"Bearer {key}"} if key else {}
    offers: Any = [subprotocol] if subprotocol else None
    url = server.url.replace("http", "ws", 1) + "/chat/ws"
    return connect(url, additional_headers={**own, **headers}, subprotocols=offers, proxy=None)


def ask(socket: ClientConnection, text: str, message_id: str = "m", **request: Any) -> None:
    messages = [{"role": "user", "content": text}]
    socket.send(
        json.dumps({"type": "chat", "message_id": message_id, "request": {"messages": messages, **request}})
    )


def heard(socket: ClientConnection) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(socket.recv(timeout=10))
    return event


def answer(socket: ClientConnection) -> list[dict[str, Any]]:
    events = [heard(socket)]
    while events[-1]["type"] not in ("done", "error", "cancelled"):
        events.append(heard(socket))
    return events


@pytest.fixture(scope="module")
def slow() -> Iterator[ReferenceServer]:
    """A server whose sockets may be idle for a moment only, and whose model takes its time."""
    with ReferenceServer(
        Settings(token_ms=20, socket_idle_s=0.3, cors_origin="https://app.example")
    ) as running:
        yield running


def test_events_are_those_of_the_stream(reference: ReferenceServer, client: httpx.Client) -> None:
    with opened(reference) as socket:
        assert socket.subprotocol == SUBPROTOCOL
        assert socket.response is not None
        assert socket.response.headers["x-request-id"].startswith("req_")
        ask(socket, "Repeat exactly: one two")
        events = answer(socket)
    body = {"messages": [{"role": "user", "content": "Repeat exactly: one two"}], "stream": True}
    lines = client.post("/chat", json=body, headers={"Accept": "text/event-stream"}).text.splitlines()
    streamed = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    assert [set(e) - {"reply_to"} for e in events] == [set(e) for e in streamed]
    assert all(e.pop("reply_to") == "m" for e in events)
    check_events(events)
    assert events[-1]["text"] == "one two"


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({"key": None}, 401, "UNAUTHENTICATED"),
        ({"key": "sk-wrong"}, 401, "UNAUTHENTICATED"),
        ({"subprotocol": "other.v1"}, 400, "INVALID_REQUEST"),
        ({"subprotocol": None}, 400, "INVALID_REQUEST"),
        ({"API-Version": "2000-01-01"}, 400, "UNSUPPORTED_API_VERSION"),
    ],
)
def test_an_upgrade_is_refused_in_http(
    reference: ReferenceServer, given: dict[str, Any], status: int, code: str
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        opened(reference, **given)
    response = refused.value.response
    assert response.status_code == status
    assert json.loads(response.body or b"")["error"]["code"] == code
    assert "x-request-id" in response.headers
    assert ("www-authenticate" in response.headers) == (status == 401)


def test_foreign_pages_are_refused_and_own_ones_are_not(slow: ReferenceServer) -> None:
    with pytest.raises(InvalidStatus) as refused:
        opened(slow, Origin="https://evil.example")
    assert refused.value.response.status_code == 403
    opened(slow, Origin="https://app.example").close()


def test_a_plain_get_is_told_to_upgrade(client: httpx.Client) -> None:
    refused = client.get("/chat/ws")
    assert refused.status_code == 426
    assert refused.headers["upgrade"] == "websocket"
    assert refused.json()["error"]["code"] == "UPGRADE_REQUIRED"


def test_other_paths_are_no_sockets(reference: ReferenceServer) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(reference.url.replace("http", "ws", 1) + "/chat", proxy=None)
    assert refused.value.response.status_code == 404


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "INVALID_JSON"),
        ('{"a": 1, "a": 2}', "INVALID_JSON"),
        ("[]", "INVALID_REQUEST"),
        ('{"type": "sing"}', "INVALID_REQUEST"),
        ('{"type": "chat"}', "INVALID_REQUEST"),
        ('{"type": "chat", "request": {"messages": []}}', "INVALID_REQUEST"),
        (
            '{"type": "chat", "request": {"messages": [{"role": "user", "content": "x"}], "deferred": true}}',
            "INVALID_REQUEST",
        ),
        ('{"type": "cancel", "message_id": "nobody"}', "INVALID_REQUEST"),
        (
            '{"type": "chat", "request": {"model": "nope", "messages": [{"role": "user", "content": "x"}]}}',
            "MODEL_NOT_FOUND",
        ),
        (b"\x00\x01", "INVALID_REQUEST"),
    ],
)
def test_a_bad_message_leaves_the_connection_open(
    reference: ReferenceServer, message: str | bytes, code: str
) -> None:
    with opened(reference) as socket:
        socket.send(message)
        event = heard(socket)
        assert (event["type"], event["error"]["code"]) == ("error", code)
        check_events([event])
        socket.send('{"type": "ping", "message_id": "p"}')
        assert heard(socket) == {"type": "pong", "reply_to": "p"}


def test_who_only_talks_nonsense_is_cut_off(reference: ReferenceServer) -> None:
    with opened(reference) as socket:
        for _ in range(20):
            socket.send("?")
        assert closing(socket) == 1008


def closing(socket: ClientConnection) -> int:
    """The code with which the server closes."""
    try:
        while True:
            socket.recv(timeout=10)
    except ConnectionClosed as closed:
        assert closed.rcvd is not None
        return closed.rcvd.code


def test_too_much_at_once_is_1009(reference: ReferenceServer) -> None:
    with opened(reference) as socket:
        socket.send("x" * (Settings().max_body_bytes + 1))
        assert closing(socket) == 1009


def test_idle_is_4408(slow: ReferenceServer) -> None:
    with opened(slow) as socket:
        assert closing(socket) == 4408


def test_idle_is_counted_from_the_last_answer(slow: ReferenceServer) -> None:
    with opened(slow) as socket:
        ask(socket, "Repeat exactly: " + "word " * 25)
        ended = answer(socket)[-1]
        since = time.monotonic()
        assert ended["type"] == "done"
        assert closing(socket) == 4408
        assert time.monotonic() - since > 0.25


def test_a_name_is_free_once_its_answer_has_ended(reference: ReferenceServer) -> None:
    with opened(reference) as socket:
        for _ in range(30):
            ask(socket, "Repeat exactly: a")
            assert answer(socket)[-1]["type"] == "done"


@pytest.mark.parametrize("key", [{}, {"idempotency_key": "socket-cancelled"}])
def test_cancel_stops_the_generation(slow: ReferenceServer, key: dict[str, str]) -> None:
    gauge = slow.app.services.engine.gauge
    with opened(slow) as socket:
        ask(socket, "Repeat exactly: " + "word " * 200, **key)
        assert [heard(socket)["type"] for _ in range(4)] == ["metadata", "token", "token", "token"]
        socket.send('{"type": "cancel", "message_id": "m"}')
        last = answer(socket)[-1]
        assert last["type"] == "cancelled"
        assert 3 <= last["metadata"]["tokens_used"]["output"] < 20
        slow.eventually(lambda: gauge.active == 0)
        generated = gauge.generated
        time.sleep(0.1)
        assert gauge.generated == generated
    assert slow.app.services.runs.active == 0


def test_leaving_stops_the_generation(slow: ReferenceServer) -> None:
    with opened(slow) as socket:
        ask(socket, "Repeat exactly: " + "word " * 200)
        heard(socket)
    slow.eventually(lambda: slow.app.services.engine.gauge.active == 0)


def test_several_answers_at_a_time(slow: ReferenceServer) -> None:
    with opened(slow) as socket:
        for name in ("a", "b"):
            ask(socket, f"Repeat exactly: {name} {name} {name}", message_id=name)
        events = [*answer(socket), *answer(socket)]
    for name in ("a", "b"):
        own = [e for e in events if e["reply_to"] == name]
        assert own[-1]["text"] == f"{name} {name} {name}"
        assert [e["sequence_number"] for e in own] == list(range(len(own)))
    first_done = next(n for n, e in enumerate(events) if e["type"] == "done")
    assert {e["reply_to"] for e in events[:first_done]} == {"a", "b"}


def test_a_key_is_shared_with_http(reference: ReferenceServer, client: httpx.Client) -> None:
    key = uuid.uuid4().hex
    with opened(reference) as socket:
        ask(socket, "Tell me a story", idempotency_key=key)
        first = answer(socket)[-1]
        ask(socket, "Tell me a story", idempotency_key=key)
        assert answer(socket)[-1] == first
        ask(socket, "Tell me another story", idempotency_key=key)
        assert answer(socket)[-1]["error"]["code"] == "IDEMPOTENCY_KEY_REUSED"
    body = {
        "messages": [{"role": "user", "content": "Tell me a story"}],
        "stream": True,
        "idempotency_key": key,
    }
    again = client.post("/chat", json=body, headers={"Accept": "text/event-stream"})
    assert again.headers["idempotency-replayed"] == "true"
    assert first["id"] in again.text


def test_messages_count_as_requests() -> None:
    with ReferenceServer(Settings()) as server, opened(server, LIMITED_KEY) as socket:
        codes = []
        for _ in range(6):
            ask(socket, "Say yes.", max_output_tokens=1)
            last = answer(socket)[-1]
            codes.append(last["error"]["code"] if last["type"] == "error" else "ok")
    assert codes == ["ok"] * 4 + ["RATE_LIMITED"] * 2  # the upgrade was the first of five


def test_a_fault_in_the_middle_is_an_error_event(reference: ReferenceServer) -> None:
    with opened(reference) as socket:
        ask(socket, "Tell me a story", sandbox={"scenario": "fault_midstream"})
        events = answer(socket)
        assert events[-1]["error"]["code"] == "UPSTREAM_ERROR"
        assert "token" in {e["type"] for e in events}


def test_a_server_that_stops_says_so() -> None:
    with ReferenceServer(Settings(shutdown_grace_s=0.1)) as server:
        socket = opened(server)
    assert closing(socket) in (1001, 1012)


def test_a_client_that_leaves_at_once_leaves_its_session_free() -> None:
    with ReferenceServer(Settings(token_ms=5)) as server, server.client() as client:
        session = client.post("/sessions", json={}).json()["session_id"]

        async def let_go() -> None:
            async with asyncio.timeout(10):
                while True:
                    async with server.app.services.database.transaction() as connection:
                        if (await connection.execute(select(SESSIONS.c.lease))).scalar_one() is None:
                            return
                    await asyncio.sleep(0.005)

        for _ in range(20):
            with opened(server) as socket:
                ask(socket, "Repeat exactly: one two three four", session_id=session)
            server.ask(let_go)
        assert client.get(f"/sessions/{session}").status_code == 200
