"""Load through a balancer while something breaks, and what must be true of it afterwards."""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

AUTH = {"Authorization": "Bearer sk-demo"}
FINAL = {"complete", "failed", "cancelled", "expired"}
DOCUMENT = "# One\nThe invoice is wrong.\n\n# Two\nThe parcel is late.\n\n# Three\nThank you.\n"
PATIENCE_S = 60.0
_PAUSE_S = 0.1


@dataclass
class Inbox:
    """A receiver of webhooks that fails each first attempt, so that deliveries are always in flight."""

    url: str = ""
    attempts: Counter[str] = field(default_factory=Counter)
    told: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


@contextmanager
def open_inbox() -> Iterator[Inbox]:
    """A receiver on a free port."""
    inbox = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            message = self.headers["webhook-id"]
            inbox.attempts[message] += 1
            if inbox.attempts[message] > 1:
                inbox.told[body["data"]["job_id"]].add(message)
            self.send_response(204 if inbox.attempts[message] > 1 else 500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    inbox.url = f"http://127.0.0.1:{server.server_address[1]}/inbox"
    yield inbox
    server.shutdown()
    server.server_close()


@dataclass(frozen=True)
class Asked:
    """One request under a key, as it can be sent again."""

    key: str
    path: str
    body: dict[str, Any]


@dataclass
class Load:
    """Clients that send requests under fresh keys until they are stopped. Whatever they were told is kept."""

    url: str
    sessions: list[str] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    answers: dict[str, bytes] = field(default_factory=dict)
    refused: Counter[int] = field(default_factory=Counter)
    name: str = field(default_factory=lambda: secrets.token_hex(4))
    earlier: set[str] = field(default_factory=set)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def under(self, fault: Callable[[], Awaitable[None]], clients: int = 3) -> None:
        """Send while `fault` happens, and a little before and after."""
        self.earlier = set(await self.jobs())
        async with self.client() as client:
            for _ in range(clients):
                made = await client.post("/sessions", json={})
                assert made.status_code == 201, made.text
                self.sessions.append(made.json()["session_id"])
            at_work = [asyncio.create_task(self._talk(client, s)) for s in self.sessions]
            at_work += [asyncio.create_task(self._submit(client, n)) for n in range(clients)]
            await asyncio.sleep(1.0)
            await fault()
            await asyncio.sleep(1.5)
            self.stopped.set()
            await asyncio.gather(*at_work)

    def client(self) -> httpx.AsyncClient:
        """A client that keeps no connection, so that each request may go to another replica."""
        limits = httpx.Limits(max_keepalive_connections=0)
        return httpx.AsyncClient(
            base_url=self.url, headers=AUTH, timeout=20, limits=limits, verify=False, trust_env=False
        )

    async def _talk(self, client: httpx.AsyncClient, session: str) -> None:
        number = 0
        while not self.stopped.is_set():
            number += 1
            said = f"Repeat exactly: {session[-6:]}-{number}"
            body = {
                "messages": [{"role": "user", "content": said}],
                "session_id": session,
                "stream": number % 2 == 0,
            }
            await self._send(client, Asked(f"talk-{session}-{number}", "/chat", body))
            await asyncio.sleep(_PAUSE_S)

    async def _submit(self, client: httpx.AsyncClient, n: int) -> None:
        number = 0
        while not self.stopped.is_set():
            number += 1
            body = {
                "document": f"{DOCUMENT}\n{n} {number}",
                "sandbox": {"scenario": "slow_document", "delay_ms": 60},
            }
            await self._send(client, Asked(f"job-{self.name}-{n}-{number}", "/analyze-document", body))
            await asyncio.sleep(_PAUSE_S)

    async def _send(self, client: httpx.AsyncClient, asked: Asked) -> None:
        self.asked.append(asked)
        try:
            answer = await client.post(asked.path, json=asked.body, headers={"Idempotency-Key": asked.key})
        except httpx.TransportError:
            self.refused[0] += 1
            return
        if answered(answer):
            self.answers[asked.key] = answer.content
            return
        if answer.is_success:
            return
        self.refused[answer.status_code] += 1
        assert_honest(answer)
        await asyncio.sleep(0.05)

    async def ask_again(self) -> None:
        """Every request once more: whoever had an answer gets the same bytes, all others get one now."""
        in_order: defaultdict[str, list[Asked]] = defaultdict(list)
        for asked in self.asked:
            in_order[asked.body.get("session_id", asked.key)].append(asked)
        at_once = asyncio.Semaphore(8)

        async def one_after_the_other(several: list[Asked]) -> None:
            async with at_once:
                for asked in several:
                    again = await until_answered(client, asked)
                    assert self.answers.setdefault(asked.key, again) == again, asked.key

        async with self.client() as client:
            await asyncio.gather(*map(one_after_the_other, in_order.values()))

    async def jobs(self) -> dict[str, dict[str, Any]]:
        """Every job since the load began."""
        found: dict[str, dict[str, Any]] = {}
        async with self.client() as client:
            cursor: dict[str, str] = {}
            while True:
                page = (await client.get("/jobs", params={"limit": 100, **cursor})).json()
                found |= {job["job_id"]: job for job in page["data"] if job["job_id"] not in self.earlier}
                if page["next_cursor"] is None:
                    return found
                cursor = {"cursor": page["next_cursor"]}


def answered(answer: httpx.Response) -> bool:
    """Success; a stream may also say at its end that there is none."""
    return answer.is_success and b"event: error\n" not in answer.content


def assert_honest(answer: httpx.Response) -> None:
    """A refusal during a fault: nothing but an outage, in the envelope, and when to come back."""
    assert answer.headers["content-type"] == "application/json", answer.text
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) in {
        (502, "UPSTREAM_ERROR"),
        (503, "SERVICE_UNAVAILABLE"),
        (409, "IDEMPOTENCY_IN_PROGRESS"),
        (409, "SESSION_BUSY"),
        (429, "RATE_LIMITED"),
    }, answer.text
    assert error["retryable"]
    assert int(answer.headers["retry-after"]) >= 1


