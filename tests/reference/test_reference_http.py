"""HTTP itself: methods, sizes, connections, versions, traces, browsers, prefixes."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import closing

import httpx
import pytest
from reference_server import KEY, ReferenceServer, chat, error, post_bytes
from starlette.types import ASGIApp, Receive, Scope, Send

from reference_impl.app import ReferenceApp
from reference_impl.serve import listen
from reference_impl.settings import Settings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@pytest.mark.parametrize("path", ["/health", "/models", "/models/atlas-1", "/errors/INTERNAL"])
def test_head_is_get_without_the_body(client: httpx.Client, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]
    assert head.headers.keys() == get.headers.keys()


@pytest.mark.parametrize(
    ("path", "allow"),
    [("/chat", "OPTIONS, POST"), ("/models", "GET, HEAD, OPTIONS"), ("/models/x", "GET, HEAD, OPTIONS")],
)
def test_options_lists_the_methods(reference: ReferenceServer, path: str, allow: str) -> None:
    with reference.client(key=None) as anonymous:
        answer = anonymous.options(path)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["allow"] == allow
        error(anonymous.options("/nowhere"), 404, "NOT_FOUND")


def test_a_declared_oversize_is_refused_before_it_is_sent(reference: ReferenceServer) -> None:
    head = (
        f"POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1048577\r\nExpect: 100-continue\r\n\r\n"
    )
    answer = reference.raw(head.encode())
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["details"] == {"max_bytes": 1_048_576}


def test_a_chunked_oversize_is_refused_as_soon_as_it_shows(reference: ReferenceServer) -> None:
    head = (
        f"POST /api/v1/chat HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with closing(socket.create_connection(("127.0.0.1", reference.port), 10)) as connection:
        connection.sendall(head.encode())
        for _ in range(17):
            connection.sendall(b"10000\r\n" + b" " * 65_536 + b"\r\n")
        # The last chunk was never sent, and the answer is here all the same.
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413 ")


def test_the_largest_body_is_read(client: httpx.Client) -> None:
    body = json.dumps(chat()).encode()
    padded = body + b" " * (1_048_576 - len(body))
    headers = {"Content-Type": "application/json"}
    assert client.post("/chat", content=padded, headers=headers).status_code == 200
    error(client.post("/chat", content=padded + b" ", headers=headers), 413, "PAYLOAD_TOO_LARGE")


def test_expect_continue_is_honoured(reference: ReferenceServer) -> None:
    body = json.dumps(chat("Repeat exactly: ok")).encode()
    request = post_bytes("/chat", body, headers="Expect: 100-continue\r\n")
    head, _, payload = request.partition(b"\r\n\r\n")
    with closing(socket.create_connection(("127.0.0.1", reference.port), 10)) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(payload)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("path", "body", "key", "status"),
    [
        ("/chat", b"not json", KEY, 400),
        ("/chat", b"{" * 200_000, "sk-wrong", 401),
        ("/nowhere", b"{" * 200_000, KEY, 404),
        ("/health", b"{" * 200_000, KEY, 405),
        ("/chat", b" " * 1_100_000, KEY, 413),
    ],
)
def test_a_connection_survives_a_refusal(
    reference: ReferenceServer, path: str, body: bytes, key: str, status: int
) -> None:
    with closing(reference.connection()) as connection:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request("POST", f"/api/v1{path}", body, headers)
        refused = connection.getresponse()
        assert refused.status == status
        refused.read()
        socket_used = connection.sock
        connection.request("GET", "/api/v1/health")
        assert connection.getresponse().read().startswith(b'{"status":"ok"')
        assert connection.sock is socket_used


def test_header_names_have_no_case(reference: ReferenceServer) -> None:
    headers = f"aCCEPT: application/problem+json\r\nIDEMPOTENCY-KEY: {'x' * 256}\r\n"
    body = json.dumps(chat()).encode()
    answer = reference.raw(post_bytes("/chat", body, headers=headers))
    assert b"application/problem+json" in answer
    assert b"IDEMPOTENCY_KEY_INVALID" in answer


def test_the_supported_version_is_honoured_and_others_are_refused(client: httpx.Client) -> None:
    assert client.get("/models", headers={"API-Version": "2026-11-01"}).headers["api-version"] == "2026-11-01"
    for path in ("/models", "/health"):
        refused = error(
            client.get(path, headers={"API-Version": "1999-01-01"}), 400, "UNSUPPORTED_API_VERSION"
        )
        assert refused["details"] == {"supported": ["2026-06-01", "2026-11-01"]}
        assert refused["param"] == "API-Version"


def test_a_valid_traceparent_is_continued(client: httpx.Client) -> None:
    answer = client.post("/chat", json=chat(), headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})
    assert answer.json()["metadata"]["trace_id"] == TRACE
    assert answer.headers["server-timing"].startswith(f'trace;desc="00-{TRACE}-')
    assert SPAN not in answer.headers["server-timing"]


@pytest.mark.parametrize("bad", [f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", "nonsense"])
def test_an_invalid_traceparent_starts_a_new_trace(client: httpx.Client, bad: str) -> None:
    answer = client.post("/chat", json=chat(), headers={"traceparent": bad, "tracestate": "a=b"})
    assert answer.status_code == 200
    trace_id = answer.json()["metadata"]["trace_id"]
    assert len(trace_id) == 32
    assert trace_id not in bad


def test_request_ids_are_unique_and_the_clients_id_is_echoed(client: httpx.Client) -> None:
    answers = [client.get("/health", headers={"X-Client-Request-Id": f"mine {n}"}) for n in range(5)]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 5
    assert answers[3].headers["x-client-request-id"] == "mine 3"
    too_long = client.get("/health", headers={"X-Client-Request-Id": "x" * 513})
    assert too_long.status_code == 200
    assert "x-client-request-id" not in too_long.headers


def test_a_browser_may_read_the_headers_that_matter(client: httpx.Client) -> None:
    origin = {"Origin": "https://app.example"}
    for answer in (client.get("/models", headers=origin), client.get("/nowhere", headers=origin)):
        assert answer.headers["access-control-allow-origin"] == "*"
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        for name in ("Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id", "Idempotency-Replayed",
                     "API-Version", "Deprecation", "Sunset"):  # fmt: skip
            assert name in exposed
    assert "access-control-allow-origin" not in client.get("/models").headers


def test_a_preflight_needs_no_key(reference: ReferenceServer) -> None:
    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    with reference.client(key=None) as anonymous:
        answer = anonymous.options("/chat", headers=headers)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-methods"] == "OPTIONS, POST"
    assert "Idempotency-Key" in answer.headers["access-control-allow-headers"]


@pytest.mark.parametrize(
    ("configured", "allowed"),
    [("https://app.example", "https://app.example"), ("https://b.example", None), (None, None)],
)
def test_only_the_configured_origin_is_allowed(configured: str | None, allowed: str | None) -> None:
    with ReferenceServer(Settings(cors_origin=configured)) as running, running.client() as caller:
        answer = caller.get("/models", headers={"Origin": "https://app.example"})
    assert answer.headers.get("access-control-allow-origin") == allowed


def test_urls_carry_the_prefix_an_outer_application_has_taken_off() -> None:
    def below(app: ReferenceApp) -> ASGIApp:
        async def outer(scope: Scope, receive: Receive, send: Send) -> None:
            path = scope["path"].removeprefix("/tenants/a")
            await app({**scope, "path": path, "aiconform.prefix": "/tenants/a"}, receive, send)

        return outer

    with ReferenceServer(Settings(), wrap=below) as running, running.client() as caller:
        base = f"http://127.0.0.1:{running.port}/tenants/a/api/v1"
        accepted = caller.post(f"{base}/chat", json=chat(deferred=True))
        link = accepted.headers["location"]
        assert link.startswith("/tenants/a/api/v1/chat/stream?turn_id=")
        assert accepted.json()["stream_url"] == link
        assert caller.get(f"http://127.0.0.1:{running.port}{link}").status_code == 200
        docs = caller.get(f"{base}/nowhere").json()["error"]["docs_url"]
        assert docs == f"{base}/errors/NOT_FOUND"
        assert caller.get(docs).status_code == 200


def test_a_malformed_host_is_not_repeated(reference: ReferenceServer) -> None:
    answer = reference.raw(b"GET /api/v1/x HTTP/1.1\r\nHost: evil/<script>\r\nConnection: close\r\n\r\n")
    assert b"evil" not in answer
    assert f"http://127.0.0.1:{reference.port}/api/v1/errors/NOT_FOUND".encode() in answer


def test_no_answer_waits_for_an_acknowledgement() -> None:
    async def nodelay() -> int:
        accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def look(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            accepted.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = listen("127.0.0.1", 0)
        async with await asyncio.start_server(look, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            writer.close()
            return await accepted

    assert asyncio.run(nodelay())
