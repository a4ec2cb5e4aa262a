"""Limits that several servers count together, in Redis.

Windows by the limits library; slots for requests at the same time as a sorted set per caller, in which each slot has
an end, so that those of a server that died come free. Why it fails closed: docs/decisions/0018-shared-limits.md.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from limits.aio.storage import RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from reference_impl.exchange import Exchange, Principal, Quota
from reference_impl.outages import OutageError
from reference_impl.policies.limits import FixedWindows
from reference_impl.policies.quotas import COST, REQUESTS, TOKENS, item
from reference_impl.settings import Allowance

_log = logging.getLogger("aiconform.reference")

_PREFIX = "aiconform"
_ANSWER_S = 1.0

# KEYS: the caller's slots. ARGV: the name of the slot, how many there may be, milliseconds that it lasts.
# Returns how many are taken afterwards, or -1 if all are. Redis's clock counts, so that servers' may differ.
_TAKE = """
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ms)
local taken = redis.call('ZCARD', KEYS[1])
if taken >= tonumber(ARGV[2]) then return -1 end
redis.call('ZADD', KEYS[1], ms + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return taken + 1
"""
# KEYS: the caller's slots. ARGV: milliseconds, then the names of slots that go on for so long.
_RENEW = """
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], ms + ARGV[1], ARGV[i]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
"""
_COUNT = """
local now = redis.call('TIME')
return redis.call('ZCOUNT', KEYS[1], now[1] * 1000 + math.floor(now[2] / 1000), '+inf')
"""

T = TypeVar("T")


class LimitsUnavailableError(OutageError):
    """Redis cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class _Slot:
    key: str
    name: str
    exchange: Exchange  # as long as it is here, no other exchange has its id


@dataclass(frozen=True)
class _Debt:
    caller: Principal
    tokens: int
    microunits: int


