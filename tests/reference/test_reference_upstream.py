"""The whole contract in front of another server: of our own facade, and of servers that break in every way."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import openai
import pytest
from reference_server import KEY, WAIT_S, ReferenceServer, chat, error, events
from scripted_upstream import STREAM_HEAD, Script, chunk, json_answer, refusal, scripted, usage

from reference_impl.engine.discover import EVERY, Told, discover
from reference_impl.engine.upstream import Asking, Upstream, UpstreamEngine
from reference_impl.engine.upstream_tools import UpstreamPlanner
from reference_impl.settings import Settings

DONE = b"data: [DONE]\n\n"
HTML = b"HTTP/1.1 500 No\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<h1>Oh no</h1>"
LIST = json_answer(b'{"data": [{"id": "theirs", "max_model_len": 4096}]}')


def engine_for(
    url: str, key: str | None = None, *, tools: bool = False, silence_s: float = 5.0
) -> UpstreamEngine:
    names, catalogue = discover(url, key, Told(windows={EVERY: 4096}))
    asking = Asking(Upstream(url, names, key, silence_s))
    return UpstreamEngine(asking, catalogue, UpstreamPlanner(asking) if tools else None)


@contextmanager
def broken_by(script: Script) -> Iterator[str]:
    """The URL of a scripted server that runs in a thread."""
    script.models = LIST
    started, url, loop = threading.Event(), "", asyncio.new_event_loop()

    async def serve() -> None:
        nonlocal url
        async with scripted(script) as url:
            started.set()
            await stop.wait()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert started.wait(WAIT_S)
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(WAIT_S)
        loop.close()


@contextmanager
def in_front_of(script: Script, **options: Any) -> Iterator[ReferenceServer]:
    with broken_by(script) as url, ReferenceServer(Settings(), engine=engine_for(url, **options)) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(reference: ReferenceServer) -> Iterator[ReferenceServer]:
    """The contract in front of the reference's own facade."""
    engine = engine_for(f"{reference.origin}/openai/v1", KEY)
    with ReferenceServer(Settings(), engine=engine) as server:
        yield server


@pytest.fixture
def client(gateway: ReferenceServer) -> Iterator[httpx.Client]:
    with gateway.client() as opened:
        yield opened


def test_what_the_upstream_has_is_offered_and_nothing_else(client: httpx.Client) -> None:
    listed = {m["id"]: m for m in client.get("/models").json()["data"]}
    assert listed["atlas-mini"]["context_window"] == 2048
    assert listed["atlas-mini"]["prices"]["known"] is False
    told = client.get("/capabilities").json()
    assert told["default_model"] in listed
    offered = told["capabilities"]
    assert offered["context"]["strategies"] == ["error"]
    assert not offered.keys() & {"confidence", "jobs", "webhooks", "estimation", "agents", "tools"}
    assert {"core", "streaming", "idempotency", "websocket", "usage.query", "scopes"} <= offered.keys()
    assert not {"tool_loop", "tool_error"} & set(offered["sandbox"]["scenarios"])
    assert not any("cost" in tier for tier in offered["rate_limits"]["tiers"])


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/classify", {"text": "Where is my parcel?"}),
        ("POST", "/analyze-document", {"document": "Where is my parcel?"}),
        ("GET", "/jobs", None),
        ("POST", "/webhooks", {"url": "https://example.com/hook"}),
        ("POST", "/estimate", chat()),
        ("POST", "/count-tokens", chat()),
        ("GET", "/tools", None),
        ("POST", "/agent/runs", chat()),
    ],
)
def test_what_is_not_offered_is_not_found(client: httpx.Client, method: str, path: str, body: Any) -> None:
    assert "GET /capabilities" in error(client.request(method, path, json=body), 404, "NOT_FOUND")["message"]


def test_an_answer_is_the_upstreams_with_its_tokens(client: httpx.Client) -> None:
    body = client.post("/chat", json=chat("Repeat exactly: one two three", model="atlas-mini")).json()
    assert body["message"]["content"] == "one two three"
    used = body["metadata"]["tokens_used"]
    assert (used["input"], used["output"], "estimated" in used) == (9, 3, False)
    assert body["metadata"]["model_version"] == "atlas-mini"
    assert body["metadata"]["context"]["input_tokens"] == 9
    assert body["metadata"]["cost"]["known"] is False


