"""Webhooks: Standard Webhooks 1.0 from the sender's side, and a way out that leads nowhere inside."""

from __future__ import annotations

import itertools
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from inbox import SETTINGS, WAIT_S, Inbox
from job_client import ended
from reference_server import OTHER_KEY, ReferenceServer, error
from standardwebhooks import Webhook, WebhookVerificationError

from reference_impl.settings import Settings


@pytest.fixture
def server() -> Iterator[ReferenceServer]:
    with ReferenceServer(SETTINGS) as running:
        yield running


@pytest.fixture
def client(server: ReferenceServer) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened


def register(client: httpx.Client, url: str, **fields: Any) -> dict[str, Any]:
    answer = client.post("/webhooks", json={"url": url, **fields})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/api/v1/webhooks/{answer.json()['id']}"
    webhook: dict[str, Any] = answer.json()
    return webhook


def submit(client: httpx.Client, scenario: str | None = None) -> str:
    body: dict[str, Any] = {"document": "# One\nThe invoice is wrong."}
    if scenario is not None:
        body["sandbox"] = {"scenario": scenario}
    job_id: str = client.post("/analyze-document", json=body).json()["job_id"]
    return job_id


def test_the_end_of_a_job_is_told_and_the_library_verifies_it(client: httpx.Client, inbox: Inbox) -> None:
    secret = register(client, f"{inbox.url}/hook?x=1")["secret"]
    job_id = submit(client)
    path, headers, body, _ = inbox.wait(job_id, 1)[0]
    message = Webhook(secret).verify(body, headers)
    assert path == "/hook?x=1"
    assert message["type"] == "job.completed"
    assert message["data"] == {"job_id": job_id, "status": "complete"}
    assert client.get(f"/jobs/{job_id}").json()["status"] == "complete"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body + b" ", headers)


@pytest.mark.parametrize(
    ("scenario", "event"),
    [
        ("failing_document", "job.failed"),
        ("needs_approval", "job.requires_action"),
        ("expiring_document", "job.expired"),
    ],
)
def test_other_ends_have_their_events(client: httpx.Client, inbox: Inbox, scenario: str, event: str) -> None:
    register(client, inbox.url)
    assert json.loads(inbox.wait(submit(client, scenario), 1)[0][2])["type"] == event


def test_only_what_was_asked_for_is_told_and_only_to_its_owner(
    client: httpx.Client, server: ReferenceServer, inbox: Inbox
) -> None:
    register(client, f"{inbox.url}/failures", events=["job.failed"])
    register(client, f"{inbox.url}/all")
    with server.client(OTHER_KEY) as other:
        register(other, f"{inbox.url}/other")
    done, failed = submit(client), submit(client, "failing_document")
    assert [p for p, *_ in inbox.wait(done, 1)] == ["/all"]
    assert sorted(p for p, *_ in inbox.wait(failed, 2)) == ["/all", "/failures"]


def test_a_failed_delivery_is_repeated_with_its_id_and_growing_delays(
    client: httpx.Client, inbox: Inbox
) -> None:
    inbox.statuses = (500, 302, 404, 200)
    secret = register(client, inbox.url)["secret"]
    found = inbox.wait(submit(client), 4)
    assert len({headers["webhook-id"] for _, headers, _, _ in found}) == 1
    assert len({body for _, _, body, _ in found}) == 1
    for _, headers, body, at in found:
        Webhook(secret).verify(body, headers)
        assert abs(int(headers["webhook-timestamp"]) - at) < 3
    gaps = [b[3] - a[3] for a, b in itertools.pairwise(found)]
    assert all(gap >= delay for gap, delay in zip(gaps, SETTINGS.webhook_delays_s, strict=True))


def test_a_message_is_given_up_after_its_last_attempt(
    client: httpx.Client, server: ReferenceServer, inbox: Inbox
) -> None:
    inbox.statuses = (500,)
    register(client, inbox.url)
    job_id = submit(client)
    assert len(inbox.wait(job_id, 4)) == 4
    due = server.ask(server.app.services.outbox.next_due)
    deadline = time.monotonic() + WAIT_S
    while due is not None and time.monotonic() < deadline:
        due = server.ask(server.app.services.outbox.next_due)
    assert due is None
    assert len(inbox.about(job_id)) == 4


def test_a_redirect_is_not_followed(client: httpx.Client, inbox: Inbox) -> None:
    inbox.statuses, inbox.headers = (307, 200), {"Location": f"{inbox.url}/trap"}
    register(client, f"{inbox.url}/hook")
    assert [p for p, *_ in inbox.wait(submit(client), 2)] == ["/hook", "/hook"]


def test_410_disables_the_endpoint(client: httpx.Client, inbox: Inbox) -> None:
    inbox.statuses = (410,)
    webhook = register(client, f"{inbox.url}/gone")
    first = submit(client)
    inbox.wait(first, 1)
    deadline = time.monotonic() + WAIT_S
    while (shown := client.get(f"/webhooks/{webhook['id']}").json())["status"] == "enabled":
        assert time.monotonic() < deadline
    assert shown["disabled_reason"] == "the endpoint answered 410"
    register(client, f"{inbox.url}/control")
    second = submit(client)
    assert [p for p, *_ in inbox.wait(second, 1)] == ["/control"]
    assert len(inbox.about(first)) == 1


