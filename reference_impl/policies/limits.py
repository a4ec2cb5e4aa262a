"""Request and token limits in fixed windows that start at the first hit.

Headers as in draft-ietf-httpapi-ratelimit-headers.
"""

from __future__ import annotations

import math
import time
from functools import lru_cache
from typing import Protocol

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from reference_impl.exchange import Exchange, Principal, Quota
from reference_impl.policies.errors import ContractError
from reference_impl.settings import Allowance, Tier

REQUESTS = "requests"
TOKENS = "tokens"


class RateLimiter(Protocol):
    """Admits work and accounts for it; keeps `exchange.quotas` up to date."""

    async def admit_request(self, exchange: Exchange) -> None:
        """Count one request of the exchange's caller; raise RATE_LIMITED when it is one too many."""
        ...

    async def admit_tokens(self, exchange: Exchange, tokens: int) -> None:
        """Raise TOKEN_LIMIT_EXCEEDED when `tokens` of input do not fit in the window. Charges nothing."""
        ...

    async def charge(self, exchange: Exchange, tokens: int) -> None:
        """Account for tokens that were really used."""
        ...

    def headers(self, exchange: Exchange) -> list[tuple[bytes, bytes]]:
        """Response headers that show where the caller stands."""
        ...


class Unlimited:
    """No limits, and no headers about them."""

    async def admit_request(self, exchange: Exchange) -> None:
        """Every request is welcome."""

    async def admit_tokens(self, exchange: Exchange, tokens: int) -> None:
        """Every prompt is welcome."""

    async def charge(self, exchange: Exchange, tokens: int) -> None:
        """Nothing is counted."""

    def headers(self, exchange: Exchange) -> list[tuple[bytes, bytes]]:
        """Nothing to say."""
        return []


class FixedWindows:
    """Two policies per principal, counted in this process's memory."""

    def __init__(self) -> None:
        self._windows = FixedWindowRateLimiter(MemoryStorage())

    async def admit_request(self, exchange: Exchange) -> None:
        """Every authenticated request counts, also one that is then refused for another reason."""
        caller = exchange.caller
        admitted = await self._windows.hit(_item(caller.tier.requests), REQUESTS, caller.name)
        exchange.quotas = await self._quotas(caller)
        if not admitted:
            quota = exchange.quotas[0]
            raise _exceeded(
                "RATE_LIMITED",
                f"More than {quota.limit} requests in {quota.window_seconds} s; "
                f"wait {_retry_after(quota)} s.",
                caller.tier,
                quota,
                suggestion="Spread the requests over the window, or ask for a higher tier.",
            )

    async def admit_tokens(self, exchange: Exchange, tokens: int) -> None:
        """Admission looks at input only: nobody knows the output yet."""
        caller = exchange.caller
        if await self._windows.test(_item(caller.tier.tokens), TOKENS, caller.name, cost=tokens):
            return
        exchange.quotas = await self._quotas(caller)
        quota = exchange.quotas[1]
        if tokens > quota.limit:
            # Waiting cannot help: say so to clients that would retry by themselves.
            raise _exceeded(
                "TOKEN_LIMIT_EXCEEDED",
                f"The input has {tokens} tokens; this tier allows {quota.limit} in {quota.window_seconds} s.",
                caller.tier,
                quota,
                suggestion=f"Shorten the input to at most {quota.limit} tokens, or ask for a higher tier.",
                retry=False,
            )
        raise _exceeded(
            "TOKEN_LIMIT_EXCEEDED",
            f"The input has {tokens} tokens and {quota.remaining} of {quota.limit} are left; "
            f"wait {_retry_after(quota)} s.",
            caller.tier,
            quota,
            suggestion="Send shorter inputs, or ask for a higher tier.",
        )

    async def charge(self, exchange: Exchange, tokens: int) -> None:
        """The real usage, which may carry the counter past the limit; the window then shows 0 remaining."""
        caller = exchange.caller
        if tokens:
            await self._windows.hit(_item(caller.tier.tokens), TOKENS, caller.name, cost=tokens)
        exchange.quotas = await self._quotas(caller)

    def headers(self, exchange: Exchange) -> list[tuple[bytes, bytes]]:
        """The structured fields (RFC 9651 lists) and the `x-ratelimit-*` aliases many clients read."""
        if exchange.principal is None or not exchange.quotas:
            return []
        standing = ", ".join(f'"{q.policy}";r={q.remaining};t={q.reset_seconds}' for q in exchange.quotas)
        result = [
            (b"ratelimit-policy", _policy_header(exchange.principal.tier)),
            (b"ratelimit", standing.encode()),
        ]
        for quota in exchange.quotas:
            name = quota.policy.encode()
            result += [
                (b"x-ratelimit-limit-" + name, b"%d" % quota.limit),
                (b"x-ratelimit-remaining-" + name, b"%d" % quota.remaining),
                (b"x-ratelimit-reset-" + name, b"%ds" % quota.reset_seconds),
            ]
        return result

    async def _quotas(self, caller: Principal) -> tuple[Quota, ...]:
        tier = caller.tier
        return (
            await self._quota(REQUESTS, tier.requests, caller.name),
            await self._quota(TOKENS, tier.tokens, caller.name),
        )

    async def _quota(self, policy: str, allowance: Allowance, name: str) -> Quota:
        reset_at, remaining = await self._windows.get_window_stats(_item(allowance), policy, name)
        # A window that has not started yet would last its full length from now on.
        left = reset_at - time.time()
        seconds = math.ceil(left) if left > 0 else allowance.window_seconds
        return Quota(policy, allowance.limit, allowance.window_seconds, remaining, seconds)


class _Window(RateLimitItemPerSecond):
    """An allowance in the words of the limits library; composes each principal's key once."""

    __slots__ = ("_keys",)

    def __init__(self, allowance: Allowance) -> None:
        super().__init__(allowance.limit, allowance.window_seconds)
        self._keys: dict[tuple[object, ...], str] = {}

    def key_for(self, *identifiers: bytes | str | int | float) -> str:
        """The storage key; principals are configured, so there is a bounded number of them."""
        if identifiers not in self._keys:
            self._keys[identifiers] = super().key_for(*identifiers)
        return self._keys[identifiers]


@lru_cache
def _item(allowance: Allowance) -> RateLimitItem:
    return _Window(allowance)


@lru_cache
def _policy_header(tier: Tier) -> bytes:
    requests, tokens = tier.requests, tier.tokens
    return (
        f'"{REQUESTS}";q={requests.limit};w={requests.window_seconds}, '
        f'"{TOKENS}";q={tokens.limit};qu="tokens";w={tokens.window_seconds}'
    ).encode()


def _retry_after(quota: Quota) -> int:
    return max(1, quota.reset_seconds)


def _exceeded(
    code: str, message: str, tier: Tier, quota: Quota, *, suggestion: str, retry: bool = True
) -> ContractError:
    retry_after = _retry_after(quota)
    headers = {"Retry-After": str(retry_after)}
    if not retry:
        headers["X-Should-Retry"] = "false"
    return ContractError(
        code,
        message,
        details={
            "policy": quota.policy,
            "unit": quota.policy,
            "limit": quota.limit,
            "remaining": quota.remaining,
            "window_seconds": quota.window_seconds,
            "tier": tier.name,
            "retry_after_seconds": retry_after,
            "suggestion": suggestion,
        },
        headers=headers,
    )
