"""Limits on requests, tokens and cost in fixed windows that start at the first hit, and on concurrency.

Headers as in draft-ietf-httpapi-ratelimit-headers.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import Protocol

from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter

from reference_impl.engine.models import CURRENCY
from reference_impl.exchange import Exchange, Principal, Quota
from reference_impl.policies.errors import ContractError
from reference_impl.policies.quotas import (
    ALIASED,
    CONCURRENT,
    COST,
    REQUESTS,
    TOKENS,
    UNITS,
    exceeded,
    item,
    policy_header,
    retry_after,
    standing,
)
from reference_impl.settings import Allowance


class RateLimiter(Protocol):
    """Admits work and accounts for it; keeps `exchange.quotas` up to date.

    Where the counters are out of reach, the admissions raise an OutageError: nobody may do more than allowed.
    """

    async def open(self) -> None:
        """The server starts."""
        ...

    async def renew(self) -> None:
        """The server is alive, and so are the exchanges that hold slots. Called well within a lease."""
        ...

    async def close(self) -> None:
        """The server has stopped."""
        ...

    async def admit_request(self, exchange: Exchange) -> None:
        """Count one request of the exchange's caller, and hold one of the caller's concurrent slots for it.

        Raises RATE_LIMITED when it is one too many, in the window or at the same time.
        """
        ...

    def release(self, exchange: Exchange) -> None:
        """The exchange is over: free the slot it holds, if it holds one."""
        ...

    async def admit_tokens(self, exchange: Exchange, tokens: int) -> None:
        """Raise TOKEN_LIMIT_EXCEEDED when `tokens` of input do not fit in the window. Charges nothing."""
        ...

    async def admit_cost(self, exchange: Exchange, microunits: int) -> None:
        """Raise BUDGET_EXCEEDED when what the call costs at least does not fit in the budget. Charges nothing."""
        ...

    async def charge(self, exchange: Exchange, tokens: int, microunits: int = 0) -> None:
        """Account for tokens and cost (millionths of the currency) that were really used."""
        ...

    def headers(self, exchange: Exchange) -> list[tuple[bytes, bytes]]:
        """Response headers that show where the caller stands."""
        ...


class OwnCounters:
    """Counters that live and die with the process: nothing to open, to renew or to close."""

    async def open(self) -> None:
        """Nothing to do."""

    async def renew(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do."""


class Unlimited(OwnCounters):
    """No limits, and no headers about them."""

    async def admit_request(self, exchange: Exchange) -> None:
        """Every request is welcome."""

    async def admit_tokens(self, exchange: Exchange, tokens: int) -> None:
        """Every prompt is welcome."""

    async def admit_cost(self, exchange: Exchange, microunits: int) -> None:
        """Every cost is welcome."""

    def release(self, exchange: Exchange) -> None:
        """Nothing was held."""

    async def charge(self, exchange: Exchange, tokens: int, microunits: int = 0) -> None:
        """Nothing is counted."""

    def headers(self, exchange: Exchange) -> list[tuple[bytes, bytes]]:
        """Nothing to say."""
        return []


