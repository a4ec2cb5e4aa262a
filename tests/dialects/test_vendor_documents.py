"""What the dialects send is valid by the vendors' own documents, and the answers shown there are read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema.exceptions import best_match
from small_dialects import events, exchange
from transcript_files import spoken
from vendor_documents import (
    cohere_examples,
    discovery_schema,
    document,
    openai_examples,
    schema_at,
)

from conformance.dialects.interpret import read_answer, read_stream
from conformance.dialects.request import build_request
from conformance.target import Target
from conformance.wire.sse import parse_sse

CALL: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Name three colours."},
    ],
    "model": "m-1",
    "max_output_tokens": 32,
    "temperature": 0.5,
    "seed": 7,
}
COHERE = "/paths/~1v2~1chat/post/requestBody/content/application~1json/schema"
AZURE = "/paths/~1deployments~1{deployment-id}~1chat~1completions/post/requestBody/content/application~1json/schema"
VALIDATORS = {
    "openai-chat": lambda: schema_at("/components/schemas/CreateChatCompletionRequest", "openai"),
    "openai": lambda: schema_at("/components/schemas/CreateChatCompletionRequest", "openai"),
    "openai-responses": lambda: schema_at("/components/schemas/CreateResponse", "openai"),
    "anthropic-messages": lambda: schema_at("/components/schemas/CreateMessageParams", "anthropic"),
    "anthropic-messages-2026": lambda: schema_at("/components/schemas/CreateMessageParams", "anthropic"),
    "gemini": lambda: discovery_schema("GenerateContentRequest"),
    "cohere-v2": lambda: schema_at(COHERE, "cohere"),
    "azure-openai": lambda: schema_at(AZURE, "openai", "azure"),
}


@pytest.mark.parametrize("operation", ["chat", "chat_stream"])
@pytest.mark.parametrize("name", VALIDATORS)
def test_a_request_is_valid_by_the_vendors_document(name: str, operation: str) -> None:
    for params in (CALL, {"model": "m-1", "prompt": "Hi"}):
        sent = build_request(spoken(name), operation, params, Target("http://127.0.0.1/v1", name), "none")
        body = json.loads(sent.body)
        worst = best_match(VALIDATORS[name]().iter_errors(body))
        assert worst is None, f"{worst.json_path}: {worst.message[:300]}"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("openai-chat", {"model": "m", "messages": 7}),
        ("openai-responses", {"model": "m", "input": 7}),
        ("anthropic-messages", {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}),
        ("gemini", {"contents": [], "max_tokens": 7}),
        ("cohere-v2", {"model": "m", "messages": 7, "stream": True}),
        ("azure-openai", {"messages": 7}),
    ],
)
def test_the_documents_do_refuse(name: str, wrong: Any) -> None:
    assert not VALIDATORS[name]().is_valid(wrong)


@pytest.mark.parametrize(
    ("name", "protocol", "provider"),
    [
        ("openai-chat", "openai", "official"),
        ("openai-responses", "openai", "official"),
        ("azure-openai", "openai", "azure"),
        ("anthropic-messages", "anthropic", "official"),
        ("cohere-v2", "cohere", "official"),
    ],
)
def test_every_operation_is_in_the_vendors_document(name: str, protocol: str, provider: str) -> None:
    paths = {
        p.split("?")[0]: list(operations) for p, operations in document(protocol, provider)["paths"].items()
    }
    for operation in spoken(name).operations.values():
        path = operation.path if protocol != "anthropic" else f"/v1{operation.path}"
        found = next((p for p in paths if _alike(p, path)), None)
        assert found is not None, path
        assert operation.method.lower() in paths[found]


def test_every_operation_of_gemini_is_in_googles_document() -> None:
    methods = document("gemini")["resources"]["models"]["methods"].values()
    known = {
        (m["httpMethod"], m["flatPath"].removeprefix("v1beta").replace("{modelsId}", "{model}"))
        for m in methods
    }
    assert {(o.method, o.path) for o in spoken("gemini").operations.values()} <= known


def _alike(documented: str, path: str) -> bool:
    parts, others = documented.split("/"), path.split("/")
    return len(parts) == len(others) and all(
        a == b or (a.startswith("{") and b.startswith("{")) for a, b in zip(parts, others, strict=True)
    )


# ---- answers that the documents show

CHAT = [(t, text) for t, text in openai_examples("/chat/completions")]
RESPONSES = [(t, text) for t, text in openai_examples("/responses")]


@pytest.mark.parametrize(("name", "title", "text"), [("openai-chat", *e) for e in CHAT] + [("openai-responses", *e) for e in RESPONSES])  # fmt: skip
def test_an_answer_of_openais_document_is_read(name: str, title: str, text: str) -> None:
    dialect = spoken(name)
    if title == "Streaming":
        _read_openais_stream(name, text)
        return
    found = read_answer(dialect, exchange(json.loads(text)))
    for fact in ("response_id", "model_version", "usage.input", "usage.output", "usage.total"):
        assert found[fact], fact
    assert found["text"] or found["finish_reason"].value == "tool_call"
    assert found["finish_reason"].value in ("stop", "length", "tool_call")


def _read_openais_stream(name: str, text: str) -> None:
    if name == "openai-chat":  # shown as bare chunks
        chunks = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        stream = read_stream(spoken(name), events(*chunks))
        assert stream.finish_reason == "stop"
    else:
        answer = exchange(raw=text.encode() + b"\n\n", content_type="text/event-stream")
        assert parse_sse([(0.0, answer.raw)]).events
        stream = read_stream(spoken(name), answer)
        assert (stream.finish_reason, len(stream.terminals)) == ("stop", 1)
        assert stream.usage
    assert stream.text
    assert stream.response_ids
    assert (stream.invalid, stream.errors) == ((), ())


@pytest.mark.parametrize("example", document("anthropic")["components"]["schemas"]["Message"]["examples"])
def test_an_answer_of_anthropics_document_is_read(example: Any) -> None:
    found = read_answer(spoken("anthropic-messages"), exchange(example))
    assert (found["text"].value, found["finish_reason"].value) == ("Hi! My name is Claude.", "stop")
    assert (found["usage.input"].value, found["usage.output"].value) == (2095, 503)


@pytest.mark.parametrize(("title", "shown"), cohere_examples())
def test_an_answer_of_coheres_document_is_read(title: str, shown: Any) -> None:
    dialect = spoken("cohere-v2")
    if isinstance(shown, list):
        parts = [part.get("data", part) for part in shown]
        answer = events(*parts, names={n: part["type"] for n, part in enumerate(parts)})
        stream = read_stream(dialect, answer)
        assert len(stream.terminals) == 1
        assert stream.finish_reason in ("stop", "tool_call")
        assert stream.text or stream.finish_reason == "tool_call"
        return
    found = read_answer(dialect, exchange(shown))
    assert found["response_id"]
    assert found["text"] or found["finish_reason"].value == "tool_call"
    assert found["finish_reason"].value in ("stop", "tool_call")


def test_the_vendors_enums_are_mapped() -> None:
    """A value of the documents that a map does not name would be read as ``other`` without anybody noticing."""
    anthropic = document("anthropic")["components"]["schemas"]["StopReason"]["enum"]
    gemini = document("gemini")["schemas"]["Candidate"]["properties"]["finishReason"]["enum"]
    cohere = document("cohere")["components"]["schemas"]["ChatFinishReason"]["enum"]
    assert set(anthropic) <= _mapped("anthropic-messages")
    assert set(cohere) <= _mapped("cohere-v2")
    unmapped = {"FINISH_REASON_UNSPECIFIED", "LANGUAGE", "OTHER", "ESCALATION"}
    odd = {e for e in gemini if e.startswith(("IMAGE_", "NO_IMAGE", "MISSING_"))}
    assert set(gemini) <= _mapped("gemini") | unmapped | odd


def _mapped(name: str) -> set[str]:
    sources = spoken(name).answer["finish_reason"].sources
    return {key for source in sources for key in (source.mapping or {})}
