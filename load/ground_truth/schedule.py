"""What the server sends and when, and the one defect it may have."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Literal, get_args

Defect = Literal[
    "none",
    "no_terminal",  # a clean end without [DONE]
    "two_terminals",
    "error_event",  # an error inside the 200 stream, then the end
    "stall",  # one pause in the middle
    "cut",  # the connection closes in the middle of the body
    "hang",  # silence in the middle, for good
    "bad_utf8",
    "bom",
    "bad_json",
    "lost_token",  # the joined tokens are not the final text
    "two_ids",
    "html_error",  # refusals and overload as HTML
    "early_retry",  # Retry-After is shorter than the limit lasts
    "no_retry_after",
    "error_in_stream",  # a refusal as an event in a 200 stream
    "runs_twice",  # idempotency keys are ignored
    "shared_limit",  # one bucket for all keys
]
DEFECTS: tuple[str, ...] = get_args(Defect)


@dataclass(frozen=True)
class Schedule:
    """The known schedule. Times in seconds from the end of the request.

    ``limit`` requests per ``window`` and key are served, the next get 429; ``capacity`` requests run at once,
    the next get 503 (0: no bound). ``share`` of the streams have the defect, spread evenly.
    """

    first: float = 0.05
    gap: float = 0.01
    tokens: int = 32
    defect: Defect = "none"
    share: float = 1.0
    stall: float = 0.2
    limit: int = 0
    window: float = 2.0
    capacity: int = 0
    queue: float = 0.05
    run: float = 0.1


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body (RFC 9112 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(fields: object, name: str | None = None) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(fields, separators=(',', ':'))}\n\n".encode()


@dataclass(frozen=True)
class Wire:
    """A stream's events as chunks, rendered once: ``before`` the text, a chunk per token, ``after`` it."""

    before: bytes
    tokens: tuple[bytes, ...]
    after: bytes
    facts: dict[str, object] = field(default_factory=dict)


TRACE = "0af7651916cd43dd8448eb211c80319c"


def contract_wire(schedule: Schedule) -> Wire:
    """The contract's own format. Ids are the same in every stream: rendering costs nothing while measuring."""
    words = [f"word{i} " for i in range(schedule.tokens)]
    kept = words[:-1] if schedule.defect == "lost_token" else words
    model = "truth-1"
    opening = {
        "type": "metadata",
        "sequence_number": 0,
        "id": "chat_truth",
        "request_id": "req_truth",
        "trace_id": TRACE,
        "model_version": model,
    }
    tokens = tuple(
        chunk(event({"type": "token", "token": w, "index": i, "sequence_number": i + 1}))
        for i, w in enumerate(kept)
    )
    done = {
        "type": "done",
        "sequence_number": len(kept) + 1,
        "id": "chat_other" if schedule.defect == "two_ids" else "chat_truth",
        "finish_reason": "stop",
        "text": "".join(words),
        "metadata": metadata(schedule.tokens, model),
    }
    return Wire(chunk(event(opening, "metadata")), tokens, chunk(event(done, "done")))


def openai_wire(schedule: Schedule) -> Wire:
    """The format of OpenAI's chat completions, for tools that know no other."""
    head = {"id": "chatcmpl-truth", "object": "chat.completion.chunk", "created": 1, "model": "truth-1"}

    def piece(delta: dict[str, str], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return chunk(event({**head, "choices": [choice]}))

    usage = {"prompt_tokens": 8, "completion_tokens": schedule.tokens, "total_tokens": schedule.tokens + 8}
    last = chunk(event({**head, "choices": [], "usage": usage}))
    tokens = tuple(piece({"content": f"word{i} "}) for i in range(schedule.tokens))
    return Wire(b"", tokens, piece({}, "stop") + last)


def metadata(output: int, model: str = "truth-1") -> dict[str, object]:
    """The contract's metadata block."""
    return {
        "trace_id": TRACE,
        "model_version": model,
        "latency_ms": 1,
        "tokens_used": {"input": 8, "output": output, "total": output + 8},
        "sources_used": [],
    }
