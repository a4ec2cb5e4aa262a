"""Everything an operator can choose, and the demo identities the reference ships with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from reference_impl.identity import FULL_SCOPES, AuthSettings

BASE_PATH = "/api/v1"
API_VERSION = "2026-11-01"
API_VERSIONS = ("2026-06-01", API_VERSION)
CONTRACT_VERSION = "1.0.0"


@dataclass(frozen=True)
class Allowance:
    """`limit` units per fixed window of `window_seconds` that starts at the first hit."""

    limit: int
    window_seconds: int


@dataclass(frozen=True)
class Tier:
    """The limits that a group of principals shares the shape of (never the counters).

    `cost` is a budget in millionths of the price list's currency, `concurrency` requests at the same time; None
    is no such limit.
    """

    name: str
    requests: Allowance
    tokens: Allowance
    cost: Allowance | None = None
    concurrency: int | None = None


READING_ACTIONS = (FULL_SCOPES - {"actions:*:execute"}) | {
    "actions:calculator:execute",
    "actions:search_articles:execute",
    "actions:list_entries:execute",
}
"""Everything but writing into the ledger."""


@dataclass(frozen=True)
class Credential:
    """An API key as it is kept: its SHA-256 only. High-entropy keys need no slow hash."""

    sha256: str
    principal: str
    tier: Tier
    scopes: frozenset[str] = FULL_SCOPES


DAY_S = 86_400

PRODUCTION = Tier(
    "production", Allowance(6000, 60), Allowance(2_000_000, 60), Allowance(50_000_000, DAY_S), concurrency=64
)
DEVELOPMENT = Tier("development", Allowance(5, 4), Allowance(400, 4), Allowance(5_000_000, DAY_S))
BUDGET = Tier("budget", Allowance(600, 60), Allowance(200_000, 60), Allowance(150, 8), concurrency=2)


def credential(key: str, principal: str, tier: Tier, scopes: frozenset[str] = FULL_SCOPES) -> Credential:
    """The stored form of an API key."""
    return Credential(hashlib.sha256(key.encode()).hexdigest(), principal, tier, scopes)


DEMO_CREDENTIALS = (
    credential("sk-demo", "demo", PRODUCTION),
    credential("sk-demo-other", "other", PRODUCTION, READING_ACTIONS),
    credential("sk-demo-limited", "limited", DEVELOPMENT),
    credential("sk-demo-narrow", "narrow", PRODUCTION, frozenset({"models:atlas-mini:invoke"})),
    credential("sk-demo-budget", "budget", BUDGET),
)


@dataclass(frozen=True)
class Settings:
    """One server's configuration. Durations are seconds unless the name says otherwise.

    `database` is a file path, `:memory:` for state that ends with the process, or a `postgresql://` URL; `redis` a
    `redis://` URL where limits are counted for all servers together, or None for this process's memory.
    Nobody takes over the work of a server before it has been silent for `lease_s`.
    `webhook_networks` are CIDR blocks that callbacks may reach although they are not public, and by plain http.
    `cors_origin` is an origin, `*`, or None for no CORS headers at all. Beyond `max_generations` at once the
    server is overloaded.
    """

    database: str = ":memory:"
    redis: str | None = None
    lease_s: float = 30.0
    first_token_ms: int = 0
    token_ms: int = 0
    keep_alive_s: float = 10.0
    rate_limits: bool = True
    cors_origin: str | None = "*"
    idempotency_ttl_s: float = 86_400.0
    turn_ttl_s: float = 86_400.0
    agent_run_ttl_s: float = 86_400.0
    session_ttl_s: int = DAY_S
    usage_retention_s: int = 30 * DAY_S
    max_generations: int = 512
    max_body_bytes: int = 1_048_576
    sync_max_seconds: int = 60
    shutdown_grace_s: float = 3.0
    job_deadline_s: float = 86_400.0
    job_retention_s: float = 604_800.0
    background_tasks: int = 4
    webhook_networks: tuple[str, ...] = ()
    webhook_delays_s: tuple[float, ...] = (1, 3, 10, 60, 300, 1800, 7200, 18_000)
    webhook_overlap_s: float = 86_400.0
    webhook_timeout_s: float = 15.0
    max_webhooks: int = 20
    socket_idle_s: float = 300.0
    credentials: tuple[Credential, ...] = DEMO_CREDENTIALS
    auth: AuthSettings = field(default_factory=AuthSettings)
