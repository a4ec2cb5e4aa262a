"""`kill -9` at every transaction of a request: with its key nothing is stored twice, and nothing acts twice."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from deploy.servers import Postgres
from reference_impl.store.database import Database
from reference_impl.store.tables import METADATA

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
AUTH = {"Authorization": "Bearer sk-demo"}
LEASE_S = 0.6
PATIENCE_S = 20.0
SAID = "Repeat exactly: a b c"
numbers = itertools.count()


class DiedError(Exception):
    """The server was gone in the middle of a request."""


@dataclass
class Nursery:
    """Forks servers on one database, one at a time."""

    database: str
    unasked: bool = False
    url: str = ""
    pid: int = 0
    program: subprocess.Popen[str] = field(init=False)

    def __enter__(self) -> Nursery:
        self.program = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("dying_server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.program.communicate(timeout=10)

    def start(self) -> None:
        assert self.program.stdin is not None
        assert self.program.stdout is not None
        order = {"database": self.database, "lease_s": LEASE_S, "unasked": self.unasked}
        self.program.stdin.write(json.dumps(order) + "\n")
        self.program.stdin.flush()
        self.pid = int(self.program.stdout.readline().removeprefix("pid "))
        self.url = self.program.stdout.readline().removeprefix("ready ").strip()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            if self.pid:
                os.kill(self.pid, signal.SIGKILL)
        self.wait_for_the_end()

    def wait_for_the_end(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        with suppress(ProcessLookupError):
            while self.pid:
                os.kill(self.pid, 0)
                assert time.monotonic() < deadline, "the server did not die"
                time.sleep(0.005)
        self.pid = 0

    def post(self, path: str, body: Any, key: str, die: str = "") -> httpx.Response:
        headers = {**AUTH, "Idempotency-Key": key} | ({"X-Die": die} if die else {})
        return self._told(lambda: httpx.post(self.url + path, json=body, headers=headers, timeout=PATIENCE_S))

    def get(self, path: str, die: str = "") -> httpx.Response:
        headers = AUTH | ({"X-Die": die} if die else {})
        return self._told(lambda: httpx.get(self.url + path, headers=headers, timeout=PATIENCE_S))

    def _told(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = send()
            except httpx.TransportError:
                raise DiedError from None
            # What a dead process held is free when its leases have ended.
            if answer.status_code != 409:
                return answer
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.1)


def rows(database: str, table: str) -> int:
    """How many there are, looked at while no server runs."""

    async def count() -> int:
        opened = Database(database)
        await opened.open()
        try:
            async with opened.transaction() as transaction:
                found = await transaction.execute(select(func.count()).select_from(METADATA.tables[table]))
                return int(found.scalar_one())
        finally:
            await opened.close()

    return asyncio.run(count())


Ask = Callable[[str, str], bytes]
Look = Callable[[str, bytes], None]


def die_everywhere(nursery: Nursery, prepare: Callable[[str], None], ask: Ask, look: Look) -> int:
    """Kill the server at each transaction of a request, and repeat the request; how often it died.

    `prepare` gets each key before it is used; `look` what the repetition was answered.
    """
    deaths = 0
    nursery.start()
    for when in ("before", "after"):
        for number in itertools.count(1):
            key = f"{when}-{number}"
            prepare(key)
            try:
                ask(key, f"{when} {number}")
                died = False
            except DiedError:
                died = True
                deaths += 1
                nursery.wait_for_the_end()
                nursery.start()
            answer = ask(key, "")
            assert ask(key, "") == answer
            look(key, answer)
            if not died:
                break
    nursery.kill()
    return deaths


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.nightly)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return str(tmp_path / "state.sqlite")
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.create(f"crashes_{next(numbers)}")


@pytest.fixture(scope="module")
def postgres(home: Path) -> Iterator[Postgres]:
    """One PostgreSQL for the tests of this file."""
    started = Postgres(home / "crashes", power_cuts=False)
    started.start()
    yield started
    started.stop()


class Sessions:
    """A session for each key."""

    def __init__(self, nursery: Nursery) -> None:
        self._nursery = nursery
        self.ids: dict[str, str] = {}

    def prepare(self, key: str) -> None:
        self.ids[key] = self._nursery.post("/sessions", {}, f"session-{key}").json()["session_id"]

    def request(self, key: str, **more: Any) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": SAID}], "session_id": self.ids[key], **more}

    def look(self, key: str, answer: bytes) -> None:
        """The turn is there once, and its answer says the same."""
        assert b"a b c" in answer
        said = self._nursery.get(f"/sessions/{self.ids[key]}").json()["messages"]
        assert [(m["role"], m["content"]) for m in said] == [("user", SAID), ("assistant", "a b c")]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_turn_of_a_session_and_its_key(place: str, *, stream: bool) -> None:
    with Nursery(place) as nursery:
        sessions = Sessions(nursery)

        def ask(key: str, die: str) -> bytes:
            answer = nursery.post("/chat", sessions.request(key, stream=stream), key, die)
            assert answer.status_code == 200, answer.text
            return answer.content

        # Claim, session, turn with key, end: each before and after.
        assert die_everywhere(nursery, sessions.prepare, ask, sessions.look) >= 6


@pytest.mark.nightly
def test_a_turn_of_a_session_over_a_websocket(place: str) -> None:
    with Nursery(place) as nursery:
        sessions = Sessions(nursery)

        def once(key: str, die: str) -> list[dict[str, Any]]:
            url = nursery.url.replace("http", "ws", 1) + "/chat/ws"
            headers = AUTH | ({"X-Die": die} if die else {})
            request = sessions.request(key, idempotency_key=key)
            heard: list[dict[str, Any]] = []
            with connect(
                url, additional_headers=headers, subprotocols=["enterprise-ai.v1"], proxy=None
            ) as socket:  # type: ignore[list-item]
                socket.send(json.dumps({"type": "chat", "message_id": "m", "request": request}))
                while not heard or heard[-1]["type"] not in ("done", "error"):
                    heard.append(json.loads(socket.recv(timeout=PATIENCE_S)))
            return heard

        def ask(key: str, die: str) -> bytes:
            deadline = time.monotonic() + PATIENCE_S
            while True:
                try:
                    last = once(key, die)[-1]
                except (ConnectionClosed, OSError, EOFError):
                    raise DiedError from None
                if last["type"] == "done":
                    return json.dumps(last).encode()
                assert last["error"]["code"] in ("IDEMPOTENCY_IN_PROGRESS", "SESSION_BUSY"), last
                assert time.monotonic() < deadline, last
                time.sleep(0.1)

        assert die_everywhere(nursery, sessions.prepare, ask, sessions.look) >= 6


@pytest.mark.nightly
def test_a_deferred_turn_and_its_key(place: str) -> None:
    with Nursery(place) as nursery:
        sessions = Sessions(nursery)

        def ask(key: str, die: str) -> bytes:
            answer = nursery.post("/chat", sessions.request(key, deferred=True), key, die)
            assert answer.status_code == 202, answer.text
            return answer.content

        deaths = die_everywhere(nursery, sessions.prepare, ask, lambda _key, _answer: None)
        assert deaths >= 4
        assert rows(place, "turns") == len(sessions.ids), "a key made two turns"


@pytest.mark.nightly
def test_the_stream_of_a_deferred_turn(place: str) -> None:
    with Nursery(place) as nursery:
        sessions = Sessions(nursery)
        links: dict[str, str] = {}

        def prepare(key: str) -> None:
            sessions.prepare(key)
            turn = nursery.post("/chat", sessions.request(key, deferred=True), f"turn-{key}").json()
            links[key] = f"/chat/stream?turn_id={turn['turn_id']}"

        def ask(key: str, die: str) -> bytes:
            deadline = time.monotonic() + PATIENCE_S
            while b"[DONE]" not in (answer := nursery.get(links[key], die)).content:
                assert time.monotonic() < deadline, answer.text
                time.sleep(0.1)
            return answer.content

        assert die_everywhere(nursery, prepare, ask, sessions.look) >= 6


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("path", "body", "table"),
    [
        ("/sessions", {}, "sessions"),
        ("/analyze-document", {"document": "# One\nThe invoice is wrong.\n"}, "jobs"),
        ("/agent/runs", {"messages": [{"role": "user", "content": "What is 6 * 7?"}]}, "agent_runs"),
    ],
)
def test_what_a_key_makes_is_made_once(place: str, path: str, body: dict[str, Any], table: str) -> None:
    keys: list[str] = []
    with Nursery(place) as nursery:

        def ask(key: str, die: str) -> bytes:
            answer = nursery.post(path, body, key, die)
            assert answer.is_success, answer.text
            return answer.content

        # Claim, and what is made together with the key's answer.
        assert die_everywhere(nursery, keys.append, ask, lambda _key, _answer: None) >= 4
        assert rows(place, table) == len(keys), "a key made two"


def record(memo: str) -> dict[str, Any]:
    call = f'Call record_entry {{"amount": "1.00", "currency": "EUR", "memo": "{memo}"}}'
    return {"messages": [{"role": "user", "content": call}]}


class Actions:
    """What runs have done, by the ledger that they act on; and what was said about it."""

    def __init__(self, nursery: Nursery) -> None:
        self._nursery = nursery
        self.told: list[tuple[str, int]] = []

    def look(self, key: str, answer: bytes) -> None:
        """The action is there at most once, and exactly once if somebody says so."""
        question = f'Call list_entries {{"memo": "{key}"}}'
        body = {"messages": [{"role": "user", "content": question}]}
        found = self._nursery.post("/agent/runs", body, f"look-{key}").json()
        entries = len(found["tool_calls"][0]["result"])
        content = json.loads(answer)
        if "error" not in content:
            assert content["tool_calls"][0]["status"] == "succeeded"
            assert entries == 1
            self.told.append(("succeeded", entries))
            return
        assert content["error"]["code"] == "TOOL_EXECUTION_FAILED"
        assert not content["error"]["retryable"]
        details = content["error"]["details"]
        assert (details["tool"], details["retryable"]) == ("record_entry", False)
        assert entries <= 1
        if details["side_effects"] == "committed":
            assert entries == 1
        else:
            assert details["side_effects"] == "possible"
        self.told.append((details["side_effects"], entries))

    def assert_every_moment_was_met(self) -> None:
        """Nothing begun; begun and not acted; acted and nothing written down; written down and not answered."""
        assert set(self.told) == {("succeeded", 1), ("possible", 0), ("possible", 1), ("committed", 1)}


def test_an_approved_action_is_never_repeated(place: str) -> None:
    with Nursery(place) as nursery:
        actions = Actions(nursery)
        waiting: dict[str, Any] = {}

        def prepare(key: str) -> None:
            waiting[key] = nursery.post("/agent/runs", record(key), f"run-{key}").json()

        def ask(key: str, die: str) -> bytes:
            ids = waiting[key]["required_action"]["tool_call_ids"]
            body = {"decisions": [{"tool_call_id": i, "approve": True} for i in ids]}
            return nursery.post(f"/agent/runs/{waiting[key]['id']}/approvals", body, key, die).content

        def look(key: str, answer: bytes) -> None:
            actions.look(key, answer)
            run = nursery.get(f"/agent/runs/{waiting[key]['id']}").json()
            (call,) = run["tool_calls"]
            if "error" in json.loads(answer):
                told = json.loads(answer)["error"]["details"]["side_effects"]
                assert (run["status"], call["side_effects"]) == ("failed", told)
            else:
                assert (run["status"], call["status"]) == ("complete", "succeeded")

        assert die_everywhere(nursery, prepare, ask, look) >= 12
        actions.assert_every_moment_was_met()


@pytest.mark.nightly
def test_an_action_that_needs_no_approval_is_never_repeated(place: str) -> None:
    with Nursery(place, unasked=True) as nursery:
        actions = Actions(nursery)

        def ask(key: str, die: str) -> bytes:
            return nursery.post("/agent/runs", record(key), key, die).content

        assert die_everywhere(nursery, lambda _key: None, ask, actions.look) >= 10
        actions.assert_every_moment_was_met()