def test_a_rotated_secret_signs_beside_the_old_one(client: httpx.Client, inbox: Inbox) -> None:
    webhook = register(client, inbox.url)
    rotated = client.post(f"/webhooks/{webhook['id']}/rotate-secret").json()
    assert rotated["secret"] != webhook["secret"]
    assert rotated["previous_secret_expires_at"] is not None
    _, headers, body, _ = inbox.wait(submit(client), 1)[0]
    assert len(headers["webhook-signature"].split()) == 2
    for secret in (webhook["secret"], rotated["secret"]):
        Webhook(secret).verify(body, headers)


def test_the_old_secret_ends_with_the_overlap(inbox: Inbox) -> None:
    with ReferenceServer(replace(SETTINGS, webhook_overlap_s=0.01)) as server, server.client() as client:
        webhook = register(client, inbox.url)
        rotated = client.post(f"/webhooks/{webhook['id']}/rotate-secret").json()
        time.sleep(0.02)
        _, headers, body, _ = inbox.wait(submit(client), 1)[0]
        assert len(headers["webhook-signature"].split()) == 1
        Webhook(rotated["secret"]).verify(body, headers)


def test_a_webhook_is_its_owners_and_its_secret_is_told_once(
    client: httpx.Client, server: ReferenceServer, inbox: Inbox
) -> None:
    webhook = register(client, inbox.url)
    path = f"/webhooks/{webhook['id']}"
    shown = client.get(path).json()
    assert shown == {k: v for k, v in webhook.items() if k != "secret"}
    assert client.get("/webhooks").json()["data"] == [shown]
    with server.client(OTHER_KEY) as other:
        error(other.get(path), 404, "WEBHOOK_NOT_FOUND")
        error(other.delete(path), 404, "WEBHOOK_NOT_FOUND")
        error(other.post(f"{path}/rotate-secret"), 404, "WEBHOOK_NOT_FOUND")
    assert client.delete(path).status_code == 204
    error(client.get(path), 404, "WEBHOOK_NOT_FOUND")
    job_id = submit(client)
    time.sleep(0.3)
    assert inbox.about(job_id) == []


def test_there_is_a_number_of_webhooks_that_is_enough(inbox: Inbox) -> None:
    with ReferenceServer(replace(SETTINGS, max_webhooks=1)) as server, server.client() as client:
        register(client, inbox.url)
        refused = error(client.post("/webhooks", json={"url": inbox.url}), 409, "TOO_MANY_WEBHOOKS")
        assert refused["details"] == {"max_webhooks": 1}


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "https://192.168.1.1/",
        "https://172.16.0.1/",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://[::1]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://[2002:a00:1::]/",
        "https://2852039166/",
        "https://0xa9fea9fe/",
        "https://10.1/",
        "http://93.184.215.14/",
        "https://user:secret@93.184.215.14/",
        "https://no-such-host.invalid/",
    ],
)
def test_a_callback_that_leads_inside_is_refused(client: httpx.Client, url: str) -> None:
    refused = error(client.post("/webhooks", json={"url": url}), 400, "CALLBACK_REFUSED")
    assert refused["param"] == "/url"
    assert client.get("/webhooks").json()["data"] == []


@pytest.mark.parametrize("url", ["ftp://x/", "https:///x", "hook", "https://a b/", 7, "https://x:99999/"])
def test_what_is_no_url_is_refused(client: httpx.Client, url: Any) -> None:
    answer = client.post("/webhooks", json={"url": url})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "/url"


def test_loopback_is_refused_unless_the_operator_allows_it(inbox: Inbox) -> None:
    with ReferenceServer(Settings()) as server, server.client() as client:
        error(client.post("/webhooks", json={"url": inbox.url}), 400, "CALLBACK_REFUSED")


def test_a_delivery_survives_a_restart(tmp_path: Any, inbox: Inbox) -> None:
    settings = replace(SETTINGS, database=str(tmp_path / "state.sqlite"), webhook_delays_s=(0.6, 1))
    inbox.statuses = (500, 200)
    with ReferenceServer(settings) as server, server.client() as client:
        secret = register(client, inbox.url)["secret"]
        job_id = submit(client)
        inbox.wait(job_id, 1)
    with ReferenceServer(settings):
        _, headers, body, _ = inbox.wait(job_id, 2)[1]
    Webhook(secret).verify(body, headers)
    assert headers["webhook-id"] == inbox.about(job_id)[0][1]["webhook-id"]


def test_endpoints_that_never_answer_hold_up_no_job() -> None:
    settings = replace(SETTINGS, background_tasks=1, webhook_timeout_s=60.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with ReferenceServer(settings) as server, server.client() as client:
            register(client, f"http://127.0.0.1:{silent.getsockname()[1]}")
            for _ in range(3):
                assert ended(client, submit(client))["status"] == "complete"