def test_the_same_as_a_stream(client: httpx.Client) -> None:
    answer = client.post("/chat", json=chat("Repeat exactly: one two three", stream=True))
    told = events(answer.text)
    assert "".join(e["token"] for e in told if e["type"] == "token") == "one two three"
    assert told[-1]["metadata"]["tokens_used"]["total"] == 12
    assert answer.text.endswith(DONE.decode())


def test_a_session_is_told_to_the_upstream(client: httpx.Client) -> None:
    session = client.post("/sessions", json={}).json()["session_id"]
    first = client.post("/chat", json=chat("Repeat exactly: blue", session_id=session)).json()
    second = client.post("/chat", json=chat("And now?", session_id=session)).json()
    assert second["metadata"]["tokens_used"]["input"] > first["metadata"]["tokens_used"]["input"]
    assert len(client.get(f"/sessions/{session}").json()["messages"]) == 4


def test_a_key_executes_once_upstream(client: httpx.Client, reference: ReferenceServer) -> None:
    before = reference.app.services.engine.gauge.generated
    request = chat("Repeat exactly: a b c", idempotency_key="upstream-once")
    first, again = (client.post("/chat", json=request) for _ in range(2))
    assert again.headers["idempotency-replayed"] == "true"
    assert first.content == again.content
    assert reference.app.services.engine.gauge.generated - before == 3


def test_usage_is_kept_without_a_price(client: httpx.Client) -> None:
    trace = client.post("/chat", json=chat("Repeat exactly: yes")).json()["metadata"]["trace_id"]
    report = client.get("/usage", params={"trace_id": trace}).json()
    assert report["total"]["cost"] == {"amount": "0", "currency": "USD", "known": False}
    assert report["data"][0]["cost"]["known"] is False


def test_a_strategy_that_needs_a_count_is_refused(client: httpx.Client) -> None:
    answer = client.post("/chat", json=chat(context_policy={"strategy": "truncate_oldest"}))
    assert error(answer, 400, "INVALID_REQUEST")["param"] == "/context_policy/strategy"


def test_an_answer_beyond_the_callers_limit_is_none(client: httpx.Client) -> None:
    """The estimate lets it pass, the upstream counts more: one token for each mark."""
    request = chat("=" * 16, context_policy={"max_input_tokens": 10})
    details = error(client.post("/chat", json=request), 400, "CONTEXT_LENGTH_EXCEEDED")["details"]
    assert (details["input_tokens"], details["max_tokens"]) == (19, 10)
    told = events(client.post("/chat", json={**request, "stream": True}).text)
    assert told[-1]["error"]["code"] == "CONTEXT_LENGTH_EXCEEDED"


def test_the_official_sdk_speaks_to_it(gateway: ReferenceServer) -> None:
    with openai.OpenAI(base_url=f"{gateway.origin}/openai/v1", api_key=KEY, max_retries=0) as sdk:
        assert "atlas-mini" in [m.id for m in sdk.models.list()]
        asked: Any = {"model": "atlas-mini", "messages": [{"role": "user", "content": "Repeat exactly: a b"}]}
        whole = sdk.chat.completions.create(**asked)
        assert (whole.choices[0].message.content, whole.usage and whole.usage.completion_tokens) == ("a b", 2)
        parts = sdk.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
        chunks = list(parts)
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "a b"
        assert chunks[-1].usage is not None
        assert chunks[-1].usage == whole.usage


def test_leaving_stops_the_upstream(reference: ReferenceServer, gateway: ReferenceServer) -> None:
    request = chat("Tell me something", stream=True, sandbox={"scenario": "slow_tokens", "delay_ms": 200})
    with gateway.client() as client, client.stream("POST", "/chat", json=request) as answer:
        lines = answer.iter_lines()
        while "token" not in next(lines):
            pass
        assert gateway.app.services.engine.gauge.active == 1
    gateway.eventually(lambda: gateway.app.services.engine.gauge.active == 0)
    reference.eventually(lambda: reference.app.services.engine.gauge.active == 0)


