"""`kill -9` under load, at random moments: no accepted job is lost, none is made twice, no due delivery is lost."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
AUTH = {"Authorization": "Bearer sk-demo"}
DOCUMENT = "# One\nThe invoice is wrong.\n\n# Two\nThe parcel is late.\n\n# Three\nThank you.\n"
ROUNDS = 4
CLIENTS = 3
FINAL = {"complete", "failed", "cancelled", "expired"}


class Inbox:
    """A receiver that fails the first attempt at every message, so that deliveries are always in flight."""

    def __init__(self) -> None:
        self.attempts: defaultdict[str, int] = defaultdict(int)
        self.told: defaultdict[str, set[str]] = defaultdict(set)
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                message = self.headers["webhook-id"]
                inbox.attempts[message] += 1
                taken = inbox.attempts[message] > 1
                if taken:
                    inbox.told[body["data"]["job_id"]].add(message)
                self.send_response(204 if taken else 500)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/inbox"

    def __enter__(self) -> Inbox:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def server(database: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "reference_impl", "--port", "0", "--db", str(database)]
    running = subprocess.Popen(
        [*command, "--webhook-network", "127.0.0.0/8", "--rate-limits", "off"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert running.stdout is not None
    try:
        yield running, running.stdout.readline().split()[1]
    finally:
        running.kill()
        running.communicate()


def work(number: int) -> dict[str, Any]:
    return {"document": f"{DOCUMENT}\n{number}", "sandbox": {"scenario": "slow_document", "delay_ms": 40}}


async def load(url: str, keys: Iterator[int], asked: list[str], accepted: dict[str, str]) -> None:
    """Submit, one key after the other, until the server is gone. What was answered 202 is accepted."""
    async with httpx.AsyncClient(base_url=url, headers=AUTH, timeout=10, trust_env=False) as client:
        try:
            for number in keys:
                key = f"kill-{number}"
                asked.append(key)
                answer = await client.post(
                    "/analyze-document", json=work(number), headers={"Idempotency-Key": key}
                )
                assert answer.status_code == 202, answer.text
                accepted[key] = answer.json()["job_id"]
        except httpx.TransportError:
            return


async def under_fire(database: Path, url_of: Inbox, dice: random.Random) -> tuple[list[str], dict[str, str]]:
    asked: list[str] = []
    accepted: dict[str, str] = {}
    keys = iter(range(100_000))
    for _ in range(ROUNDS):
        with server(database) as (running, url):
            clients = [asyncio.create_task(load(url, keys, asked, accepted)) for _ in range(CLIENTS)]
            await asyncio.sleep(dice.uniform(0.2, 0.7))
            running.send_signal(signal.SIGKILL)
            running.wait(10)
            await asyncio.gather(*clients)
    return asked, accepted


async def until(client: httpx.AsyncClient, condition: Any, seconds: float) -> bool:
    async with asyncio.timeout(seconds):
        while not await condition(client):
            await asyncio.sleep(0.1)
    return True


async def all_jobs(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    cursor: dict[str, str] = {}
    while True:
        page = (await client.get("/jobs", params={"limit": 100, **cursor})).json()
        found |= {job["job_id"]: job for job in page["data"]}
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


async def scenario(database: Path, inbox: Inbox) -> None:
    dice = random.Random(20261124)
    with server(database) as (_, url):
        registered = httpx.post(f"{url}/webhooks", json={"url": inbox.url}, headers=AUTH)
        assert registered.status_code == 201, registered.text
    asked, accepted = await under_fire(database, inbox, dice)
    assert len(accepted) >= ROUNDS, "the load was too light to mean anything"

    with server(database) as (_, url):
        async with httpx.AsyncClient(base_url=url, headers=AUTH, timeout=10, trust_env=False) as client:
            # Whoever got no answer asks again with its key; whoever got one gets the same job.
            for key in asked:
                again = await client.post(
                    "/analyze-document", json=work(int(key[5:])), headers={"Idempotency-Key": key}
                )
                assert again.status_code == 202, again.text
                job = again.json()["job_id"]
                assert accepted.setdefault(key, job) == job

            async def ended(client: httpx.AsyncClient) -> bool:
                return all(job["status"] in FINAL for job in (await all_jobs(client)).values())

            assert await until(client, ended, 60)
            jobs = await all_jobs(client)
            # No accepted job is lost, and no key made a second one.
            assert set(jobs) == set(accepted.values())
            assert len(set(accepted.values())) == len(asked)
            assert {job["status"] for job in jobs.values()} == {"complete"}
            for job in jobs.values():
                assert [part["index"] for part in job["result"]["sections"]] == [0, 1, 2]

            async def told(_: httpx.AsyncClient) -> bool:
                return set(inbox.told) >= set(jobs)

            assert await until(client, told, 60), "a webhook was lost"
    # A message may come more than once, but always under its own id: one message per job.
    assert all(len(messages) == 1 for messages in inbox.told.values())


def test_kill_9_loses_no_accepted_job_and_no_due_delivery(tmp_path: Path) -> None:
    with Inbox() as inbox:
        asyncio.run(scenario(tmp_path / "state.sqlite", inbox))
