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
from reference_impl.engine.models import ATLAS, Catalogue
from reference_impl.engine.tokens import count_messages, estimate_messages
from reference_impl.engine.upstream import Asking, Upstream, UpstreamEngine

DONE = b"data: [DONE]\n\n"
WINDOW = ATLAS.context_window
_BODY = chunk("a", "stop") + usage(4, 1) + DONE
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"%x\r\n%b\r\n0\r\n\r\n" % (len(_BODY), _BODY)
)
CALL = Call(
    model=ATLAS,
    messages=(Message("user", "hi"),),
    input_tokens=4,
    max_output_tokens=16,
    temperature=0.5,
    seed=7,
    scenario=None,
)


def engine_at(url: str, silence_s: float = 5.0) -> UpstreamEngine:
    return UpstreamEngine(
        Asking(Upstream(url, {ATLAS.id: "theirs"}, "sk-up", silence_s)), Catalogue((ATLAS,))
    )


async def generated(script: Script, silence_s: float = 5.0, call: Call = CALL) -> list[str | Finish]:
    """Everything the engine yields for a call."""
    async with scripted(script) as url:
        engine = engine_at(url, silence_s)
        try:
            async with aclosing(await engine.start(call)) as items:
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


def test_a_server_without_usage_is_counted_by_pieces_and_that_is_said() -> None:
    guess = Finish("length", TokenCounts(4, 2, estimated=True))
    assert run(Script(STREAM_HEAD + chunk("a") + chunk("b", "length") + DONE)) == ["a", "b", guess]
    zero = Script(STREAM_HEAD + chunk("a") + chunk("b", "length") + usage(0, 0) + DONE)
    assert run(zero) == ["a", "b", guess]


def test_a_server_that_ignores_the_limit_is_stopped_at_it() -> None:
    script = Script(STREAM_HEAD + b"".join(chunk(f"{n} ") for n in range(16)) + chunk("more"), hold=True)
    *said, finish = run(script)
    assert (len(said), finish) == (16, Finish("length", TokenCounts(4, 16, estimated=True)))


def test_estimates_refuse_nothing_that_fits() -> None:
    """Of what encodings make one token of, a run of marks and part of a long word, no more are counted."""
    rules = (Message("user", "=" * 400 + " a table " + "-" * 200),)
    assert (estimate_messages(rules), count_messages(rules)) == (3 + 25 + 2 + 13, 3 + 602)
    assert estimate_messages((Message("user", "x" * 160_000),)) == 3 + 10_000


@pytest.mark.parametrize(
    "stream",
    [
        STREAM_HEAD + chunk("half a sen"),
        STREAM_HEAD + chunk("text") + DONE,
        STREAM_HEAD + b"data: {broken\n\n",
        STREAM_HEAD + b"data: [1]\n\n",
        STREAM_HEAD + b'data: {"choices": [7], "usage": []}\n\n' + DONE,
        STREAM_HEAD + b'data: {"error": "just words"}\n\n' + DONE,
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
        (refusal(529), OverloadedError(1)),
        (refusal(429, headers="Retry-After: Wed, 01 Jan 2020 00:00:00 GMT\r\n"), OverloadedError(1)),
        (refusal(429, headers="Retry-After: Fri, 01 Jan 2100 00:00:00 GMT\r\n"), OverloadedError(3600)),
        # At least one more than fits, where the server tells no numbers.
        (refusal(400, {"code": "context_length_exceeded"}), ContextExceededError(WINDOW + 1, WINDOW)),
        (refusal(400, {"message": "This model's maximum context length is 8 tokens. However, your messages resulted in 11 tokens."}), ContextExceededError(11, 8)),
        (refusal(400, {"message": "This model's maximum context length is 8 tokens. However, you requested 300 tokens (9 in the messages, 291 in the completion)."}), ContextExceededError(300, 8)),
        (refusal(400, {"type": "exceed_context_size_error", "code": 400, "message": "too large", "n_prompt_tokens": 90, "n_ctx": 64}), ContextExceededError(90, 64)),
        (STREAM_HEAD + b'data: {"error": {"code": "context_length_exceeded"}}\n\n', ContextExceededError(WINDOW + 1, WINDOW)),
        (STREAM_HEAD + b'data: {"error": {"code": "content_filter"}}\n\n', InputFilteredError(("upstream",))),
        (STREAM_HEAD + chunk("x") + b'data: {"error": {"type": "overloaded_error", "code": null}}\n\n', OverloadedError(1)),
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
            engine = engine_at(url)
            generation = await engine.start(CALL)
            assert await anext(aiter(generation)) == "first"
            await generation.aclose()
            await asyncio.wait_for(script.left.wait(), 5)
            await engine.close()

    asyncio.run(leave())


def test_a_late_consent_holds_up_nobody_and_a_late_refusal_is_raised_by_the_generation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some servers send the head of their answer with the first token."""
    monkeypatch.setattr("reference_impl.engine.upstream._ADMISSION_S", 0.01)

    async def ask(script: Script) -> list[str | Finish]:
        async with scripted(script) as url:
            engine = engine_at(url)
            generation = await engine.start(CALL)
            script.go.set()
            async with aclosing(generation):
                items = [item async for item in generation]
            await engine.close()
            return items

    answer = STREAM_HEAD + chunk("late", "stop") + usage(5, 1) + DONE
    assert asyncio.run(ask(Script(answer, wait=True)))[0] == "late"
    with pytest.raises(OverloadedError):
        asyncio.run(ask(Script(refusal(503), wait=True)))


def test_who_leaves_before_the_consent_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reference_impl.engine.upstream._ADMISSION_S", 0.01)

    async def leave() -> None:
        script = Script(b"", hold=True)
        async with scripted(script) as url:
            engine = engine_at(url)
            generation = await engine.start(CALL)
            await asyncio.wait_for(script.asked.wait(), 5)
            await generation.aclose()
            await asyncio.wait_for(script.left.wait(), 5)
            assert engine.gauge.active == 0
            await engine.close()

    asyncio.run(leave())


def test_a_connection_is_used_again() -> None:
    async def twice() -> int:
        script = Script(CHUNKED, again=True)
        async with scripted(script) as url:
            engine = engine_at(url)
            for _ in range(2):
                async with aclosing(await engine.start(CALL)) as items:
                    assert [item async for item in items][:1] == ["a"]
            await engine.close()
        return script.connections

    assert asyncio.run(twice()) == 1


def test_nobody_there_is_an_upstream_error() -> None:
    async def ask() -> None:
        engine = engine_at("http://127.0.0.1:9/v1")
        with pytest.raises(UpstreamBrokenError):
            await engine.start(CALL)
        await engine.close()

    asyncio.run(ask())
