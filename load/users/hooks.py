"""A receiver of webhooks: which job was said to be done, and when."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from gevent.event import AsyncResult
from gevent.pywsgi import WSGIServer

BODY_CAP = 1 << 20
EARLY = 10_000
"""Deliveries that are kept although nobody waits for them yet; the oldest go first. Other processes' jobs are told
of here too, when they use the same key."""

Respond = Callable[[str, list[tuple[str, str]]], Any]


class Receiver:
    """Listens on ``base`` (a URL whose port 0 means a free one). ``secret`` None accepts any signature.

    A delivery whose signature is wrong is counted in ``unsigned`` and otherwise ignored (Standard Webhooks).
    """

    def __init__(self, base: str) -> None:
        parts = urlsplit(base)
        self.secret: str | None = None
        self.unsigned = 0
        self.webhook: str | None = None  # its id at the target
        self._released = False
        self._waiting: dict[str, AsyncResult] = {}
        self._early: dict[str, float] = {}
        self._server: Any = WSGIServer((parts.hostname or "127.0.0.1", parts.port or 0), self._take, log=None)
        self._server.start()
        self.url = f"{parts.scheme}://{parts.hostname}:{self._server.server_port}/job"

    def wait(self, job: str, timeout: float) -> float | None:
        """When the job was said to be done (monotonic clock), None if nobody said so in time or :meth:`release`."""
        if (early := self._early.pop(job, None)) is not None:
            return early
        if self._released:
            return None
        result = self._waiting[job] = AsyncResult()
        try:
            found: float | None = result.get(timeout=timeout) if result.wait(timeout) else None
        finally:
            del self._waiting[job]
        return found

    def release(self) -> None:
        """Nobody is to wait any longer."""
        self._released = True
        for waiting in self._waiting.values():
            waiting.set(None)

    def close(self) -> None:
        self._server.stop(timeout=1)

    def told(self, job: str, now: float) -> None:
        """A delivery said that the job has ended."""
        if (waiting := self._waiting.get(job)) is not None:
            waiting.set(now)
            return
        if len(self._early) >= EARLY:
            del self._early[next(iter(self._early))]
        self._early[job] = now

    def _take(self, environ: dict[str, Any], respond: Respond) -> Iterable[bytes]:
        now = perf_counter()
        body = environ["wsgi.input"].read(BODY_CAP)
        if not self._signed(environ, body):
            self.unsigned += 1
            respond("401 Unauthorized", [])
            return [b""]
        try:
            event = json.loads(body)
            data = event.get("data") if isinstance(event, dict) else None
            job = data.get("job_id") if isinstance(data, dict) else None
        except ValueError:
            job = None
        if isinstance(job, str):
            self.told(job, now)
        respond("204 No Content", [])
        return [b""]

    def _signed(self, environ: dict[str, Any], body: bytes) -> bool:
        if self.secret is None:
            return True
        try:
            key = base64.b64decode(self.secret.removeprefix("whsec_"))
        except binascii.Error:
            return False
        message = (
            f"{environ.get('HTTP_WEBHOOK_ID', '')}.{environ.get('HTTP_WEBHOOK_TIMESTAMP', '')}.".encode()
            + body
        )
        true = base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()
        given = str(environ.get("HTTP_WEBHOOK_SIGNATURE", "")).split()
        return any(hmac.compare_digest(f"v1,{true}", one) for one in given)
