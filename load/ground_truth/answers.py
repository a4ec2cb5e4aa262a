"""Complete answers and errors, in the contract's and in OpenAI's words."""

from __future__ import annotations

from typing import Any

from load.ground_truth.schedule import Schedule, metadata


def envelope(code: str, message: str, *, retryable: bool = False) -> dict[str, Any]:
    """The contract's error."""
    return {"error": {"code": code, "message": message, "details": {}, "retryable": retryable}}


def answer_of(operation: str, number: int, schedule: Schedule) -> dict[str, Any]:
    """A complete answer of one operation; no two have the same id."""
    block = metadata(schedule.tokens)
    if operation == "classify":
        return {"id": f"cls_{number}", "category": "billing", "confidence": 0.94, "metadata": block}
    text = "".join(f"word{i} " for i in range(schedule.tokens))
    if operation == "completions":
        message = {"role": "assistant", "content": text}
        usage = {
            "prompt_tokens": 8,
            "completion_tokens": schedule.tokens,
            "total_tokens": schedule.tokens + 8,
        }
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {"id": f"chatcmpl-{number}", "object": "chat.completion", "choices": [choice], "usage": usage}
    return {
        "id": f"chat_{number}",
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
        "metadata": block,
    }
