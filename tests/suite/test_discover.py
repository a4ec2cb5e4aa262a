"""What ``aiconform init`` finds out, with at most ten calls."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from scripted_api import Answering, Asked, Reply, api, completion

from conformance.discover import MOST_CALLS, Discovered, NotDiscovered, discover
from conformance.target import Target

NOTHING = Reply({"message": "not found"}, 404)


def found(answering: Answering, *, path: str = "/v1", **more: Any) -> tuple[Discovered, list[Asked]]:
    with api(answering) as (url, asked):
        target = Target(url + path, "contract", keys={"main": "sk-1"}, model=more.pop("model", None))
        result = asyncio.run(discover(target, **more))
    assert result.calls == len(asked) <= MOST_CALLS
    return result, asked


def test_an_openai_compatible_server() -> None:
    def answering(asked: Asked) -> Reply:
        if asked.path == "/v1/models":
            return Reply({"data": [{"id": "embedder"}, {"id": "chatter"}]})
        if asked.path != "/v1/chat/completions":
            return NOTHING
        if asked.body["model"] == "embedder":
            return Reply({"error": {"message": "not a chat model"}}, 400)
        return completion(asked)

    result, _ = found(answering)
    assert (result.dialect, result.model, result.capabilities) == ("openai-chat", "chatter", {})


def test_a_model_that_wants_max_completion_tokens() -> None:
    def answering(asked: Asked) -> Reply:
        if asked.path == "/v1/models":
            return Reply({"data": [{"id": "o"}]})
        if asked.path != "/v1/chat/completions":
            return NOTHING
        if "max_tokens" in asked.body:
            return Reply(
                {"error": {"message": "x", "code": "unsupported_parameter", "param": "max_tokens"}}, 400
            )
        return completion(asked)

    assert found(answering)[0].dialect == "openai"


def test_anthropics_list_and_credential() -> None:
    def answering(asked: Asked) -> Reply:
        if asked.path == "/v1/models":
            return Reply({"data": [{"type": "model", "id": "c-1", "display_name": "C"}]})
        if (
            asked.path != "/v1/messages"
            or asked.headers.get("x-api-key") != "sk-1"
            or asked.body.get("stream")
        ):
            return NOTHING
        body = {
            "id": "m",
            "content": [{"type": "text", "text": "Red"}],
            "stop_reason": "end_turn",
            "model": "c-1",
        }
        return Reply(body)

    result, _ = found(answering)
    assert (result.dialect, result.model) == ("anthropic-messages", "c-1")
    assert result.capabilities == {"streaming": "not_offered"}
    assert result.notes == ["a streaming call was answered 404"]


def test_gemini_by_its_list() -> None:
    def answering(asked: Asked) -> Reply:
        if asked.path == "/v1beta/models":
            return Reply(
                {"models": [{"name": "models/g-1", "supportedGenerationMethods": ["generateContent"]}]}
            )
        if asked.path == "/v1beta/models/g-1:generateContent":
            return Reply({"candidates": [{"content": {"parts": [{"text": "Red"}]}, "finishReason": "STOP"}]})
        return NOTHING

    result, _ = found(answering, path="/v1beta")
    assert (result.dialect, result.model) == ("gemini", "g-1")


def test_the_contract_is_asked_for_first() -> None:
    def answering(asked: Asked) -> Reply:
        if asked.path == "/api/v1/capabilities":
            return Reply({"contract_version": "1.0.0", "capabilities": {"core": {}}})
        if asked.path == "/api/v1/chat":
            return Reply({"id": "c", "message": {"content": "Red"}, "finish_reason": "stop"})
        return NOTHING

    result, asked = found(answering, path="/api/v1")
    assert result.dialect == "contract"
    assert asked[0].path == "/api/v1/capabilities"


def test_a_dialect_that_is_given_is_not_guessed() -> None:
    def answering(asked: Asked) -> Reply:
        if asked.path != "/v1/responses":
            return NOTHING
        text = {"type": "message", "content": [{"type": "output_text", "text": "Red"}]}
        return Reply({"id": "r", "status": "completed", "output": [text]})

    result, asked = found(answering, dialect="openai-responses", model="m")
    assert (result.dialect, result.model) == ("openai-responses", "m")
    assert {a.path for a in asked} == {"/v1/models", "/v1/responses"}


def test_nothing_that_is_understood() -> None:
    with api(lambda asked: NOTHING) as (url, asked):
        with pytest.raises(NotDiscovered, match=r"no dialect was understood \(GET /v1/capabilities: 404"):
            asyncio.run(discover(Target(f"{url}/v1", "contract")))
    assert len(asked) <= MOST_CALLS


def test_nobody_there() -> None:
    with pytest.raises(NotDiscovered, match="cannot reach http://127.0.0.1:9/v1: cannot connect"):
        asyncio.run(discover(Target("http://127.0.0.1:9/v1", "contract")))
