"""What the operation handlers of one server work with. Nothing here is global: a process may hold many."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reference_impl.engine.base import Classifier, Engine
from reference_impl.policies import Policies
from reference_impl.runs import Recording, Runs
from reference_impl.settings import Settings
from reference_impl.store.agent_calls import AgentCalls
from reference_impl.store.agent_runs import AgentRuns
from reference_impl.store.database import Database
from reference_impl.store.entries import Entries
from reference_impl.store.jobs import Jobs
from reference_impl.store.ledger import Ledger
from reference_impl.store.sessions import Sessions
from reference_impl.store.turns import Turns
from reference_impl.store.usage import UsageLog
from reference_impl.store.webhooks import Outbox, Webhooks
from reference_impl.telemetry import NoTelemetry, Telemetry
from reference_impl.work.wakeups import Wakeups


@dataclass(frozen=True)
class Services:
    """One server's parts. `stopping` is set when open streams have to come to an end."""

    settings: Settings
    policies: Policies
    document: Mapping[str, Any]
    engine: Engine
    classifier: Classifier
    database: Database
    ledger: Ledger
    turns: Turns
    jobs: Jobs
    webhooks: Webhooks
    outbox: Outbox
    agent_runs: AgentRuns
    agent_calls: AgentCalls
    entries: Entries
    sessions: Sessions
    usage: UsageLog
    wakeups: Wakeups = field(default_factory=Wakeups)
    telemetry: Telemetry = field(default_factory=NoTelemetry)
    runs: Runs = field(default_factory=Runs)
    turns_under_way: dict[str, Recording] = field(default_factory=dict)
    turn_gate: asyncio.Lock = field(default_factory=asyncio.Lock)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