REFUSED = [
    (refusal(429, headers="Retry-After: 7\r\n"), 503, "MODEL_OVERLOADED"),
    (refusal(503), 503, "MODEL_OVERLOADED"),
    (HTML, 502, "UPSTREAM_ERROR"),
    (refusal(401, {"code": "invalid_api_key"}), 502, "UPSTREAM_ERROR"),
    (refusal(504), 504, "MODEL_TIMEOUT"),
    (refusal(400, {"code": "context_length_exceeded"}), 400, "CONTEXT_LENGTH_EXCEEDED"),
    (refusal(400, {"code": "content_filter"}), 400, "CONTENT_FILTER_TRIGGERED"),
    (b"", 502, "UPSTREAM_ERROR"),
]


@pytest.mark.parametrize(("answer", "status", "code"), REFUSED)
def test_a_refusal_has_its_status_whole_and_streamed(answer: bytes, status: int, code: str) -> None:
    with in_front_of(Script(answer)) as server, server.client() as client:
        for streamed in (False, True):
            refused = client.post("/chat", json=chat(stream=streamed))
            envelope = error(refused, status, code)
            if b"Retry-After: 7" in answer:
                assert refused.headers["retry-after"] == "7"
                assert envelope["details"]["retry_after_seconds"] == 7


BROKEN = [
    STREAM_HEAD + chunk("half a sen"),
    STREAM_HEAD + chunk("half") + DONE,
    STREAM_HEAD + chunk("half") + b"data: {broken\n\n",
    STREAM_HEAD + chunk("half") + b'data: {"error": {"message": "secret words", "code": 500}}\n\n',
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9999\r\n\r\n" + chunk("half"),
]


@pytest.mark.parametrize("answer", BROKEN)
def test_a_broken_stream_ends_with_an_error_never_clean(answer: bytes) -> None:
    with in_front_of(Script(answer)) as server, server.client() as client:
        error(client.post("/chat", json=chat()), 502, "UPSTREAM_ERROR")
        text = client.post("/chat", json=chat(stream=True)).text
        told = events(text)
        assert told[-1]["error"]["code"] == "UPSTREAM_ERROR"
        assert told[-1]["metadata"]["tokens_used"]["estimated"] is True
        assert "[DONE]" not in text
        assert "secret words" not in text
        completion = {"model": "theirs", "messages": [{"role": "user", "content": "hi"}], "stream": True}
        facade = client.post(f"{server.origin}/openai/v1/chat/completions", json=completion).text
        assert '"error"' in facade
        assert "[DONE]" not in facade


def test_a_server_that_hangs_is_a_timeout() -> None:
    script = Script(STREAM_HEAD + chunk("half"), hold=True)
    with in_front_of(script, silence_s=0.2) as server, server.client() as client:
        error(client.post("/chat", json=chat()), 504, "MODEL_TIMEOUT")
        told = events(client.post("/chat", json=chat(stream=True)).text)
        assert told[-1]["error"]["code"] == "MODEL_TIMEOUT"


def test_a_server_without_usage_is_said_to_be_estimated() -> None:
    with in_front_of(Script(STREAM_HEAD + chunk("one ") + chunk("two", "stop") + DONE)) as server:
        with server.client() as client:
            used = client.post("/chat", json=chat()).json()["metadata"]["tokens_used"]
            assert (used["output"], used["estimated"]) == (2, True)


def calls(*wishes: tuple[str, str]) -> bytes:
    """A chunk with tool calls, whose arguments come in a second one."""
    heads = [
        {"index": n, "id": f"c{n}", "type": "function", "function": {"name": name, "arguments": text[:3]}}
        for n, (name, text) in enumerate(wishes)
    ]
    rests = [{"index": n, "function": {"arguments": text[3:]}} for n, (_, text) in enumerate(wishes)]
    told = [{"choices": [{"index": 0, "delta": {"tool_calls": part}}]} for part in (heads, rests)]
    return b"".join(f"data: {json.dumps(body)}\n\n".encode() for body in told)


