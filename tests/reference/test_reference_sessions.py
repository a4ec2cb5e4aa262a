"""Context: sessions that remember, for their owner only, and windows that are never cut in silence."""

from __future__ import annotations

import asyncio
import concurrent.futures
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from reference_server import OTHER_KEY, ReferenceServer, chat, error, events

from reference_impl.engine.base import Message
from reference_impl.engine.tokens import count_messages
from reference_impl.policies.context import HonestContext, Wish
from reference_impl.policies.errors import ContractError
from reference_impl.settings import Settings


def session(client: httpx.Client, **fields: Any) -> str:
    created = client.post("/sessions", json=fields)
    assert created.status_code == 201
    session_id: str = created.json()["session_id"]
    assert created.headers["location"].endswith(f"/sessions/{session_id}")
    return session_id


def history(client: httpx.Client, session_id: str) -> list[tuple[str, str]]:
    return [(m["role"], m["content"]) for m in client.get(f"/sessions/{session_id}").json()["messages"]]


def test_a_session_remembers_plain_streamed_and_deferred_turns(client: httpx.Client) -> None:
    own = session(client)
    assert history(client, own) == []
    client.post("/chat", json=chat("Repeat exactly: one two", session_id=own))
    stream = client.post("/chat", json=chat("Repeat exactly: three", session_id=own, stream=True))
    done = events(stream.text)[-1]
    # Two messages of history, each with its overhead, and the new one.
    assert done["metadata"]["tokens_used"]["input"] == (3 + 5) + (3 + 2) + (3 + 4)
    posted = client.post("/chat", json=chat("Repeat exactly: four", session_id=own, deferred=True))
    assert len(history(client, own)) == 4
    for _ in range(2):
        client.get("/chat/stream", params={"turn_id": posted.json()["turn_id"]})
    assert history(client, own) == [
        ("user", "Repeat exactly: one two"),
        ("assistant", "one two"),
        ("user", "Repeat exactly: three"),
        ("assistant", "three"),
        ("user", "Repeat exactly: four"),
        ("assistant", "four"),
    ]


def test_a_replayed_turn_is_remembered_once(client: httpx.Client) -> None:
    own = session(client)
    for headers in ({"Idempotency-Key": f"{own}-1"}, {"Idempotency-Key": f"{own}-1"}):
        assert client.post("/chat", json=chat(session_id=own), headers=headers).status_code == 200
    assert len(history(client, own)) == 2
    assert client.delete(f"/sessions/{own}").status_code == 204
    replay = client.post("/chat", json=chat(session_id=own), headers={"Idempotency-Key": f"{own}-1"})
    assert replay.headers["idempotency-replayed"] == "true"


def test_a_session_created_twice_with_one_key_is_one(client: httpx.Client) -> None:
    key = {"Idempotency-Key": "one-session"}
    first, again = (client.post("/sessions", json={}, headers=key) for _ in range(2))
    assert first.content == again.content
    assert again.headers["idempotency-replayed"] == "true"


def test_a_failed_turn_is_not_remembered(client: httpx.Client) -> None:
    own = session(client)
    for scenario in ("overloaded", "content_filter_input", "fault_midstream"):
        refused = client.post("/chat", json=chat(session_id=own, sandbox={"scenario": scenario}))
        assert refused.status_code >= 400
    broken = client.post(
        "/chat", json=chat(session_id=own, stream=True, sandbox={"scenario": "fault_midstream"})
    )
    told = events(broken.text)[-1]
    assert told["error"]["code"] == "UPSTREAM_ERROR"
    assert told["metadata"]["tokens_used"]["output"] == 3
    assert history(client, own) == []
    assert client.post("/chat", json=chat(session_id=own)).status_code == 200


def test_nobody_else_sees_a_session(reference: ReferenceServer, client: httpx.Client) -> None:
    own = session(client)
    with reference.client(OTHER_KEY) as other:
        for answer in (
            other.get(f"/sessions/{own}"),
            other.delete(f"/sessions/{own}"),
            other.post("/chat", json=chat(session_id=own)),
            other.post("/chat", json=chat(session_id=own, stream=True)),
            other.post("/chat", json=chat(session_id=own, deferred=True)),
            other.post("/estimate", json=chat(session_id=own)),
            other.post("/count-tokens", json=chat(session_id=own)),
        ):
            error(answer, 404, "SESSION_NOT_FOUND")
    assert history(client, own) == []


