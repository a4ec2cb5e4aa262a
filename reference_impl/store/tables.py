"""The tables. Times are seconds since the epoch; a body is the exact bytes that went over the wire."""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, MetaData, String, Table

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
    # NULL while the execution is in flight.
    Column("status", Integer),
    Column("media_type", String),
    Column("location", String),
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
    Index("agent_runs_by_expiry", "expires_at"),
)

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
