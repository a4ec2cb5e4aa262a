"""The suite's own receiver: bytes as they came, answers as they were told, and no trust in the sender."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime

import httpx
import pytest
from standardwebhooks import Webhook

from conformance.dialects.model import load_dialect
from conformance.run import Run
from conformance.session import ProbeSkipped, Session
from conformance.target import Target, TargetError
from conformance.wire import receiver as module
from conformance.wire.receiver import Receiver, Reply
from conformance.wire.webhook import key_of, signature


async def _post(url: str, message: str, body: bytes = b"{}") -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(url, content=body, headers={"Webhook-Id": message})


def test_it_keeps_bytes_and_answers_each_attempt_as_told() -> None:
    async def scenario() -> None:
        async with Receiver("127.0.0.1", 0) as receiver:
            receiver.answer("/a", Reply(500), Reply(302, {"Location": "/b"}), Reply(204))
            url = receiver.url("/a")
            assert [(await _post(url, "m1")).status_code for _ in range(4)] == [500, 302, 204, 204]
            assert (await _post(url, "m2", '{"ä": 1 }'.encode())).status_code == 500
            assert (await _post(receiver.url("/other"), "m3")).status_code == 200
            last = receiver.received[4]
            assert (last.method, last.path, last.body) == ("POST", "/a", '{"ä": 1 }'.encode())
            assert last.header("webhook-id") == "m2"
            assert await receiver.until(lambda received: len(received) == 6, 1)
            assert not await receiver.until(lambda received: len(received) > 6, 0.05)

    asyncio.run(scenario())


def test_what_is_no_request_or_too_large_is_no_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)

    async def send(receiver: Receiver, data: bytes) -> bytes:
        host, port = receiver.url("").removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(data)
        try:
            return await asyncio.wait_for(reader.read(), 5)
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def scenario() -> None:
        async with Receiver("127.0.0.1", 0) as receiver:
            assert await send(receiver, b"\x16\x03\x01 not http\r\n\r\n") == b""
            assert await send(receiver, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab") == b""
            head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n"
            await send(receiver, head + b"x" * (module.MAX_BODY + 70_000))
            assert receiver.received == []
            assert (await _post(receiver.url("/"), "m")).status_code == 200

    asyncio.run(scenario())


def test_signatures_are_those_of_the_library() -> None:
    secret = "whsec_" + base64.b64encode(b"k" * 32).decode()
    key, body = key_of(secret), '{"ü":1}'
    assert key == b"k" * 32
    at = datetime.fromtimestamp(1_795_514_400, UTC)
    assert signature(key, "msg_1", "1795514400", body.encode()) == Webhook(secret).sign("msg_1", at, body)


@pytest.mark.parametrize("secret", ["", "sk-1", "whsec_ä", "whsec_%%%"])
def test_what_is_no_secret_has_no_key(secret: str) -> None:
    assert key_of(secret) is None


@pytest.mark.parametrize(
    ("base", "callback", "port", "expected"),
    [
        ("http://127.0.0.1:1/v1", None, None, "http://127.0.0.1:"),
        ("http://[::1]:1/v1", None, None, "http://127.0.0.1:"),
        ("http://localhost:1/v1", None, None, "http://127.0.0.1:"),
        ("https://api.example/v1", "https://tunnel.example/in", 0, "https://tunnel.example/in/x"),
    ],
)
def test_where_the_receiver_is_announced(
    base: str, callback: str | None, port: int | None, expected: str
) -> None:
    target = Target.create(base, "contract", callback_url=callback, callback_port=port)

    async def scenario() -> str:
        session = Session(Run(target, load_dialect("contract"), None), "probe")  # type: ignore[arg-type]
        async with session.receiver() as receiver:
            return receiver.url("/x")

    assert asyncio.run(scenario()).startswith(expected)


def test_a_remote_target_needs_to_be_told_the_way_back() -> None:
    target = Target.create("https://api.example/v1", "contract")
    session = Session(Run(target, load_dialect("contract"), None), "probe")  # type: ignore[arg-type]
    with pytest.raises(ProbeSkipped, match="--callback-url"):
        session.receiver()


@pytest.mark.parametrize(
    ("url", "port"),
    [("ftp://x:1", None), ("http://x", None), ("x:1", None), ("http://x:99999", None), (None, 1)],
)
def test_a_wrong_way_back_is_one_line(url: str | None, port: int | None) -> None:
    with pytest.raises(TargetError, match="--callback-"):
        Target.create("https://api.example/v1", "contract", callback_url=url, callback_port=port)
