"""Errors: each one that can be provoked, with a canary in the prompt that no error message may repeat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from conformance.reading import Reading
from conformance.registry import probe
from conformance.replicas import below
from conformance.session import ProbeSkipped, Session

CANARY = "zanzibar-quokka-5519"
UNKNOWN_MODEL = "aiconform-no-such-model"
LARGEST_WINDOW = 16_384
"""Tokens. Overflowing a larger window costs the tester too much to do it unasked."""

PROVOKED = (
    "content_filter_input", "content_filter_output", "model_timeout", "overloaded", "tool_failure", "unavailable",
)  # fmt: skip
RETRYABLE = ("model_timeout", "overloaded")
"""Of those, what clients send again; the answers are shared."""


@probe(calls=0, tokens=60, shares=("chat:unknown_model",))
async def unknown_model(session: Session) -> None:
    """A chat request that names a model which does not exist."""
    await session.shared("chat", "unknown_model", **_unknown_model())


@probe(calls=3, tokens=20_000, vendor_calls=1, shares=("models",))
async def context_window(session: Session) -> None:
    """1.2 times the smallest published window; on the contract also just under and just over it.

    The window comes from ``GET /models``, or from a declared provocation
    ``context_overflow: {context_window: n}``.
    """
    model, window = await _window(session)
    session.notes["model"], session.notes["window"] = model, window
    words = int(window * 1.2)
    over = await session.call(
        "chat", "overflow", model=model, prompt=f"{CANARY} " + "word " * words, max_output_tokens=1
    )
    if session.dialect.name != "contract":
        return
    counted = over.error.details.get("input_tokens") if over.status == 400 else None
    if not isinstance(counted, int):
        return
    # The same prompt shortened word by word: one plain word is one token in the contract's count, and the
    # check uses these only if the answers confirm it.
    for role, tokens in (("just_over", window + 1), ("just_under", window - 1)):
        shorter = words - (counted - tokens)
        await session.call(
            "chat", role, model=model, prompt=f"{CANARY} " + "word " * shorter, max_output_tokens=1
        )


@probe(
    calls=len(PROVOKED) + 1 - len(RETRYABLE),
    tokens=400,
    provocations=PROVOKED,
    shares=("chat:model_timeout", "chat:overloaded"),
)
async def provoked_errors(session: Session) -> None:
    """Each failure for which the dialect or the target declares a provocation."""
    declared = [n for n in PROVOKED if n in session.dialect.provocations]
    for name in declared:
        if name in RETRYABLE:
            await provoke(session, name, name)
        else:
            await session.call("chat", name, **provoked(session, name))
    if "content_filter_output" in declared and "chat_stream" in session.dialect.operations:
        await session.call(
            "chat_stream", "content_filter_output.stream", **provoked(session, "content_filter_output")
        )


@probe(calls=2, operations=("chat", "errors"), tokens=0, shares=("chat:unknown_model", "errors"))
async def error_forms(session: Session) -> None:
    """One error as JSON and as problem+json, the published catalogue, and the page an error points to."""
    same = _unknown_model()
    plain = await session.shared("chat", "plain", **same)
    await session.call("chat", "problem", headers={"Accept": "application/problem+json"}, **same)
    await session.shared("errors", "catalogue", principal="none")
    page = plain.error.docs_url.value
    path = below(session.target.bases, page) if isinstance(page, str) else None
    if path is not None:
        await session.raw("GET", path, "docs_page", principal="none")


async def provoke(session: Session, name: str, role: str) -> Reading:
    """A retryable failure, provoked once a run, under a key of the run where the dialect has keys."""
    key = session.run_key(name)
    return await session.shared("chat", role, provoked=True, idempotency_key=key, **provoked(session, name))


def _unknown_model() -> Mapping[str, Any]:
    return {"prompt": _canary("Hello"), "max_output_tokens": 8, "model": UNKNOWN_MODEL}


def _canary(text: str) -> str:
    return f"{text} {CANARY}"


def provoked(session: Session, name: str) -> dict[str, Any]:
    return {
        "prompt": _canary("Tell me a story about"),
        "max_output_tokens": 32,
        **session.dialect.provocations[name],
    }


async def _window(session: Session) -> tuple[str | None, int]:
    declared = session.dialect.provocations.get("context_overflow", {})
    if isinstance(declared.get("context_window"), int):
        return declared.get("model", session.target.model), declared["context_window"]
    if "models" not in session.dialect.operations:
        raise ProbeSkipped("no model tells its context window: declare a provocation context_overflow")
    listed = await session.models()
    found = sorted(windows(listed).items(), key=lambda item: item[1])
    if not found:
        raise ProbeSkipped("no model tells its context window: declare a provocation context_overflow")
    model, window = found[0]
    if window > LARGEST_WINDOW:
        raise ProbeSkipped(
            f"the smallest published window is {window} tokens, too costly to overflow unasked"
        )
    return model, window


def windows(listed: Reading) -> dict[str, int]:
    """Context windows in tokens by model id, as far as a model list publishes them."""
    return {m.id: m.context_window for m in listed.models if m.context_window is not None}
