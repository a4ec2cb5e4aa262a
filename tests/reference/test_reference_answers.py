"""What the operations answer."""

from __future__ import annotations

import httpx
import pytest
from reference_server import chat, error

from reference_impl.engine.sandbox import SCENARIOS


def test_a_chat_answer_has_the_whole_metadata_block(client: httpx.Client) -> None:
    answer = client.post("/chat", json=chat("Repeat exactly: Hello, you!"))
    body = answer.json()
    assert body.keys() == {"id", "message", "finish_reason", "metadata"}
    assert body["message"] == {"role": "assistant", "content": "Hello, you!"}
    assert body["finish_reason"] == "stop"
    metadata = body["metadata"]
    assert metadata["request_id"] == answer.headers["x-request-id"]
    assert metadata["model_version"] == "atlas-1-2026-06-01"
    assert isinstance(metadata["latency_ms"], int)
    # Repeat exactly : Hello , you ! and the overhead of one message; then Hello , you !
    assert metadata["tokens_used"] == {
        "input": 10, "output": 4, "total": 14, "cached_input": 0, "reasoning_output": 0
    }  # fmt: skip
    assert metadata["sources_used"] == []
    assert metadata["cost"] == {"amount": "0.000026", "currency": "USD", "price_version": "2026-06-01"}


@pytest.mark.parametrize(
    "text",
    [
        "\u65e5\u672c\u8a9e",
        "\U0001f469\u200d\U0001f467",
        "e\u0301",
        "\u05e9\u05dc\u05d5\u05dd",
        " a\n\n\tb ",
        "\u2028",
    ],
)
def test_text_comes_back_exactly(client: httpx.Client, text: str) -> None:
    body = client.post("/chat", json=chat(f"Repeat exactly: {text}")).json()
    assert body["message"]["content"] == text


def test_an_answer_is_cut_at_max_output_tokens(client: httpx.Client) -> None:
    body = client.post("/chat", json=chat("Repeat exactly: a b c d", max_output_tokens=2)).json()
    assert (body["message"]["content"], body["finish_reason"]) == ("a b ", "length")
    assert body["metadata"]["tokens_used"]["output"] == 2


@pytest.mark.parametrize("fields", [{"temperature": 0}, {"seed": 3}])
def test_determinism_on_request(client: httpx.Client, fields: dict[str, int]) -> None:
    first, second = (client.post("/chat", json=chat(**fields)).json() for _ in range(2))
    assert first["message"] == second["message"]
    assert first["id"] != second["id"]


def test_a_seed_and_a_prompt_make_a_difference(client: httpx.Client) -> None:
    bodies = [chat(seed=1), chat(seed=2), chat("Other words", seed=1), chat(), chat()]
    texts = [client.post("/chat", json=body).json()["message"]["content"] for body in bodies]
    assert len(set(texts)) == 5


def test_the_context_window_is_exact(client: httpx.Client) -> None:
    fits = chat("word " * 2045, model="atlas-mini", max_output_tokens=1)
    assert client.post("/chat", json=fits).json()["metadata"]["tokens_used"]["input"] == 2048
    refused = client.post("/chat", json=chat("word " * 2046, model="atlas-mini"))
    details = error(refused, 400, "CONTEXT_LENGTH_EXCEEDED")["details"]
    assert (details["input_tokens"], details["max_tokens"]) == (2049, 2048)
    assert details["suggestion"]