def test_deletion_deletes(reference: ReferenceServer, client: httpx.Client) -> None:
    from sqlalchemy import func, select

    from reference_impl.store.tables import SESSION_MESSAGES

    own = session(client)
    client.post("/chat", json=chat("Repeat exactly: a secret", session_id=own))
    assert client.delete(f"/sessions/{own}").status_code == 204
    error(client.delete(f"/sessions/{own}"), 404, "SESSION_NOT_FOUND")
    error(client.get(f"/sessions/{own}"), 404, "SESSION_NOT_FOUND")
    error(client.post("/chat", json=chat(session_id=own)), 404, "SESSION_NOT_FOUND")

    async def rows() -> int:
        async with reference.app.services.database.transaction() as connection:
            counted = select(func.count()).where(SESSION_MESSAGES.c.session == own)
            return int((await connection.execute(counted)).scalar_one())

    assert reference.ask(rows) == 0


def test_what_has_expired_is_deleted_when_the_next_session_begins(
    reference: ReferenceServer, client: httpx.Client
) -> None:
    from sqlalchemy import select

    from reference_impl.store.tables import SESSION_MESSAGES, SESSIONS

    own = session(client, ttl_seconds=1)
    client.post("/chat", json=chat("Repeat exactly: a secret", session_id=own))
    reference.ask(lambda: asyncio.sleep(1.05))
    session(client)

    async def left() -> list[str]:
        async with reference.app.services.database.transaction() as connection:
            ids = list((await connection.execute(select(SESSIONS.c.id))).scalars())
            return ids + list((await connection.execute(select(SESSION_MESSAGES.c.session))).scalars())

    assert own not in reference.ask(left)


def test_a_session_deleted_during_a_turn_stays_deleted(
    reference: ReferenceServer, client: httpx.Client
) -> None:
    own = session(client)
    slow = chat(
        session_id=own, stream=True, sandbox={"scenario": "slow_tokens", "delay_ms": 30}, max_output_tokens=5
    )
    with client.stream("POST", "/chat", json=slow) as stream:
        lines = stream.iter_lines()
        next(lines)
        with reference.client() as second:
            assert second.delete(f"/sessions/{own}").status_code == 204
        assert list(lines)[-2:] == ["data: [DONE]", ""]
    error(client.get(f"/sessions/{own}"), 404, "SESSION_NOT_FOUND")


def test_one_turn_at_a_time(reference: ReferenceServer, client: httpx.Client) -> None:
    own = session(client)
    slow = chat(session_id=own, sandbox={"scenario": "slow_first_token", "delay_ms": 150})
    with concurrent.futures.ThreadPoolExecutor(4) as pool, reference.client() as shared:
        answers = list(pool.map(lambda _: shared.post("/chat", json=slow), range(4)))
    good = [a for a in answers if a.status_code == 200]
    for busy in (a for a in answers if a.status_code != 200):
        assert error(busy, 409, "SESSION_BUSY")["retryable"] is True
        assert busy.headers["retry-after"] == "1"
    said = history(client, own)
    assert len(said) == 2 * len(good) >= 2
    assert [role for role, _ in said] == ["user", "assistant"] * len(good)


def test_a_client_that_leaves_frees_its_session(reference: ReferenceServer, client: httpx.Client) -> None:
    own = session(client)
    slow = chat(session_id=own, stream=True, sandbox={"scenario": "slow_tokens", "delay_ms": 50})
    with client.stream("POST", "/chat", json=slow) as stream:
        next(stream.iter_lines())
    reference.eventually(lambda: reference.app.services.engine.gauge.active == 0)

    async def until_free() -> int:
        async with asyncio.timeout(5):
            while True:
                status = (
                    await asyncio.to_thread(client.post, "/chat", json=chat(session_id=own))
                ).status_code
                if status != 409:
                    return status

    assert reference.ask(until_free) == 200


def test_an_expired_session_does_not_exist() -> None:
    with ReferenceServer(Settings(session_ttl_s=1)) as running, running.client() as client:
        own, longer = session(client), session(client, ttl_seconds=60)
        client.post("/chat", json=chat(session_id=own))
        running.ask(lambda: asyncio.sleep(1.05))
        error(client.get(f"/sessions/{own}"), 404, "SESSION_NOT_FOUND")
        error(client.post("/chat", json=chat(session_id=own)), 404, "SESSION_NOT_FOUND")
        assert client.get(f"/sessions/{longer}").status_code == 200


def test_sessions_survive_a_restart(tmp_path: Path) -> None:
    settings = Settings(database=str(tmp_path / "state.sqlite"))
    with ReferenceServer(settings) as running, running.client() as client:
        own = session(client)
        client.post("/chat", json=chat("Repeat exactly: remember me", session_id=own))
        # As if the process had died in the middle of a turn.
        running.ask(lambda: running.app.services.sessions.take(own, "demo", "dead"))
        error(client.post("/chat", json=chat(session_id=own)), 409, "SESSION_BUSY")
    with ReferenceServer(settings) as running, running.client() as client:
        assert history(client, own) == [("user", "Repeat exactly: remember me"), ("assistant", "remember me")]
        assert client.post("/chat", json=chat(session_id=own)).status_code == 200


