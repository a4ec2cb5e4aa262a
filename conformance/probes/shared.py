"""Requests whose answers several probes share: each is sent once a run."""

from __future__ import annotations

from typing import Any

from conformance.reading import Reading
from conformance.session import Session

FIRST: dict[str, Any] = {"prompt": "Name three colours.", "max_output_tokens": 32}
"""The plain request, of each model that is tried."""

SHORT_CHAT: dict[str, Any] = {"prompt": "Say yes.", "max_output_tokens": 16}

MARKER = "quillwort-7731"
POSTED: dict[str, Any] = {"prompt": f"Say something about {MARKER}.", "max_output_tokens": 32}
"""The turn that its owner follows and that another principal asks for."""

KEPT: dict[str, Any] = {
    "prompt": "Write two short sentences about lighthouses.",
    "max_output_tokens": 24,
    "temperature": 1,
}
"""The payload of an idempotency key that is used again and again."""

CLIENT_ID = "aiconform-client-id-0042"
ECHO = "日本語 Ελλάδα e\u0301 שלום 👩‍💻 ñ"
"""CJK, Greek, a combining accent, right-to-left letters, an emoji joined from two, a precomposed letter."""

UNICODE_TEXT = "日本語のテスト：雪と桜が好きです。🎉👩🏽‍🚀🇯🇵 Größe, naïve, 10 €"


async def non_ascii(session: Session, role: str) -> Reading:
    """A text beyond ASCII, to be given back; on the contract under the run's trace and a request id of the client's."""
    parent = f"00-{session.mark}-00f067aa0ba902b7-01"
    headers = {"traceparent": parent, "X-Client-Request-Id": CLIENT_ID}
    return await _on_the_contract(
        session, "chat", role, headers, prompt=f"Repeat exactly: {ECHO}", max_output_tokens=96
    )


async def unicode_stream(session: Session, role: str) -> Reading:
    """Japanese, emoji of several code points and accents, to be given back in a stream; on the contract under the run's
    trace, which is not sampled, and a ``tracestate`` that nobody knows."""
    parent = f"00-{session.mark}-b7ad6b7169203331-00"
    headers = {"traceparent": parent, "tracestate": "aiconform=t61rcWkgMzE,other=1"}
    prompt = f"Repeat exactly: {UNICODE_TEXT}"
    return await _on_the_contract(session, "chat_stream", role, headers, prompt=prompt, max_output_tokens=160)


async def _on_the_contract(
    session: Session, operation: str, role: str, headers: dict[str, str], **params: Any
) -> Reading:
    """Other vendors get the plain request: who promises nothing about a header may refuse it."""
    given = headers if session.dialect.name == "contract" else None
    return await session.shared(operation, role, headers=given, **params)
