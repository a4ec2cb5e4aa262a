"""The policies of a tier as they are written: names, units, header fields, refusals.

Header fields as in draft-ietf-httpapi-ratelimit-headers.
"""

from __future__ import annotations

from functools import lru_cache

from limits import RateLimitItem, RateLimitItemPerSecond

from reference_impl.engine.models import CURRENCY
from reference_impl.exchange import Quota
from reference_impl.policies.errors import ContractError
from reference_impl.settings import Allowance, Tier

REQUESTS = "requests"
TOKENS = "tokens"
COST = "cost"
CONCURRENT = "concurrent"
UNITS = {
    REQUESTS: "requests",
    TOKENS: "tokens",
    COST: "cost-microunits",
    CONCURRENT: "concurrent-requests",
}
ALIASED = (REQUESTS, TOKENS)
_LONGEST_SLEEP_S = 60
"""Clients that retry by themselves are told not to sleep for longer inside a request."""


class _Window(RateLimitItemPerSecond):
    """An allowance in the words of the limits library; remembers the keys of the latest principals."""

    __slots__ = ("_key",)

    def __init__(self, allowance: Allowance) -> None:
        super().__init__(allowance.limit, allowance.window_seconds)
        self._key = lru_cache(maxsize=1024)(super().key_for)

    def key_for(self, *identifiers: bytes | str | int | float) -> str:
        """The storage key. Subjects of trusted issuers are principals too, of which there is no end."""
        return self._key(*identifiers)


@lru_cache
def item(allowance: Allowance) -> RateLimitItem:
    """The allowance in the words of the limits library."""
    return _Window(allowance)


@lru_cache
def policy_header(tier: Tier) -> bytes:
    """The value of `RateLimit-Policy`: all policies of a tier."""
    requests, tokens = tier.requests, tier.tokens
    members = [
        f'"{REQUESTS}";q={requests.limit};w={requests.window_seconds}',
        f'"{TOKENS}";q={tokens.limit};qu="{UNITS[TOKENS]}";w={tokens.window_seconds}',
    ]
    if tier.cost is not None:
        members.append(f'"{COST}";q={tier.cost.limit};qu="{UNITS[COST]}";w={tier.cost.window_seconds}')
    if tier.concurrency is not None:
        members.append(f'"{CONCURRENT}";q={tier.concurrency};qu="{UNITS[CONCURRENT]}"')
    return ", ".join(members).encode()


def standing(quota: Quota) -> str:
    """One member of `RateLimit`."""
    reset = "" if quota.reset_seconds is None else f";t={quota.reset_seconds}"
    return f'"{quota.policy}";r={quota.remaining}{reset}'


def retry_after(quota: Quota) -> int:
    """Whole seconds after which the quota is whole again, at least 1."""
    return max(1, quota.reset_seconds or 0)


def exceeded(
    code: str, message: str, tier: Tier, quota: Quota, *, suggestion: str, retry: bool = True
) -> ContractError:
    """The refusal by one policy, with everything a client needs to know about it."""
    seconds = retry_after(quota)
    headers = {"Retry-After": str(seconds)}
    if not retry or seconds > _LONGEST_SLEEP_S:
        headers["X-Should-Retry"] = "false"
    currency = {"currency": CURRENCY} if quota.policy == COST else {}
    return ContractError(
        code,
        message,
        details={
            "policy": quota.policy,
            "unit": quota.unit,
            "limit": quota.limit,
            "remaining": quota.remaining,
            "window_seconds": quota.window_seconds,
            "tier": tier.name,
            "retry_after_seconds": seconds,
            "suggestion": suggestion,
            **currency,
        },
        headers=headers,
    )
