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
