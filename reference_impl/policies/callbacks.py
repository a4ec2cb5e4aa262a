"""Webhook messages by Standard Webhooks 1.0: their signature, and what an endpoint's answer means."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol

from standardwebhooks import Webhook

SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix of every secret, none itself
SECRET_BYTES = 32
LONGEST_WAIT_S = 86_400.0


@dataclass(frozen=True)
class Next:
    """What becomes of a message after an attempt; `delay_s` is the wait before a `retry`."""

    step: Literal["delivered", "retry", "disable", "abandon"]
    delay_s: float = 0.0


class Callbacks(Protocol):
    """How messages are signed and repeated."""

    def new_secret(self) -> str:
        """A signing secret for one endpoint."""
        ...

    def headers(
        self, message_id: str, body: bytes, signing: Sequence[str], now: float, created_at: float
    ) -> dict[str, str]:
        """The headers of one attempt, signed with each secret. `now` is the time of the attempt."""
        ...

    def after(self, attempts: int, status: int | None, retry_after_s: float | None) -> Next:
        """What follows the attempt number `attempts`. `status` None: there was no answer."""
        ...


class StandardWebhooks:
    """`delays` are the seconds between attempts, growing; when they are used up the message is given up."""

    def __init__(self, delays: Sequence[float]) -> None:
        self._delays = tuple(delays)

    def new_secret(self) -> str:
        """32 random bytes in base64."""
        return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()

    def headers(
        self, message_id: str, body: bytes, signing: Sequence[str], now: float, created_at: float
    ) -> dict[str, str]:
        """Over exactly these bytes; during a rotation there is one signature per secret, the newest first."""
        at = datetime.fromtimestamp(int(now), UTC)
        signatures = (Webhook(secret).sign(message_id, at, body.decode()) for secret in signing)
        return {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": " ".join(signatures),
        }

    def after(self, attempts: int, status: int | None, retry_after_s: float | None) -> Next:
        """2xx is success, 410 the wish to hear no more; all else, redirects included, is tried again."""
        if status is not None and 200 <= status < 300:
            return Next("delivered")
        if status == 410:
            return Next("disable")
        if attempts > len(self._delays):
            return Next("abandon")
        delay = self._delays[attempts - 1]
        return Next("retry", min(max(delay, retry_after_s or 0.0), LONGEST_WAIT_S))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that an endpoint asks to wait, if it says so in seconds."""
    value = headers.get("retry-after", "").strip()
    return float(value) if value.isascii() and value.isdigit() and len(value) < 7 else None
