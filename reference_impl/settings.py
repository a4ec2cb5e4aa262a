"""Everything an operator can choose, and the demo identities the reference ships with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

BASE_PATH = "/api/v1"
API_VERSION = "2026-11-01"
CONTRACT_VERSION = "1.0.0"


@dataclass(frozen=True)
class Allowance:
    """`limit` units per fixed window of `window_seconds` that starts at the first hit."""

    limit: int
    window_seconds: int


@dataclass(frozen=True)
class Tier:
    """The limits that a group of principals shares the shape of (never the counters)."""

    name: str
    requests: Allowance
    tokens: Allowance


ALL_SCOPES = frozenset({"*"})
READING_ACTIONS = frozenset(
    {
        "models:*:invoke",
        "actions:calculator:execute",
        "actions:search_articles:execute",
        "actions:list_entries:execute",
    }
)
"""Everything but writing into the ledger."""


@dataclass(frozen=True)
class Credential:
    """An API key as it is kept: its SHA-256 only. High-entropy keys need no slow hash."""

    sha256: str
    principal: str
    tier: Tier
    scopes: frozenset[str] = ALL_SCOPES


PRODUCTION = Tier("production", Allowance(6000, 60), Allowance(2_000_000, 60))
DEVELOPMENT = Tier("development", Allowance(5, 4), Allowance(400, 4))


def credential(key: str, principal: str, tier: Tier, scopes: frozenset[str] = ALL_SCOPES) -> Credential:
    """The stored form of an API key."""
    return Credential(hashlib.sha256(key.encode()).hexdigest(), principal, tier, scopes)


DEMO_CREDENTIALS = (
    credential("sk-demo", "demo", PRODUCTION),
    credential("sk-demo-other", "other", PRODUCTION, READING_ACTIONS),
    credential("sk-demo-limited", "limited", DEVELOPMENT),
)


@dataclass(frozen=True)
class Settings:
    """One server's configuration. Durations are seconds unless the name says otherwise.

    `database` is a file path, or `:memory:` for state that ends with the process.
    `cors_origin` is an origin, `*`, or None for no CORS headers at all.
    """

    database: str = ":memory:"
    first_token_ms: int = 0
    token_ms: int = 0
    keep_alive_s: float = 10.0
    rate_limits: bool = True
    cors_origin: str | None = "*"
    idempotency_ttl_s: float = 86_400.0
    turn_ttl_s: float = 86_400.0
    agent_run_ttl_s: float = 86_400.0
    max_body_bytes: int = 1_048_576
    sync_max_seconds: int = 60
    shutdown_grace_s: float = 3.0
    socket_idle_s: float = 300.0
    credentials: tuple[Credential, ...] = DEMO_CREDENTIALS
