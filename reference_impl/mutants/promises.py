"""Mutants of behaviour: one policy replaced by one that breaks its promise."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from reference_impl.exchange import Exchange, RequestHeaders, Trace
from reference_impl.mutants.model import mutant
from reference_impl.policies import Policies
from reference_impl.policies.errors import ContractError
from reference_impl.policies.events import PlainEvents
from reference_impl.policies.idempotency import LedgerIdempotency, Ticket
from reference_impl.policies.limits import FixedWindows
from reference_impl.policies.tracing import W3CTracing
from reference_impl.policies.versioning import DatedVersions
from reference_impl.store.ledger import Ledger, Slot, StoredAnswer

DAY = 86_400.0
Change = Callable[[Policies], Policies]


class _Ignored(LedgerIdempotency):
    def key(self, headers: RequestHeaders, payload: Mapping[str, Any]) -> str | None:
        super().key(headers, payload)
        return None


class _Race(LedgerIdempotency):
    """Check, then act: a duplicate that comes while the first is under way executes too."""

    async def claim(
        self, ledger: Ledger, exchange: Exchange, key: str, payload: Mapping[str, Any]
    ) -> Ticket | StoredAnswer:
        try:
            return await super().claim(ledger, exchange, key, payload)
        except ContractError as error:
            if error.code != "IDEMPOTENCY_IN_PROGRESS":
                raise
            return Ticket(self.slot(exchange, key), time.time() + DAY)


class _SharedByTenants(LedgerIdempotency):
    def slot(self, exchange: Exchange, key: str) -> Slot:
        return Slot("everybody", f"{exchange.method} {exchange.path}", key)


class _SharedByEndpoints(LedgerIdempotency):
    def slot(self, exchange: Exchange, key: str) -> Slot:
        return Slot(exchange.caller.name, "any", key)


class _AnyPayload(LedgerIdempotency):
    def fingerprint(self, payload: Mapping[str, Any]) -> str:
        return ""


class _RawBytes(LedgerIdempotency):
    """Compares the payload in the order it was written."""

    def fingerprint(self, payload: Mapping[str, Any]) -> str:
        return json.dumps(payload)


class _HeaderOnly(LedgerIdempotency):
    def key(self, headers: RequestHeaders, payload: Mapping[str, Any]) -> str | None:
        return super().key(headers, {k: v for k, v in payload.items() if k != "idempotency_key"})


class _Quotes(LedgerIdempotency):
    """Takes the quotes for a part of the key."""

    def key(self, headers: RequestHeaders, payload: Mapping[str, Any]) -> str | None:
        found = super().key(headers, payload)
        quoted = (headers.get("idempotency-key") or "").startswith('"')
        return f'"{found}"' if quoted else found


class _AnyLength(LedgerIdempotency):
    def key(self, headers: RequestHeaders, payload: Mapping[str, Any]) -> str | None:
        try:
            return super().key(headers, payload)
        except ContractError as refusal:
            if refusal.code != "IDEMPOTENCY_KEY_INVALID":
                raise
            return headers.get("idempotency-key") or payload.get("idempotency_key")


class _StoresFailures(LedgerIdempotency):
    def is_final(self, code: str) -> bool:
        return True


class _Unenforced(FixedWindows):
    """Counts, shows, and never refuses."""

    async def admit_request(self, exchange: Exchange) -> None:
        try:
            await super().admit_request(exchange)
        except ContractError:
            return

    async def admit_tokens(self, exchange: Exchange, tokens: int) -> None:
        return


class _TokensUnlimited(FixedWindows):
    async def admit_tokens(self, exchange: Exchange, tokens: int) -> None:
        return


class _OneForAll(FixedWindows):
    """Whoever runs into a limit stops everybody for as long."""

    def __init__(self) -> None:
        super().__init__()
        self._until = 0.0
        self._error: ContractError | None = None

    async def admit_request(self, exchange: Exchange) -> None:
        try:
            await super().admit_request(exchange)
        except ContractError as error:
            self._until, self._error = time.monotonic() + int(error.headers["Retry-After"]), error
            raise
        if self._error and time.monotonic() < self._until:
            raise self._error


class _ChargesReplays(LedgerIdempotency):
    """Answers from the store, and shows the quota as if the tokens had been used again."""

    async def claim(
        self, ledger: Ledger, exchange: Exchange, key: str, payload: Mapping[str, Any]
    ) -> Ticket | StoredAnswer:
        found = await super().claim(ledger, exchange, key, payload)
        if isinstance(found, StoredAnswer):
            exchange.quotas = tuple(
                replace(q, remaining=max(0, q.remaining - 40)) if q.policy == "tokens" else q
                for q in exchange.quotas
            )
        return found


class _NewTrace(W3CTracing):
    def trace(self, headers: RequestHeaders) -> Trace:
        return Trace(secrets.token_hex(16), secrets.token_hex(8))


class _AnyVersion(DatedVersions):
    def check(self, headers: RequestHeaders) -> None:
        return


class _KeepAliveBlock(PlainEvents):
    def keep_alive(self) -> bytes:
        return b": keep-alive\n\n"


def _idempotency(make: Callable[[float], LedgerIdempotency]) -> Change:
    return lambda policies: replace(policies, idempotency=make(DAY))


def _limits(make: Callable[[], FixedWindows]) -> Change:
    return lambda policies: replace(policies, limits=make())


MUTANTS = (
    mutant("idempotency-ignored", "IDEM-01 IDEM-02", "keys have no effect", policies=_idempotency(_Ignored)),
    mutant("idempotency-race", "IDEM-06", "concurrent duplicates execute twice", policies=_idempotency(_Race)),
    mutant("idempotency-across-tenants", "IDEM-08", "a key is shared by all tenants", policies=_idempotency(_SharedByTenants)),
    mutant("idempotency-across-endpoints", "IDEM-09", "a key is shared by all endpoints", policies=_idempotency(_SharedByEndpoints)),
    mutant("idempotency-any-payload", "IDEM-04", "another payload gets the old answer", policies=_idempotency(_AnyPayload)),
    mutant("idempotency-raw-bytes", "IDEM-05", "key order makes another payload", policies=_idempotency(_RawBytes)),
    mutant("idempotency-header-only", "IDEM-10", "idempotency_key in the body is ignored", policies=_idempotency(_HeaderOnly)),
    mutant("idempotency-quotes", "IDEM-11", "quotes belong to the key", policies=_idempotency(_Quotes)),
    mutant("idempotency-any-length", "IDEM-12", "a key of any length is taken", policies=_idempotency(_AnyLength)),
    mutant("idempotency-stores-failures", "IDEM-15", "a transient failure is replayed for ever", policies=_idempotency(_StoresFailures)),
    mutant("idempotency-charges-replays", "IDEM-03", "a replay costs tokens again", policies=_idempotency(_ChargesReplays)),
    mutant("limits-unenforced", "RATE-01", "limits are shown and never enforced", policies=_limits(_Unenforced)),
    mutant("token-limit-unenforced", "RATE-09", "only requests are limited", policies=_limits(_TokensUnlimited)),
    mutant("limits-shared", "RATE-14", "one principal's limit stops all", policies=_limits(_OneForAll)),
    mutant("traceparent-ignored", "TRC-05", "every request starts a new trace", policies=lambda p: replace(p, tracing=_NewTrace())),
    mutant("any-api-version", "VER-04", "an unknown API-Version is taken", policies=lambda p: replace(p, versioning=_AnyVersion())),
    mutant("keep-alive-block", "SSE-39", "a keep-alive with a blank line of its own", policies=lambda p: replace(p, events=_KeepAliveBlock())),
)  # fmt: skip
