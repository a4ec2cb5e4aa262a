"""Webhooks: a receiver of the suite's own, endpoints that behave badly, and addresses that must be refused."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from conformance.probes.jobs import DOCUMENT, OPEN
from conformance.reading import Reading
from conformance.registry import probe
from conformance.session import ProbeSkipped, Session
from conformance.wire.receiver import Received, Receiver, Reply
from conformance.wire.webhook import PREFIX, key_of, signature

HOOKS = ("submit_job", "get_job", "register_webhook", "delete_webhook", "rotate_webhook", "get_webhook")
BEHAVIOURS: dict[str, tuple[Reply, ...]] = {
    "good": (Reply(204),),
    "failing": (Reply(500), Reply(500), Reply(200)),
    "gone": (Reply(410),),
}
TRAP = "/trap"
FIRST_WAIT = 5.0
RETRY_WAIT = 6.0
"""Seconds that the probe waits for a first delivery, and then for the third attempt at one."""

ADDRESSES = {
    "link_local": "http://169.254.169.254/latest/meta-data/",
    "private": "https://10.11.12.13/hook",
    "mapped": "https://[::ffff:192.168.1.1]/hook",
    "unspecified": "https://0.0.0.0/hook",
    "unique_local": "https://[fd00::1]/hook",
    "decimal": "https://2852039166/hook",
}


@probe(calls=11, operations=HOOKS, tokens=300, shares=("capabilities",))
async def webhook_run(session: Session) -> None:
    """Three endpoints are told of one job; the secret of one is rotated, and from now on it redirects; all are told of
    a second job.

    The notes hold what came in, and beside each message the signatures that our secrets give over its bytes.
    """
    if "capabilities" in session.dialect.operations:
        await session.capabilities()
    async with session.receiver() as receiver:
        for name, replies in BEHAVIOURS.items():
            receiver.answer(f"/{name}", *replies)
        keys: dict[str, list[bytes]] = {name: [] for name in BEHAVIOURS}
        ids: dict[str, str] = {}
        try:
            for name in BEHAVIOURS:
                registered = await session.call(
                    "register_webhook", f"register.{name}", url=receiver.url(f"/{name}")
                )
                ids[name] = _learn(session, registered, keys[name])
            await _told(session, receiver, "first", ids)
            rotated = await session.call("rotate_webhook", "rotated", webhook_id=ids["good"])
            _learn(session, rotated, keys["good"])
            receiver.answer("/good", Reply(302, {"Location": receiver.url(TRAP)}), Reply(204))
            await _told(session, receiver, "second", ids)
            await session.call("get_webhook", "gone", webhook_id=ids["gone"])
        finally:
            for name, webhook in ids.items():
                await session.call("delete_webhook", f"delete.{name}", webhook_id=webhook)
            session.notes["deliveries"] = [_noted(r, keys) for r in receiver.received]


@probe(
    calls=len(ADDRESSES),
    operations=("register_webhook", "delete_webhook"),
    tokens=0,
    shares=("capabilities",),
)
async def webhook_addresses(session: Session) -> None:
    """Callback URLs that lead inside: link-local, private, and IPv4 addresses in disguise."""
    if "capabilities" in session.dialect.operations:
        await session.capabilities()
    readings = await asyncio.gather(
        *(session.call("register_webhook", name, url=url) for name, url in ADDRESSES.items())
    )
    for reading in readings:
        webhook = reading.body.get("id") if reading.ok and isinstance(reading.body, dict) else None
        if isinstance(webhook, str):
            await session.call("delete_webhook", "delete", webhook_id=webhook)


async def _told(session: Session, receiver: Receiver, which: str, ids: dict[str, str]) -> None:
    """Post a job and wait until the endpoints were told of it as far as they can be expected to be."""
    job = await session.call("submit_job", f"{which}.job", document=DOCUMENT)
    name = job.facts["job.id"].value
    if not job.ok or not isinstance(name, str):
        raise ProbeSkipped(f"the work was answered {job.status} without a job id")
    session.notes[f"{which}_job"] = name

    def about(path: str, received: Sequence[Received]) -> int:
        return sum(r.path == path and name.encode() in r.body for r in received)

    async def told() -> bool:
        return await receiver.until(lambda received: about("/good", received) > 0, FIRST_WAIT)

    came = await told()
    session.notes[f"{which}_waited"] = FIRST_WAIT
    if which == "first":
        shown = await session.call("get_job", "first.shown", job_id=name)
        if not came and shown.facts["job.status"].value not in OPEN:
            # It may have ended a moment ago; from now on the message is due.
            came = await told()
            session.notes["first_waited"] = 2 * FIRST_WAIT
    if which == "first" and came:
        session.notes["retries_waited"] = RETRY_WAIT
        await receiver.until(
            lambda received: about("/failing", received) >= 3,
            RETRY_WAIT,
        )
    elif came:
        await asyncio.sleep(
            0.5
        )  # for a message to an endpoint that wants none any more, or to where it is redirected


def _learn(session: Session, answered: Reading, keys: list[bytes]) -> str:
    """Keep an endpoint's secret for this probe, out of everything that is written; returns the endpoint's id."""
    body: Any = answered.body if isinstance(answered.body, dict) else {}
    webhook, secret = body.get("id"), body.get("secret")
    if not answered.ok or not isinstance(webhook, str) or not isinstance(secret, str):
        raise ProbeSkipped(f"the webhook was answered {answered.status} without an id and a secret")
    session.hide(secret.removeprefix(PREFIX))
    key = key_of(secret)
    session.notes.setdefault("secret_bytes", []).append(None if key is None else len(key))
    if key is not None:
        keys.insert(0, key)
    return webhook


def _noted(received: Received, keys: dict[str, list[bytes]]) -> dict[str, Any]:
    """One delivery as plain facts. ``expected`` are the signatures by the newest secret and by those before it."""
    endpoint = urlsplit(received.path).path.rpartition("/")[2]
    message, timestamp = received.header("webhook-id"), received.header("webhook-timestamp")
    return {
        "endpoint": endpoint,
        "at": received.at,
        "method": received.method,
        "headers": [list(pair) for pair in received.headers],
        "body": base64.b64encode(received.body).decode(),
        "expected": [signature(k, message, timestamp, received.body) for k in keys.get(endpoint, ())],
    }
