"""Mutants of limits: what is charged, what a refusal says, and whether the wait it names is true."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from reference_impl.exchange import Exchange
from reference_impl.mutants.edits import (
    drop_headers,
    error_with,
    on_code,
    on_status,
    set_header,
    set_header_on,
)
from reference_impl.mutants.model import ASGIApp, mutant
from reference_impl.mutants.streams import early_errors_as_stream
from reference_impl.mutants.wire import Answer, Headers, edit_heads, with_header
from reference_impl.policies.errors import ContractError
from reference_impl.policies.limits import FixedWindows

ALIASES = tuple(
    b"x-ratelimit-%s-%s" % (what, unit)
    for what in (b"limit", b"remaining", b"reset")
    for unit in (b"requests", b"tokens")
)
SLOWLY = 3.0


class _ChargesCalls(FixedWindows):
    """Charges each POST before it looks at it, and gives nothing back."""

    async def admit_request(self, exchange: Exchange) -> None:
        if exchange.method == "POST":
            await self.charge(exchange, 9)
        await super().admit_request(exchange)


class _ChargesRefusals(FixedWindows):
    """Charges what it refuses."""

    async def admit_request(self, exchange: Exchange) -> None:
        try:
            await super().admit_request(exchange)
        except ContractError:
            await self.charge(exchange, 20)
            raise


def _queued(app: ASGIApp) -> ASGIApp:
    """Lets the refused wait before it refuses them."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        async def slowly(message: Any) -> None:
            if message.get("status") == 429:
                await asyncio.sleep(SLOWLY)
            await send(message)

        await app(scope, receive, slowly)

    return wrapped


def doubled(answer: Answer) -> Answer:
    wait = next((v for k, v in answer.headers if k.lower() == b"retry-after"), b"1")
    return set_header_on(answer, b"retry-after", b"%d" % (int(wait) * 2))


def _constant_alias(_status: int, headers: Headers) -> Headers:
    told = any(k == b"x-ratelimit-remaining-requests" for k, _ in headers)
    return with_header(headers, b"x-ratelimit-remaining-requests", b"1") if told else headers


def _one_policy(_status: int, headers: Headers) -> Headers:
    told = any(k == b"ratelimit-policy" for k, _ in headers)
    return with_header(headers, b"ratelimit-policy", b'"requests";q=6000;w=60, "tokens";q=2000000;qu="tokens";w=60') if told else headers  # fmt: skip


def _more_than_all(_status: int, headers: Headers) -> Headers:
    told = any(k == b"ratelimit" for k, _ in headers)
    return with_header(headers, b"ratelimit", b'"requests";r=7000000;t=4, "tokens";r=7000000;t=4') if told else headers  # fmt: skip


def _as_quota(answer: Answer) -> Answer:
    return replace(error_with(code="RATE_LIMITED")(answer), status=429)


MUTANTS = (
    mutant("retry-after-doubled", "RATE-05", "Retry-After is twice the wait that is needed", says="half of Retry-After", wrap=on_status(429, doubled)),
    mutant("long-wait-unmarked", "RATE-11", "a wait of minutes, for which SDKs sleep", says="x-should-retry", wrap=set_header(b"retry-after", b"300", 429)),
    mutant("tiers-alike", "RATE-13", "all tiers show the same policies", says="the same", wrap=edit_heads(_one_policy)),
    mutant("429-queued", "RATE-15", "a refusal takes its time", says="median", wrap=_queued),
    mutant("calls-charged", "RATE-16", "a call costs tokens though it is refused", says="refused request", policies=lambda p: replace(p, limits=_ChargesCalls())),
    mutant("refusals-charged", "RATE-24", "a 429 costs tokens", says="after a refusal", policies=lambda p: replace(p, limits=_ChargesRefusals())),
    mutant("429-in-stream", "RATE-17", "a limit is told by an event in a 200", says="200 and an error event", wrap=early_errors_as_stream(429)),
    mutant("alias-constant", "RATE-19", "the alias of remaining never changes", says="x-ratelimit-remaining-requests", wrap=edit_heads(_constant_alias)),
    mutant("overload-as-quota", "RATE-20", "overload gives 429", says="503", wrap=on_code("MODEL_OVERLOADED", _as_quota)),
    mutant("more-left-than-all", "RATE-22", "more is left than there is", says="is left", wrap=edit_heads(_more_than_all)),
    mutant("limits-untold", "RATE-25", "limits show only when they refuse", says="what is left", wrap=drop_headers(b"ratelimit", b"ratelimit-policy", *ALIASES)),
    mutant("429-empty", "RATE-26", "a 429 without a body", says="an empty body", wrap=on_status(429, lambda a: replace(a, body=b""))),
)  # fmt: skip
