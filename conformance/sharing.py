"""Answers that serve a whole run: what one probe has asked, the next need not ask again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from conformance.evidence import Sent
from conformance.reading import Reading


class Sharing:
    """The shared answers of one run by their requests. Two requests are the same if they are equal on the wire,
    credential included."""

    def __init__(self) -> None:
        self._answers: dict[Sent, Reading] = {}
        self._lines: dict[Sent, asyncio.Lock] = {}

    async def once(
        self, request: Sent, send: Callable[[], Awaitable[Reading]], *, provoked: bool
    ) -> tuple[Reading, bool]:
        """The answer to ``request``, and whether it was sent just now.

        What says nothing about the next attempt is not shared: no whole response, a refusal by a limit, and a failure
        of the server unless it was ``provoked``.
        """
        async with self._lines.setdefault(request, asyncio.Lock()):
            known = self._answers.get(request)
            if known is not None:
                return known, False
            reading = await send()
            if _lasts(reading, provoked):
                self._answers[request] = reading
            return reading, True


def _lasts(reading: Reading, provoked: bool) -> bool:
    status = reading.status
    if reading.exchange.failure is not None or status is None or status == 429:
        return False
    return status < 500 or provoked