class FixedWindows(OwnCounters):
    """The policies of each principal's tier, counted in this process's memory."""

    def __init__(self) -> None:
        self._windows = FixedWindowRateLimiter(MemoryStorage())
        self._active: Counter[str] = Counter()

    async def admit_request(self, exchange: Exchange) -> None:
        """Every authenticated request counts, also one that is then refused for another reason."""
        caller = exchange.caller
        admitted = await self._windows.hit(item(caller.tier.requests), REQUESTS, caller.name)
        exchange.quotas = await self._quotas(caller)
        if not admitted:
            raise self._too_many_requests(exchange)
        if caller.tier.concurrency is not None:
            self._hold_slot(exchange, caller.tier.concurrency)

    def _hold_slot(self, exchange: Exchange, limit: int) -> None:
        caller = exchange.caller
        if self._active[caller.name] >= limit:
            raise self._too_many_at_once(exchange, limit)
        self._active[caller.name] += 1
        exchange.holds_slot = True
        exchange.quotas = (*exchange.quotas[:-1], self._at_once(limit, self._active[caller.name]))

    def release(self, exchange: Exchange) -> None:
        """Also after a client that left: the slot is the exchange's, not the answer's."""
        if exchange.holds_slot:
            exchange.holds_slot = False
            name = exchange.caller.name
            self._active[name] -= 1
            if not self._active[name]:
                del self._active[name]

    async def admit_tokens(self, exchange: Exchange, tokens: int) -> None:
        """Admission looks at input only: nobody knows the output yet."""
        caller = exchange.caller
        if await self._fits(TOKENS, caller.tier.tokens, caller.name, tokens):
            return
        exchange.quotas = await self._quotas(caller)
        quota = exchange.quotas[1]
        if tokens > quota.limit:
            # Waiting cannot help: say so to clients that would retry by themselves.
            raise exceeded(
                "TOKEN_LIMIT_EXCEEDED",
                f"The input has {tokens} tokens; this tier allows {quota.limit} in {quota.window_seconds} s.",
                caller.tier,
                quota,
                suggestion=f"Shorten the input to at most {quota.limit} tokens, or ask for a higher tier.",
                retry=False,
            )
        raise exceeded(
            "TOKEN_LIMIT_EXCEEDED",
            f"The input has {tokens} tokens and {quota.remaining} of {quota.limit} are left; "
            f"wait {retry_after(quota)} s.",
            caller.tier,
            quota,
            suggestion="Send shorter inputs, or ask for a higher tier.",
        )

    async def admit_cost(self, exchange: Exchange, microunits: int) -> None:
        """Admission looks at what the input costs: nobody knows the output yet."""
        caller = exchange.caller
        budget = caller.tier.cost
        if budget is None or await self._fits(COST, budget, caller.name, max(1, microunits)):
            return
        exchange.quotas = await self._quotas(caller)
        quota = next(q for q in exchange.quotas if q.policy == COST)
        raise exceeded(
            "BUDGET_EXCEEDED",
            f"{quota.remaining} of {quota.limit} millionths of {CURRENCY} are left of the budget, and this costs "
            f"at least {microunits}; the budget is renewed in {retry_after(quota)} s.",
            caller.tier,
            quota,
            suggestion="Wait until the budget is renewed, choose a cheaper model, or have the budget raised.",
            retry=microunits <= quota.limit,
        )

    async def charge(self, exchange: Exchange, tokens: int, microunits: int = 0) -> None:
        """The real usage, which may carry the counter past the limit; the window then shows 0 remaining."""
        caller = exchange.caller
        if tokens:
            await self._windows.hit(item(caller.tier.tokens), TOKENS, caller.name, cost=tokens)
        if microunits and caller.tier.cost is not None:
            await self._windows.hit(item(caller.tier.cost), COST, caller.name, cost=microunits)
        exchange.quotas = await self._quotas(caller)

    def headers(self, exchange: Exchange) -> list[tuple[bytes, bytes]]:
        """The structured fields (RFC 9651 lists) and the `x-ratelimit-*` aliases many clients read."""
        if exchange.principal is None or not exchange.quotas:
            return []
        told = ", ".join(standing(quota) for quota in exchange.quotas)
        result = [
            (b"ratelimit-policy", policy_header(exchange.principal.tier)),
            (b"ratelimit", told.encode()),
        ]
        for quota in (q for q in exchange.quotas if q.policy in ALIASED):
            name = quota.policy.encode()
            result += [
                (b"x-ratelimit-limit-" + name, b"%d" % quota.limit),
                (b"x-ratelimit-remaining-" + name, b"%d" % quota.remaining),
                (b"x-ratelimit-reset-" + name, b"%ds" % (quota.reset_seconds or 0)),
            ]
        return result

    async def _quotas(self, caller: Principal) -> tuple[Quota, ...]:
        tier = caller.tier
        quotas = [
            await self._quota(REQUESTS, tier.requests, caller.name),
            await self._quota(TOKENS, tier.tokens, caller.name),
        ]
        if tier.cost is not None:
            quotas.append(await self._quota(COST, tier.cost, caller.name))
        if tier.concurrency is not None:
            quotas.append(self._at_once(tier.concurrency, self._active[caller.name]))
        return tuple(quotas)

    async def _fits(self, policy: str, allowance: Allowance, name: str, cost: int) -> bool:
        fits: bool = await self._windows.test(item(allowance), policy, name, cost=cost)
        return fits

    async def _quota(self, policy: str, allowance: Allowance, name: str) -> Quota:
        reset_at, remaining = await self._windows.get_window_stats(item(allowance), policy, name)
        return self._standing(policy, allowance, remaining, reset_at - time.time())

    @staticmethod
    def _standing(policy: str, allowance: Allowance, remaining: int, left_s: float) -> Quota:
        # A window that has not started yet would last its full length from now on.
        seconds = math.ceil(left_s) if left_s > 0 else allowance.window_seconds
        return Quota(policy, allowance.limit, allowance.window_seconds, remaining, seconds, UNITS[policy])

    @staticmethod
    def _at_once(limit: int, active: int) -> Quota:
        return Quota(CONCURRENT, limit, None, max(0, limit - active), None, UNITS[CONCURRENT])

    @staticmethod
    def _too_many_requests(exchange: Exchange) -> ContractError:
        quota = exchange.quotas[0]
        return exceeded(
            "RATE_LIMITED",
            f"More than {quota.limit} requests in {quota.window_seconds} s; wait {retry_after(quota)} s.",
            exchange.caller.tier,
            quota,
            suggestion="Spread the requests over the window, or ask for a higher tier.",
        )

    @staticmethod
    def _too_many_at_once(exchange: Exchange, limit: int) -> ContractError:
        return exceeded(
            "RATE_LIMITED",
            f"More than {limit} requests at the same time; wait until one has ended.",
            exchange.caller.tier,
            exchange.quotas[-1],
            suggestion="Send requests one after the other, or ask for a higher tier.",
        )