class SharedWindows(FixedWindows):
    """As `FixedWindows`, with one count for all servers that use the same Redis.

    Slots are renewed as long as their exchanges last, and end `lease_s` after their server has.
    """

    def __init__(self, url: str, lease_s: float) -> None:
        """Raises LimitsUnavailableError for a URL that cannot be used."""
        super().__init__()
        self._storage = _storage(url)
        self._where = _where(url)
        self._windows = FixedWindowRateLimiter(self._storage)
        self._redis: Any = self._storage.bridge.get_connection()
        self._take = self._redis.register_script(_TAKE)
        self._renew = self._redis.register_script(_RENEW)
        self._count = self._redis.register_script(_COUNT)
        self._slot_ms = math.ceil(lease_s * 1000)
        self._slots: dict[int, _Slot] = {}
        self._releasing: set[asyncio.Task[None]] = set()
        self._owed: list[_Debt] = []

    async def open(self) -> None:
        """Find out whether Redis is there."""
        try:
            await self._asked(self._redis.ping())
        except OutageError:
            await self.close()
            raise

    async def renew(self) -> None:
        """Renew the slots of exchanges that go on, and charge what could not be charged."""
        held: dict[str, list[str]] = {}
        for slot in self._slots.values():
            held.setdefault(slot.key, []).append(slot.name)
        for key, slots in held.items():
            await self._asked(self._renew(keys=[key], args=[self._slot_ms, *slots]))
        while self._owed:
            await self._charge(self._owed[0])
            del self._owed[0]

    async def close(self) -> None:
        """Free what is still held, and close the connections."""
        await asyncio.gather(*self._releasing, return_exceptions=True)
        await self._redis.aclose()

    async def admit_request(self, exchange: Exchange) -> None:
        """As before; the slot is taken in one step with the look whether there is one."""
        caller, concurrency = exchange.caller, exchange.caller.tier.concurrency
        admitted = await self._asked(self._windows.hit(item(caller.tier.requests), REQUESTS, caller.name))
        exchange.quotas = await self._quotas(caller)
        if not admitted:
            raise self._too_many_requests(exchange)
        if concurrency is None:
            return
        key, slot = _slots_of(caller.name), secrets.token_hex(8)
        taken = int(await self._asked(self._take(keys=[key], args=[slot, concurrency, self._slot_ms])))
        if taken < 0:
            raise self._too_many_at_once(exchange, concurrency)
        self._slots[id(exchange)] = _Slot(key, slot, exchange)
        exchange.holds_slot = True
        exchange.quotas = (*exchange.quotas[:-1], self._at_once(concurrency, taken))

    def release(self, exchange: Exchange) -> None:
        """Free the slot soon. Were it never freed, it would end with its lease."""
        if not exchange.holds_slot:
            return
        exchange.holds_slot = False
        slot = self._slots.pop(id(exchange))
        task = asyncio.create_task(self._free(slot.key, slot.name))
        self._releasing.add(task)
        task.add_done_callback(self._releasing.discard)

    async def charge(self, exchange: Exchange, tokens: int, microunits: int = 0) -> None:
        """The real usage. What was generated is not lost for an outage: it is charged when that is over."""
        debt = _Debt(exchange.caller, tokens, microunits)
        try:
            await self._charge(debt)
            exchange.quotas = await self._quotas(exchange.caller)
        except OutageError as problem:
            _log.warning("usage is charged later: %s", problem)
            self._owed.append(debt)

    async def _charge(self, debt: _Debt) -> None:
        tier, name = debt.caller.tier, debt.caller.name
        if debt.tokens:
            await self._asked(self._windows.hit(item(tier.tokens), TOKENS, name, cost=debt.tokens))
        if debt.microunits and tier.cost is not None:
            await self._asked(self._windows.hit(item(tier.cost), COST, name, cost=debt.microunits))

    async def _fits(self, policy: str, allowance: Allowance, name: str, cost: int) -> bool:
        return await self._asked(super()._fits(policy, allowance, name, cost))

    async def _quotas(self, caller: Principal) -> tuple[Quota, ...]:
        """Every standing of a caller in one round trip."""
        tier = caller.tier
        windows = [(REQUESTS, tier.requests), (TOKENS, tier.tokens)]
        if tier.cost is not None:
            windows.append((COST, tier.cost))
        asking = self._redis.pipeline(transaction=False)
        for policy, allowance in windows:
            key = self._storage.bridge.prefixed_key(item(allowance).key_for(policy, caller.name))
            asking.get(key)
            asking.pttl(key)
        if tier.concurrency is not None:
            await self._count(keys=[_slots_of(caller.name)], client=asking)
        told = await self._asked(asking.execute())
        quotas = [
            self._standing(policy, allowance, _left(allowance, told[2 * n]), told[2 * n + 1] / 1000)
            for n, (policy, allowance) in enumerate(windows)
        ]
        if tier.concurrency is not None:
            quotas.append(self._at_once(tier.concurrency, int(told[-1])))
        return tuple(quotas)

    async def _free(self, key: str, slot: str) -> None:
        try:
            await self._asked(self._redis.zrem(key, slot))
        except OutageError as problem:
            _log.warning("a slot is free when its lease ends: %s", problem)

    async def _asked(self, question: Awaitable[T]) -> T:
        try:
            return await question
        except (RedisError, OSError, TimeoutError) as problem:
            reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
            raise LimitsUnavailableError(
                f"Redis at {self._where} cannot be used: {reason.rstrip('.')}; is it running, and is REDIS_URL right?"
            ) from problem


def _left(allowance: Allowance, counted: bytes | None) -> int:
    return max(0, allowance.limit - int(counted or 0))


def _slots_of(name: str) -> str:
    return f"{_PREFIX}:slots:{name}"


def _where(url: str) -> str:
    """Host and port, without a password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 6379}"


def _storage(url: str) -> Any:
    try:
        parts = urlsplit(url)
        if parts.scheme in ("redis", "rediss") and parts.hostname and parts.port != 0:
            # Once more and at once: a connection from before a restart of Redis is found broken only in use.
            again: Any = Retry(NoBackoff(), 1)
            return RedisStorage(
                f"async+{url}",
                implementation="redispy",
                key_prefix=_PREFIX,
                socket_timeout=_ANSWER_S,
                socket_connect_timeout=_ANSWER_S,
                retry=again,
            )
    except ValueError:
        pass
    raise LimitsUnavailableError(
        "the Redis URL cannot be used; give one such as redis://:password@host:6379/0, or rediss:// for TLS"
    )