def test_an_overfull_window_is_an_error_unless_asked_otherwise(client: httpx.Client) -> None:
    messages = [
        {"role": "system", "content": "Be brief. " * 10},
        {"role": "user", "content": "word " * 20},
        {"role": "assistant", "content": "word " * 20},
        {"role": "user", "content": "Repeat exactly: yes"},
    ]
    for strategy in ({}, {"strategy": "error"}):
        policy = {**strategy, "max_input_tokens": 60}
        details = error(
            client.post("/chat", json={"messages": messages, "context_policy": policy}),
            400,
            "CONTEXT_LENGTH_EXCEEDED",
        )["details"]
        assert (details["input_tokens"], details["max_tokens"]) == (33 + 23 + 23 + 7, 60)
    cut = {"messages": messages, "context_policy": {"strategy": "truncate_oldest", "max_input_tokens": 60}}
    told = client.post("/chat", json=cut).json()["metadata"]
    assert told["context"] == {
        "input_tokens": 33 + 7,
        "window": 32_768,
        "limit": 60,
        "strategy": "truncate_oldest",
        "truncated": True,
        "kept_messages": 2,
        "dropped_messages": 2,
        "summarized_messages": 0,
    }
    assert told["tokens_used"]["input"] == 40
    cut["context_policy"] = {"strategy": "summarize", "max_input_tokens": 66}
    told = client.post("/chat", json=cut).json()["metadata"]["context"]
    assert (told["dropped_messages"], told["summarized_messages"]) == (2, 2)
    assert 40 < told["input_tokens"] <= 66


def test_what_cannot_be_cut_enough_is_still_an_error(client: httpx.Client) -> None:
    for strategy in ("truncate_oldest", "summarize"):
        policy = {"strategy": strategy, "max_input_tokens": 10}
        refused = client.post("/chat", json=chat("word " * 30, context_policy=policy))
        error(refused, 400, "CONTEXT_LENGTH_EXCEEDED")


MESSAGES = st.lists(
    st.builds(
        Message,
        st.sampled_from(["system", "user", "assistant"]),
        st.lists(st.sampled_from(["word", "two words", "ja, nein", "猫"]), max_size=12).map(" ".join),
    ),
    min_size=1,
    max_size=12,
)


@given(
    MESSAGES, st.integers(1, 120), st.sampled_from(["error", "truncate_oldest", "summarize"]), st.booleans()
)
@example([Message("system", "word " * 30), Message("system", "")], 60, "summarize", False)
def test_what_is_seen_fits_and_what_is_told_is_true(
    messages: list[Message], limit: int, strategy: Any, keep_system: bool
) -> None:
    wish = Wish(strategy, keep_system, limit)
    whole = count_messages(messages)
    try:
        fitted = HonestContext().fit(count_messages, messages, 1_000, wish)
    except ContractError as refusal:
        assert refusal.code == "CONTEXT_LENGTH_EXCEEDED"
        assert refusal.details["input_tokens"] > refusal.details["max_tokens"] == limit
        assert whole > limit
        return
    assert count_messages(fitted.messages) == fitted.input_tokens <= limit
    assert fitted.kept + fitted.dropped == len(messages)
    assert (fitted.dropped > 0) == (whole > limit) == fitted.metadata["truncated"]
    assert fitted.messages[-1] == messages[-1]
    assert fitted.summarized <= fitted.dropped
    if strategy != "summarize":
        assert fitted.summarized == 0
        assert len(fitted.messages) == fitted.kept
    if keep_system:
        seen = list(fitted.messages)
        for message in (m for m in messages if m.role == "system"):
            seen.remove(message)
    if whole > limit:
        assert strategy != "error"


@pytest.mark.parametrize(
    "body",
    [
        {"session_id": ""},
        {"session_id": 7},
        {"context_policy": {"strategy": "guess"}},
        {"context_policy": {"max_input_tokens": 0}},
        {"context_policy": {"more": 1}},
    ],
)
def test_malformed_context_fields_are_refused(client: httpx.Client, body: dict[str, Any]) -> None:
    error(client.post("/chat", json=chat(**body)), 400, "INVALID_REQUEST")


def test_a_long_conversation_of_short_messages_is_summed_up_at_once() -> None:
    messages = [Message("user", f"word {number}") for number in range(20_000)]
    fitted = HonestContext().fit(count_messages, messages, 2_048, Wish("summarize"))
    assert fitted.input_tokens <= 2_048
    assert 0 < fitted.summarized < fitted.dropped
    assert fitted.messages[-1] == messages[-1]
