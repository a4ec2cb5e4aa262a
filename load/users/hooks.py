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
MAX_JOBS = 100_000
Respond = Callable[[str, list[tuple[str, str]]], Any]


class Receiver:
    """Listens on ``base`` (a URL whose port 0 means a free one). ``secret`` None accepts any signature.

    A delivery whose signature is wrong is counted in ``unsigned`` and otherwise ignored (Standard Webhooks).
    """

    def __init__(self, base: str) -> None:
        parts = urlsplit(base)
        self.secret: str | None = None
        self.unsigned = 0
        self._done: dict[str, AsyncResult] = {}
        self._server: Any = WSGIServer((parts.hostname or "127.0.0.1", parts.port or 0), self._take, log=None)
        self._server.start()
        self.url = f"{parts.scheme}://{parts.hostname}:{self._server.server_port}/job"

    def wait(self, job: str, timeout: float) -> float | None:
        """When the job was said to be done (monotonic clock), None if nobody said so in time."""
        found: float | None = self._of(job).get(timeout=timeout) if self._of(job).wait(timeout) else None
        self._done.pop(job, None)
        return found

    def close(self) -> None:
        self._server.stop(timeout=1)

    def _of(self, job: str) -> AsyncResult:
        result = self._done.get(job)
        if result is None:
            if len(self._done) >= MAX_JOBS:
                self._done.clear()  # deliveries for jobs that nobody waits for
            result = self._done[job] = AsyncResult()
        return result

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
            self._of(job).set(now)
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
