"""Servers on whose connections one refused request breaks the next."""

from __future__ import annotations

from typing import Any

from reference_impl.mutants.model import ASGIApp, mutant


def _hangs_up(app: ASGIApp) -> ASGIApp:
    """Each error is the last answer on its connection, and does not say so."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        status = 0

        async def watched(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body") and status >= 400:
                raise ConnectionAbortedError("this mutant hangs up after an error, as it should")

        await app(scope, receive, watched if scope["type"] == "http" else send)

    return wrapped


MUTANTS = (
    mutant("hangs-up-after-errors", "CON-23", "an error ends its connection without saying so", says="without a response", wrap=_hangs_up),
)  # fmt: skip
