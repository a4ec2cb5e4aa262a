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
        self._answers: dict[Sent, asyncio.Future[Reading]] = {}

    async def once(
        self, request: Sent, send: Callable[[], Awaitable[Reading]], *, provoked: bool
    ) -> tuple[Reading, bool]:
        """The answer to ``request``, and whether it was sent just now.

        Who asks meanwhile gets whatever becomes of it. Later it is sent again if its answer says nothing about the next
        attempt: no whole response, a refusal by a limit, and a failure of the server unless it was ``provoked``.
        """
        known = self._answers.get(request)
        if known is not None:
            return await asyncio.shield(known), False
        answer = self._answers[request] = asyncio.get_running_loop().create_future()
        try:
            reading = await send()
        except BaseException as stopped:
            del self._answers[request]
            if isinstance(stopped, Exception):
                answer.set_exception(stopped)
                answer.exception()  # there may be nobody else to whom it matters
            else:
                answer.cancel()
            raise
        if not _lasts(reading, provoked):
            del self._answers[request]
        answer.set_result(reading)
        return reading, True


def _lasts(reading: Reading, provoked: bool) -> bool:
    status = reading.status
    if reading.exchange.failure is not None or status is None or status == 429:
        return False
    return status < 500 or provoked
