"""The upstream engine against servers that answer well, badly, late and never."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from scripted_upstream import STREAM_HEAD, Script, chunk, refusal, scripted, usage

from reference_impl.engine.base import (
    Call,
    ContextExceededError,
    EngineError,
    Finish,
    InputFilteredError,
    Message,
    ModelTimeoutError,
    OverloadedError,
    TokenCounts,
    UpstreamBrokenError,
)
from reference_impl.engine.discover import UpstreamUnusableError, discover
from reference_impl.engine.models import ATLAS
from reference_impl.engine.upstream import Upstream, UpstreamEngine

DONE = b"data: [DONE]\n\n"
CALL = Call(
    model=ATLAS,
    messages=(Message("user", "hi"),),
    input_tokens=4,
    max_output_tokens=16,
    temperature=0.5,
    seed=7,
    scenario=None,
)


async def generated(script: Script, silence_s: float = 5.0) -> list[str | Finish]:
    """Everything the engine yields for `CALL`."""
    async with scripted(script) as url:
        engine = UpstreamEngine(Upstream(url, {ATLAS.id: "theirs"}, "sk-up", silence_s), (ATLAS,))
        try:
            async with aclosing(engine.generate(CALL)) as items:
                return [item async for item in items]
        finally:
            await engine.close()
            assert engine.gauge.active == 0


def run(script: Script, silence_s: float = 5.0) -> list[str | Finish]:
    return asyncio.run(generated(script, silence_s))


def test_the_request_is_translated_and_the_answer_counted_by_the_server() -> None:
    script = Script(
        STREAM_HEAD
        + chunk("")
        + chunk("Hel")
        + chunk("lo \u2028!")
        + chunk(None, "stop")
        + usage(11, 3)
        + DONE
    )
    assert run(script) == ["Hel", "lo \u2028!", Finish("stop", TokenCounts(11, 3))]
    assert script.requests == [
        {
            "model": "theirs",
            "messages": [{"role": "user", "content": "hi"}],
            "max_tokens": 16,
            "temperature": 0.5,
            "stream": True,
            "stream_options": {"include_usage": True},
            "seed": 7,
        }
    ]
    assert b"authorization: bearer sk-up" in script.heads[0].lower()


def test_a_server_without_usage_is_counted_by_pieces() -> None:
    assert run(Script(STREAM_HEAD + chunk("a") + chunk("b", "length") + DONE)) == ["a", "b", Finish("length")]


@pytest.mark.parametrize(
    "stream",
    [
        STREAM_HEAD + chunk("half a sen"),
        STREAM_HEAD + chunk("text") + DONE,
        STREAM_HEAD + b"data: {broken\n\n",
        STREAM_HEAD + b"data: [1]\n\n",
        STREAM_HEAD + chunk("x") + b'data: {"error": {"message": "no", "code": 500}}\n\n',
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 99999\r\n\r\n" + chunk("x"),
        b"nonsense\r\n\r\n",
        refusal(500),
        refusal(404, {"code": "model_not_found"}),
        refusal(401, {"code": "invalid_api_key"}),
        refusal(400, {"code": None, "message": "no"}),
    ],
)
def test_what_is_no_whole_answer_is_an_upstream_error(stream: bytes) -> None:
    with pytest.raises(UpstreamBrokenError):
        run(Script(stream))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (refusal(429, headers="Retry-After: 7\r\n"), OverloadedError(7)),
        (refusal(503), OverloadedError(1)),
        (refusal(429, headers="Retry-After: soon\r\n"), OverloadedError(1)),
        (refusal(400, {"code": "context_length_exceeded"}), ContextExceededError(4, ATLAS.context_window)),
        (refusal(400, {"message": "This model's maximum context length is 8"}), ContextExceededError(4, ATLAS.context_window)),
        (refusal(400, {"code": "content_filter"}), InputFilteredError(("upstream",))),
    ],
)  # fmt: skip
def test_refusals_keep_their_meaning(answer: bytes, expected: EngineError) -> None:
    with pytest.raises(type(expected)) as raised:
        run(Script(answer))
    assert vars(raised.value) == vars(expected)


def test_silence_is_a_model_timeout() -> None:
    with pytest.raises(ModelTimeoutError) as late:
        run(Script(STREAM_HEAD + chunk("x"), hold=True), silence_s=0.2)
    assert late.value.timeout_ms == 200


def test_closing_the_generation_closes_the_connection() -> None:
    async def leave() -> None:
        script = Script(STREAM_HEAD + chunk("first"), hold=True)
        async with scripted(script) as url:
            engine = UpstreamEngine(Upstream(url, {ATLAS.id: "theirs"}), (ATLAS,))
            generation = engine.generate(CALL)
            assert await anext(generation) == "first"
            await generation.aclose()
            await asyncio.wait_for(script.left.wait(), 5)
            await engine.close()

    asyncio.run(leave())


def test_nobody_there_is_an_upstream_error() -> None:
    async def ask() -> None:
        engine = UpstreamEngine(Upstream("http://127.0.0.1:9/v1", {ATLAS.id: "theirs"}), (ATLAS,))
        with pytest.raises(UpstreamBrokenError):
            await anext(engine.generate(CALL))
        await engine.close()

    asyncio.run(ask())


def json_answer(body: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )


def discovered(answer: bytes, names: dict[str, str]) -> tuple[dict[str, str], list[tuple[str, int]]]:
    async def ask() -> tuple[dict[str, str], list[tuple[str, int]]]:
        async with scripted(Script(answer)) as url:
            chosen, models = await asyncio.to_thread(discover, url, None, names, 4096)
            return chosen, [(m.id, m.context_window) for m in models]

    return asyncio.run(ask())


LIST = json_answer(
    b'{"data": [{"id": "llama", "max_model_len": 2048, "created": 1700000000}, {"id": "gpt"}]}'
)


def test_listed_models_are_published_with_their_windows() -> None:
    assert discovered(LIST, {}) == ({"llama": "llama", "gpt": "gpt"}, [("llama", 2048), ("gpt", 4096)])


def test_chosen_models_are_published_under_their_new_names() -> None:
    assert discovered(LIST, {"chat-1": "llama"}) == ({"chat-1": "llama"}, [("chat-1", 2048)])


def test_a_server_without_a_list_serves_the_models_that_were_named() -> None:
    assert discovered(refusal(404), {"chat-1": "llama"}) == ({"chat-1": "llama"}, [("chat-1", 4096)])


@pytest.mark.parametrize(
    ("answer", "names", "says"),
    [
        (LIST, {"a": "lama"}, "has no model 'lama'; it lists gpt, llama"),
        (refusal(404), {}, "name one with --upstream-model"),
        (refusal(401), {}, "refused the key"),
        (json_answer(b"[]"), {}, "does the URL end in /v1"),
        (b"junk\r\n\r\n", {}, "cannot reach"),
    ],
)
def test_an_unusable_upstream_is_one_clear_line(answer: bytes, names: dict[str, str], says: str) -> None:
    with pytest.raises(UpstreamUnusableError, match=says) as problem:
        discovered(answer, names)
    assert "\n" not in str(problem.value)
