"""The tables. Times are seconds since the epoch; a body is the exact bytes that went over the wire."""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, MetaData, Table, case, exists

from reference_impl.store.texts import String, Text

METADATA = MetaData()

IDEMPOTENCY = Table(
    "idempotency",
    METADATA,
    Column("principal", String, primary_key=True),
    Column("operation", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("fingerprint", String, nullable=False),
    Column("boot", String, nullable=False),
    Column("expires_at", Float, nullable=False),
    # NULL while the execution is in flight; it is somebody's as long as its process renews the lease.
    Column("status", Integer),
    Column("leased_until", Float),
    Column("media_type", String),
    Column("location", String),
    # What a repetition must not begin again: the run of an agent whose tools may have acted.
    Column("begun", String),
    Column("body", LargeBinary),
    Index("idempotency_by_expiry", "expires_at"),
)

TURNS = Table(
    "turns",
    METADATA,
    Column("id", String, primary_key=True),
    Column("principal", String, nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("expires_at", Float, nullable=False),
    # NULL until the answer was generated to its end.
    Column("answer", LargeBinary),
    # Whoever generates it.
    Column("lease", String),
    Column("leased_until", Float),
    Index("turns_by_expiry", "expires_at"),
)

AGENT_RUNS = Table(
    "agent_runs",
    METADATA,
    Column("id", String, primary_key=True),
    Column("principal", String, nullable=False),
    Column("status", String, nullable=False),
    Column("state", LargeBinary, nullable=False),
    Column("expires_at", Float, nullable=False),
    # Whoever carries a running one on.
    Column("lease", String),
    Column("leased_until", Float),
    Index("agent_runs_by_expiry", "expires_at"),
)

AGENT_CALLS = Table(
    "agent_calls",
    METADATA,
    Column("id", String, primary_key=True),
    Column("run_id", String, nullable=False),
    Column("begun_at", Float, nullable=False),
    # JSON: the call as it was begun, and how it ended. NULL as long as nobody knows.
    Column("begun", LargeBinary, nullable=False),
    Column("outcome", LargeBinary),
    Column("expires_at", Float, nullable=False),
    Index("agent_calls_by_run", "run_id"),
    Index("agent_calls_by_expiry", "expires_at"),
)

CUT_OFF = case((exists().where(AGENT_CALLS.c.run_id == AGENT_RUNS.c.id), "failed"), else_="requires_action")
"""The status of a run whose process died while it carried it on. If no tool has acted, it waits as it did before."""

ENTRIES = Table(
    "entries",
    METADATA,
    Column("id", String, primary_key=True),
    Column("principal", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("amount", String, nullable=False),
    Column("currency", String, nullable=False),
    Column("memo", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Index("entries_by_principal", "principal", "created_at"),
)

CODES = Table(
    "oauth_codes",
    METADATA,
    # The code itself is a credential and never stored.
    Column("sha256", String, primary_key=True),
    Column("client_id", String, nullable=False),
    Column("principal", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("redirect_uri", String, nullable=False),
    Column("challenge", String, nullable=False),
    Column("resource", String, nullable=False),
    Column("expires_at", Float, nullable=False),
)

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("id", String, primary_key=True),
    Column("principal", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    # The turn under way, if one is; after `leased_until` nobody is working on it any more.
    Column("lease", String),
    Column("leased_until", Float),
    Index("sessions_by_expiry", "expires_at"),
)

SESSION_MESSAGES = Table(
    "session_messages",
    METADATA,
    Column("session", String, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("role", String, nullable=False),
    Column("content", Text, nullable=False),
)

USAGE = Table(
    "usage",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("principal", String, nullable=False),
    Column("trace_id", String, nullable=False),
    Column("request_id", String, nullable=False),
    Column("operation", String, nullable=False),
    Column("model", String, nullable=False),
    Column("at", Float, nullable=False),
    Column("input", Integer, nullable=False),
    Column("output", Integer, nullable=False),
    Column("cached_input", Integer, nullable=False),
    Column("reasoning_output", Integer, nullable=False),
    # An exact decimal, as it was told to the caller.
    Column("cost", String, nullable=False),
    Column("price_version", String, nullable=False),
    Column("expires_at", Float, nullable=False),
    Index("usage_by_trace", "principal", "trace_id"),
    Index("usage_by_expiry", "expires_at"),
)
