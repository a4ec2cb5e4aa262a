"""Idempotency keys (draft-ietf-httpapi-idempotency-key-header): what a key is, and what happens to it."""

from __future__ import annotations

import hashlib
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import jsonschema_rs

from reference_impl.exchange import Exchange, RequestHeaders
from reference_impl.policies.errors import ContractError
from reference_impl.store.ledger import Ledger, Slot, StoredAnswer
from spec.errors import ERRORS

HEADER = "Idempotency-Key"
_PRINTABLE = re.compile(r"[\x20-\x7e]{1,255}")
# RFC 9651 section 3.3.3: only the quote and the backslash may be escaped.
_SF_STRING = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')


@dataclass(frozen=True)
class Ticket:
    """The right, and the duty, to execute: whoever holds it must complete or release it.

    `begun` is what an earlier execution had marked that ended without an answer.
    """

    slot: Slot
    expires_at: float
    begun: str | None = None

    @property
    def metadata(self) -> dict[str, str]:
        """The `idempotency` part of the metadata block."""
        # Rounded up: a key never lives longer than it says.
        at = datetime.fromtimestamp(math.ceil(self.expires_at), UTC)
        return {"expires_at": at.isoformat().replace("+00:00", "Z")}


class Idempotency(Protocol):
    """At most one execution per key."""

    def key(self, headers: RequestHeaders, payload: Mapping[str, Any]) -> str | None:
        """The request's key, or None; raises for a malformed or contradictory one."""
        ...

    async def claim(
        self, ledger: Ledger, exchange: Exchange, key: str, payload: Mapping[str, Any]
    ) -> Ticket | StoredAnswer:
        """A ticket for the first request, or after one that did not end; the stored answer for a repetition.

        Raises IDEMPOTENCY_IN_PROGRESS while the first is under way, and IDEMPOTENCY_KEY_REUSED for another
        payload.
        """
        ...

    async def mark(self, ledger: Ledger, ticket: Ticket, begun: str) -> None:
        """Remember what a repetition must not begin again, whatever becomes of this execution."""
        ...

    async def complete(self, ledger: Ledger, ticket: Ticket, answer: StoredAnswer) -> None:
        """Keep a final answer."""
        ...

    async def release(self, ledger: Ledger, ticket: Ticket) -> None:
        """Free the key after an attempt without a final answer."""
        ...

    def is_final(self, code: str) -> bool:
        """Whether an execution that failed with this error code has to be replayed, not retried."""
        ...


class LedgerIdempotency:
    """Keys are scoped to principal, method and path, and payloads compared as canonical JSON (RFC 8785)."""

    def __init__(self, ttl_s: float) -> None:
        self._ttl_s = ttl_s

    def key(self, headers: RequestHeaders, payload: Mapping[str, Any]) -> str | None:
        """The header's key, bare or quoted, or the body's `idempotency_key`; both must agree."""
        from_header = _header_key(headers.all("idempotency-key"))
        from_body = payload.get("idempotency_key")
        if from_body is not None and not _PRINTABLE.fullmatch(from_body):
            raise _invalid("/idempotency_key")
        if None not in (from_header, from_body) and from_header != from_body:
            raise ContractError(
                "IDEMPOTENCY_KEY_CONFLICT",
                "The Idempotency-Key header and the body's idempotency_key differ; send one of them.",
                param=HEADER,
            )
        return from_body if from_header is None else from_header

    def slot(self, exchange: Exchange, key: str) -> Slot:
        """What the key is unique within."""
        return Slot(exchange.caller.name, f"{exchange.method} {exchange.path}", key)

    def fingerprint(self, payload: Mapping[str, Any]) -> str:
        """Equal for payloads that mean the same; the key itself is not part of the payload."""
        content = {name: value for name, value in payload.items() if name != "idempotency_key"}
        return hashlib.sha256(jsonschema_rs.canonical.json.to_string(content).encode()).hexdigest()

    async def claim(
        self, ledger: Ledger, exchange: Exchange, key: str, payload: Mapping[str, Any]
    ) -> Ticket | StoredAnswer:
        """Atomic in the database, so that concurrent duplicates cannot both execute."""
        slot, fingerprint = self.slot(exchange, key), self.fingerprint(payload)
        expires_at = time.time() + self._ttl_s
        held = await ledger.claim(slot, fingerprint, expires_at)
        if held is None:
            return Ticket(slot, expires_at)
        if held.fingerprint != fingerprint:
            raise ContractError(
                "IDEMPOTENCY_KEY_REUSED",
                "This idempotency key was used with another payload; use a new key for a new request.",
                param=HEADER,
            )
        if held.begun is not None:
            return Ticket(slot, held.expires_at, held.begun)
        if held.answer is None:
            raise ContractError(
                "IDEMPOTENCY_IN_PROGRESS",
                "A request with this idempotency key is being executed; repeat it in a moment.",
                param=HEADER,
                headers={"Retry-After": "1"},
            )
        return held.answer

    async def mark(self, ledger: Ledger, ticket: Ticket, begun: str) -> None:
        """Beside the claim."""
        await ledger.mark(ticket.slot, begun)

    async def complete(self, ledger: Ledger, ticket: Ticket, answer: StoredAnswer) -> None:
        """Store the bytes."""
        await ledger.complete(ticket.slot, answer)

    async def release(self, ledger: Ledger, ticket: Ticket) -> None:
        """Delete the claim."""
        await ledger.release(ticket.slot)

    def is_final(self, code: str) -> bool:
        """4xx results of an execution are final; what is retryable, or the server's own fault, is not."""
        entry = ERRORS[code]
        return not entry.retryable and entry.status < 500


def _header_key(values: list[str]) -> str | None:
    if not values:
        return None
    value = values[0].strip(" \t")
    if value.startswith('"'):
        quoted = _SF_STRING.fullmatch(value)
        value = "" if quoted is None else re.sub(r"\\(.)", r"\1", quoted[1])
    if len(values) > 1 or not _PRINTABLE.fullmatch(value):
        raise _invalid(HEADER)
    return value


def _invalid(param: str) -> ContractError:
    return ContractError(
        "IDEMPOTENCY_KEY_INVALID",
        "An idempotency key is one string of 1 to 255 printable ASCII characters, bare or quoted.",
        param=param,
    )