class Turns(Script):
    """Answers one after the other; the last one again and again."""

    def __init__(self, *answers: bytes) -> None:
        super().__init__(answers[0])
        self._answers = list(answers)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.answer = self._answers[min(len(self.requests), len(self._answers) - 1)]
        await super().__call__(reader, writer)


def test_an_agent_uses_tools_through_the_upstream() -> None:
    script = Turns(
        STREAM_HEAD
        + calls(("calculator", '{"expression": "6 * 7"}'), ("calculator", "{oops"))
        + chunk(None, "tool_calls")
        + usage(50, 20)
        + DONE,
        STREAM_HEAD + chunk("It is 42.", "stop") + usage(80, 5) + DONE,
    )
    with in_front_of(script, tools=True) as server, server.client() as client:
        assert {"agents", "tools"} <= client.get("/capabilities").json()["capabilities"].keys()
        request = chat("What is it?", tools=["calculator"], tool_choice="required")
        body = client.post("/agent/runs", json=request).json()
    assert (body["status"], body["finish_reason"], body["steps"]) == ("complete", "stop", 1)
    assert body["message"]["content"] == "It is 42."
    assert [c["status"] for c in body["tool_calls"]] == ["succeeded", "failed"]
    assert body["metadata"]["tokens_used"]["input"] == 130
    assert body["metadata"]["tokens_used"]["output"] == 25
    first, second = script.requests
    assert [t["function"]["name"] for t in first["tools"]] == ["calculator"]
    assert (first["tool_choice"], second["tool_choice"]) == ("required", "auto")
    asked, good, bad = second["messages"][1:]
    assert [c["function"]["arguments"] for c in asked["tool_calls"]] == ['{"expression": "6 * 7"}', "{oops"]
    assert [m["tool_call_id"] for m in (good, bad)] == [c["id"] for c in asked["tool_calls"]]
    assert "42" in good["content"]
    assert "error" in bad["content"]


def test_an_action_of_the_upstreams_model_waits_for_a_person() -> None:
    entry = '{"amount": "1.00", "currency": "EUR", "memo": "upstream"}'
    script = Turns(
        STREAM_HEAD + calls(("record_entry", entry)) + chunk(None, "tool_calls") + usage(50, 20) + DONE,
        STREAM_HEAD + chunk("Done.", "stop") + usage(80, 5) + DONE,
    )
    with in_front_of(script, tools=True) as server, server.client() as client:
        run = client.post("/agent/runs", json=chat("Record it.")).json()
        assert run["status"] == "requires_action"
        [call] = run["tool_calls"]
        decision = {"decisions": [{"tool_call_id": call["id"], "approve": True}]}
        after = client.post(f"/agent/runs/{run['id']}/approvals", json=decision).json()
    assert (after["status"], after["message"]["content"]) == ("complete", "Done.")
    assert after["tool_calls"][0]["status"] == "succeeded"
    assert after["metadata"]["tokens_used"]["total"] == 85


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (STREAM_HEAD + calls(("calculator", '{"expression": "1"}')), 502, "UPSTREAM_ERROR"),
        (refusal(429), 503, "MODEL_OVERLOADED"),
    ],
)
def test_half_a_call_is_not_run(answer: bytes, status: int, code: str) -> None:
    with in_front_of(Script(answer), tools=True) as server, server.client() as client:
        error(client.post("/agent/runs", json=chat("What is 1?")), status, code)


def test_a_call_cut_off_by_the_limit_is_incomplete() -> None:
    cut = STREAM_HEAD + calls(("calculator", '{"expression": "1')) + chunk(None, "length") + DONE
    with in_front_of(Script(cut), tools=True) as server, server.client() as client:
        run = client.post("/agent/runs", json=chat("What is 1?", max_output_tokens=8)).json()
    assert (run["finish_reason"], run["tool_calls"][0]["status"]) == ("length", "incomplete")
    assert run["metadata"]["tokens_used"]["estimated"] is True