async def until_answered(client: httpx.AsyncClient, asked: Asked) -> bytes:
    """The answer to a request, asked for until there is one."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = await client.post(asked.path, json=asked.body, headers={"Idempotency-Key": asked.key})
            if answered(answer):
                return answer.content
            if not answer.is_success:
                assert_honest(answer)
            await asyncio.sleep(0.2)


async def eventually(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait until the condition holds."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await condition():
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"{what}, even after {PATIENCE_S} s") from None


async def nothing_is_lost_or_done_twice(load: Load, inbox: Inbox) -> None:
    """The promises, looked at from outside after the fault."""
    await load.ask_again()
    submitted = {a.key for a in load.asked if a.path == "/analyze-document"}
    accepted = {key: json.loads(load.answers[key])["job_id"] for key in submitted}

    async def ended() -> bool:
        return all(job["status"] in FINAL for job in (await load.jobs()).values())

    await eventually(ended, "jobs are still open")
    jobs = await load.jobs()
    assert set(jobs) == set(accepted.values()), "a job is lost, or nobody accepted it"
    assert len(jobs) == len(submitted), "a key made two jobs"
    assert Counter(job["status"] for job in jobs.values()) == {"complete": len(jobs)}
    for job in jobs.values():
        assert [part["index"] for part in job["result"]["sections"]] == [0, 1, 2]

    async with load.client() as client:
        for session in load.sessions:
            said = (await client.get(f"/sessions/{session}")).json()["messages"]
            turns = Counter(m["content"] for m in said if m["role"] == "user")
            wanted = [
                a.body["messages"][0]["content"] for a in load.asked if a.body.get("session_id") == session
            ]
            assert turns == Counter(wanted), "a turn is lost, or was executed twice"
            answered = [m["content"] for m in said if m["role"] == "assistant"]
            assert Counter(answered) == Counter(text.removeprefix("Repeat exactly: ") for text in wanted)

    async def told() -> bool:
        return set(inbox.told) >= set(jobs)

    await eventually(told, "a webhook is lost")
    assert all(len(messages) == 1 for messages in inbox.told.values()), "a change was announced twice"
