"""Deferred turns: posted now, streamed on the first GET, kept for every later one."""

from __future__ import annotations

from typing import Any

import httpx
from reference_server import OTHER_KEY, ReferenceServer, chat, error, events


def deferred(client: httpx.Client, text: str = "Repeat exactly: a b c", **fields: Any) -> dict[str, Any]:
    accepted = client.post("/chat", json=chat(text, deferred=True, **fields))
    assert accepted.status_code == 202
    body: dict[str, Any] = accepted.json()
    assert accepted.headers["location"] == body["stream_url"]
    return body


def test_a_turn_is_accepted_and_nothing_has_run(client: httpx.Client) -> None:
    turn = deferred(client)
    assert turn["status"] == "queued"
    assert turn["stream_url"] == f"/api/v1/chat/stream?turn_id={turn['turn_id']}"
    assert turn["metadata"]["tokens_used"]["total"] == 0


def test_the_first_get_generates_and_the_next_replays(
    reference: ReferenceServer, client: httpx.Client
) -> None:
    turn = deferred(client)
    before = reference.app.services.engine.gauge.generated
    first, again = (client.get("/chat/stream", params={"turn_id": turn["turn_id"]}) for _ in range(2))
    assert first.content == again.content
    assert events(first.text)[-1]["text"] == "a b c"
    assert first.text.endswith("data: [DONE]\n\n")
    assert reference.app.services.engine.gauge.generated - before == 3


def test_a_cut_turn_is_complete_for_the_next_reader(reference: ReferenceServer, client: httpx.Client) -> None:
    turn = deferred(client, sandbox={"scenario": "slow_tokens", "delay_ms": 50})
    before = reference.app.services.engine.gauge.generated
    with client.stream("GET", turn["stream_url"].removeprefix("/api/v1")) as cut:
        next(cut.iter_raw())
    later = client.get("/chat/stream", params={"turn_id": turn["turn_id"]})
    assert events(later.text)[-1]["text"] == "a b c"
    assert reference.app.services.engine.gauge.generated - before == 3


def test_a_failed_turn_can_be_tried_again(client: httpx.Client) -> None:
    turn = deferred(client, "Tell me something", sandbox={"scenario": "fault_midstream"})
    first, again = (client.get("/chat/stream", params={"turn_id": turn["turn_id"]}) for _ in range(2))
    assert events(first.text)[-1]["error"]["code"] == "UPSTREAM_ERROR"
    assert events(again.text)[0]["id"] != events(first.text)[0]["id"]


def test_an_unknown_turn_is_not_found(client: httpx.Client) -> None:
    error(client.get("/chat/stream", params={"turn_id": "turn_nobody"}), 404, "TURN_NOT_FOUND")


def test_a_turn_of_somebody_else_is_not_found(reference: ReferenceServer, client: httpx.Client) -> None:
    turn = deferred(client)
    with reference.client(OTHER_KEY) as other:
        error(other.get("/chat/stream", params={"turn_id": turn["turn_id"]}), 404, "TURN_NOT_FOUND")


def test_a_turn_is_checked_before_it_is_accepted(client: httpx.Client) -> None:
    error(client.post("/chat", json=chat(deferred=True, model="nobody")), 404, "MODEL_NOT_FOUND")


def test_a_turn_only_streams(client: httpx.Client) -> None:
    turn = deferred(client)
    refused = client.get(
        "/chat/stream", params={"turn_id": turn["turn_id"]}, headers={"Accept": "application/json"}
    )
    error(refused, 406, "NOT_ACCEPTABLE")
