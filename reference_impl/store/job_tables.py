"""The tables of asynchronous work. Times are seconds since the epoch."""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, Table

from reference_impl.store.tables import METADATA
from reference_impl.store.texts import String

JOBS = Table(
    "jobs",
    METADATA,
    # The order of acceptance; what a cursor points to.
    Column("position", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("principal", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("status", String, nullable=False),
    Column("progress", Float, nullable=False),
    # Grows by one with every change that a client can see: the ETag, and the ids of the events.
    Column("version", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("completed_at", Float),
    Column("deadline_at", Float, nullable=False),
    # NULL until the job has ended; from then on, until when its result is kept.
    Column("expires_at", Float),
    Column("retention_s", Float, nullable=False),
    # JSON: what was asked for, by whom and in which trace.
    Column("request", LargeBinary, nullable=False),
    Column("origin", LargeBinary, nullable=False),
    # JSON: finished parts of the work, so that a restart goes on where it stopped.
    Column("parts", LargeBinary, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    # JSON, each only in the status that has it.
    Column("action", LargeBinary),
    Column("result", LargeBinary),
    Column("error", LargeBinary),
    # Whoever works on it, and until when nobody else may.
    Column("lease", String),
    Column("leased_until", Float),
    Index("jobs_by_principal", "principal", "position"),
    Index("jobs_by_status", "status", "deadline_at"),
)

JOB_EVENTS = Table(
    "job_events",
    METADATA,
    Column("job_id", String, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

WEBHOOKS = Table(
    "webhooks",
    METADATA,
    Column("position", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("principal", String, nullable=False),
    Column("url", String, nullable=False),
    # Event types separated by spaces.
    Column("events", String, nullable=False),
    Column("status", String, nullable=False),
    Column("disabled_reason", String),
    Column("created_at", Float, nullable=False),
    # Signing needs the secret itself, so it is kept as it is: protect the database like a key.
    Column("secret", String, nullable=False),
    Column("previous_secret", String),
    Column("previous_until", Float),
    Index("webhooks_by_principal", "principal", "position"),
)

DELIVERIES = Table(
    "deliveries",
    METADATA,
    Column("id", String, primary_key=True),
    Column("webhook_id", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("attempts", Integer, nullable=False),
    # NULL once it was delivered or given up.
    Column("due_at", Float),
    Column("outcome", String),
    Column("lease", String),
    Column("leased_until", Float),
    Index("deliveries_by_due", "due_at"),
)
