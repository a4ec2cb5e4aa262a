"""Which targets are refused after the first call, and what the one line tells to do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conformance.dialects.model import load_dialect
from conformance.evidence import Chunk, Exchange, Sent
from conformance.preflight import UnusableTarget, refuse_unusable


def baseline(status: int, error: dict[str, Any]) -> list[Exchange]:
    body = json.dumps({"error": error}).encode()
    sent = Sent("POST", "http://127.0.0.1/v1/chat/completions")
    return [
        Exchange(
            "x0001", "baseline", "chat", "chat", "main", {"model": "o9"}, sent, 1_800_000_000.0,
            status=status, headers=(("Content-Type", "application/json"),), chunks=(Chunk(0.1, body),), t_end=0.1,
        )
    ]  # fmt: skip


def test_a_model_that_refuses_max_tokens_is_sent_to_the_other_dialect() -> None:
    refusal = {
        "message": "Unsupported parameter: 'max_tokens' is not supported with this model. "
        "Use 'max_completion_tokens' instead.",
        "type": "invalid_request_error",
        "param": "max_tokens",
        "code": "unsupported_parameter",
    }
    with pytest.raises(UnusableTarget, match="--dialect openai$") as told:
        refuse_unusable(baseline(400, refusal), load_dialect("openai-chat"))
    assert told.value.exit_code == 2


def test_another_bad_request_is_judged() -> None:
    refusal = {"message": "too many", "type": "invalid_request_error", "param": "max_tokens", "code": None}
    refuse_unusable(baseline(400, refusal), load_dialect("openai-chat"))
