"""Whole streams in both dialects, as lists of events whose parts a test can change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from building import event, stream

from conformance.reading import Reading

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
REQUEST = "req_01"
MODEL = "atlas-1-2026-06-01"
PIECES = ("The ", "quick ", "brown ", "fox.")
DONE = b"data: [DONE]\n\n"
EXTRA_HEADERS = {
    "X-Request-Id": REQUEST,
    "API-Version": "2026-11-01",
    "RateLimit": '"requests";r=3;t=2',
    "RateLimit-Policy": '"requests";q=5;w=4',
    "Cache-Control": "no-store, no-transform",
    "Server-Timing": f'trace;desc="00-{TRACE}-00f067aa0ba902b7-01"',
}


def metadata(**changes: Any) -> dict[str, Any]:
    """The contract's metadata block: 10 input and 4 output tokens at 1 and 2 dollars a million."""
    block: dict[str, Any] = {
        "trace_id": TRACE,
        "request_id": REQUEST,
        "model_version": MODEL,
        "latency_ms": 120,
        "tokens_used": {"input": 10, "output": 4, "total": 14, "cached_input": 0, "reasoning_output": 0},
        "sources_used": [],
        "cost": {"amount": "0.000018", "currency": "USD", "price_version": "p1"},
    }
    return block | changes


def contract_events(pieces: Sequence[str] = PIECES, **changes: Any) -> list[bytes]:
    """A whole stream of the contract. ``changes`` go into the ``done`` event."""
    head = {
        "type": "metadata",
        "sequence_number": 0,
        "id": "chat_1",
        "request_id": REQUEST,
        "trace_id": TRACE,
        "model_version": MODEL,
    }
    tokens = [
        {"type": "token", "token": piece, "index": n, "sequence_number": n + 1}
        for n, piece in enumerate(pieces)
    ]
    done = {
        "type": "done",
        "sequence_number": len(pieces) + 1,
        "id": "chat_1",
        "finish_reason": "stop",
        "text": "".join(pieces),
        "metadata": metadata(),
    }
    return [event(head, "metadata"), *map(event, tokens), event(done | changes, "done"), DONE]


def contract_fault() -> list[bytes]:
    """A stream of the contract that fails after two tokens."""
    error: dict[str, Any] = {
        "code": "UPSTREAM_ERROR",
        "message": "The model went away.",
        "details": {},
        "type": "api_error",
        "param": None,
        "retryable": True,
        "request_id": REQUEST,
        "docs_url": "http://127.0.0.1/errors/UPSTREAM_ERROR",
    }
    return [*contract_events()[:3], event({"type": "error", "sequence_number": 3, "error": error}, "error")]


def openai_events(pieces: Sequence[str] = PIECES, *, model: str = "gpt-x", usage: Any = ...) -> list[bytes]:
    """A whole stream of OpenAI chat completions that was asked for usage."""
    counted = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14} if usage is ... else usage

    def chunk(delta: dict[str, Any] | None, finish: str | None = None, used: Any = None) -> bytes:
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
        common = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
        return event(common | {"choices": choices, "usage": used})

    return [
        chunk({"role": "assistant", "content": ""}),
        *(chunk({"content": piece}) for piece in pieces),
        chunk({}, "stop"),
        chunk(None, used=counted),
        DONE,
    ]


def openai_fault() -> list[bytes]:
    """A stream of OpenAI chat completions that fails after one piece of text."""
    error = {"message": "upstream failed", "type": "server_error", "param": None, "code": "server_error"}
    return [*openai_events()[:2], event({"error": error})]


def changed(events: Sequence[bytes], old: bytes, new: bytes) -> list[bytes]:
    """The events with some bytes replaced, which must occur."""
    assert any(old in e for e in events), f"{old!r} does not occur"
    return [e.replace(old, new) for e in events]


def good(speaks: str) -> list[bytes]:
    """A whole stream of that dialect."""
    return contract_events() if speaks == "contract" else openai_events()


def fault(speaks: str) -> list[bytes]:
    """A stream of that dialect that fails in the middle."""
    return contract_fault() if speaks == "contract" else openai_fault()


def sent(speaks: str, events: Iterable[bytes | tuple[float, bytes]], **more: Any) -> Reading:
    """The stream as a complete answer with the headers of the contract."""
    return stream(*events, **({"speaks": speaks, "headers": EXTRA_HEADERS} | more))


BOTH = ("contract", "openai-chat")