def test_a_model_is_named_by_id_or_alias(client: httpx.Client) -> None:
    for model in client.get("/models").json()["data"]:
        for name in (model["id"], *model["aliases"]):
            answer = client.post("/chat", json=chat(model=name, max_output_tokens=1))
            assert answer.json()["metadata"]["model_version"] == model["id"]
            assert client.get(f"/models/{name}").json() == model
    assert error(client.get("/models/nobody"), 404, "MODEL_NOT_FOUND")["param"] == "model_id"


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("I was charged twice, please refund the invoice", "billing"),
        ("The app crashes with an error after the update", "technical"),
        ("I cannot login, reset my password", "account"),
        ("My parcel was not delivered, where is the courier?", "shipping"),
        ("Good morning", "other"),
    ],
)
def test_texts_are_classified(client: httpx.Client, text: str, category: str) -> None:
    body = client.post("/classify", json={"text": text, "min_confidence": 0}).json()
    assert body["category"] == category
    confidences = [body["confidence"], *(other["confidence"] for other in body["alternatives"])]
    assert confidences == sorted(confidences, reverse=True)
    assert sum(confidences) <= 1
    assert category not in [other["category"] for other in body["alternatives"]]
    threshold = body["metadata"]["confidence"]["threshold"]
    assert body["requires_human_review"] is (body["confidence"] < threshold)
    assert body["metadata"]["confidence"]["calibrated"] is True


def test_too_little_confidence_is_refused_with_the_best_candidate(client: httpx.Client) -> None:
    text = "my parcel is late and the app crashes"
    obtained = client.post("/classify", json={"text": text}).json()["confidence"]
    assert client.post("/classify", json={"text": text, "min_confidence": obtained}).status_code == 200
    refused = client.post("/classify", json={"text": text, "min_confidence": 0.9})
    details = error(refused, 422, "INSUFFICIENT_CONFIDENCE")["details"]
    assert details["confidence"] == obtained
    assert details["threshold"] == 0.9
    assert details["best_candidate"]["confidence"] == obtained


@pytest.mark.parametrize(
    ("scenario", "status", "code"),
    [
        ("overloaded", 503, "MODEL_OVERLOADED"),
        ("unavailable", 503, "SERVICE_UNAVAILABLE"),
        ("model_timeout", 504, "MODEL_TIMEOUT"),
        ("content_filter_input", 400, "CONTENT_FILTER_TRIGGERED"),
        ("tool_failure", 424, "TOOL_EXECUTION_FAILED"),
        ("fault_midstream", 502, "UPSTREAM_ERROR"),
    ],
)
@pytest.mark.parametrize("path", ["/chat", "/classify"])
def test_failures_can_be_rehearsed(
    client: httpx.Client, path: str, scenario: str, status: int, code: str
) -> None:
    request = chat() if path == "/chat" else {"text": "hello"}
    refused = client.post(path, json={**request, "sandbox": {"scenario": scenario, "delay_ms": 20}})
    details = error(refused, status, code)["details"]
    assert {
        "MODEL_OVERLOADED": lambda: refused.headers["retry-after"] == "1",
        "SERVICE_UNAVAILABLE": lambda: refused.headers["retry-after"] == "1",
        "MODEL_TIMEOUT": lambda: details["elapsed_ms"] >= details["timeout_ms"] == 20,
        "CONTENT_FILTER_TRIGGERED": lambda: details["stage"] == "input" and details["categories"],
        "TOOL_EXECUTION_FAILED": lambda: (
            {"tool", "tool_call_id", "attempt", "side_effects"} <= details.keys()
        ),
        "UPSTREAM_ERROR": lambda: details == {},
    }[code]()


def test_a_filtered_output_is_an_answer(client: httpx.Client) -> None:
    answer = client.post("/chat", json=chat(sandbox={"scenario": "content_filter_output"}))
    assert answer.status_code == 200
    assert answer.json()["finish_reason"] == "content_filter"


def test_capabilities_tell_what_is_offered(client: httpx.Client) -> None:
    body = client.get("/capabilities").json()
    assert body["contract_version"] == "1.0.0"
    assert body["api_versions"] == ["2026-06-01", "2026-11-01"]
    assert body["limits"]["max_body_bytes"] == 1_048_576
    assert body["default_model"] == client.post("/chat", json=chat()).json()["metadata"]["model_version"]
    offered = body["capabilities"]
    assert offered["idempotency"]["ttl_seconds"] == 86_400
    assert offered["sandbox"]["scenarios"] == list(SCENARIOS)


def test_the_description_is_the_document(client: httpx.Client) -> None:
    assert client.get("/openapi.json").json()["openapi"] == "3.2.0"
    assert client.get("/health").json()["status"] == "ok"
