"""The promises of the contract, one file each, each replaceable without touching another."""

from __future__ import annotations

from dataclasses import dataclass

from reference_impl.policies.auth import Authenticator, BearerKeys
from reference_impl.policies.cors import Cors, SingleOrigin
from reference_impl.policies.errors import Envelope, ErrorRenderer
from reference_impl.policies.events import EventWriter, PlainEvents
from reference_impl.policies.idempotency import Idempotency, LedgerIdempotency
from reference_impl.policies.limits import FixedWindows, RateLimiter, Unlimited
from reference_impl.policies.metadata import FullMetadata, Metadata
from reference_impl.policies.negotiation import AcceptHeader, Negotiation
from reference_impl.policies.parsing import BodyParser, StrictJson
from reference_impl.policies.sockets import OneSubprotocol, SocketPolicy
from reference_impl.policies.tools import ToolGate, Tools
from reference_impl.policies.tracing import Tracing, W3CTracing
from reference_impl.policies.versioning import DatedVersions, Versioning
from reference_impl.settings import Settings


@dataclass(frozen=True)
class Policies:
    """How one server behaves. Replace one with `dataclasses.replace`."""

    auth: Authenticator
    cors: Cors
    errors: ErrorRenderer
    events: EventWriter
    idempotency: Idempotency
    limits: RateLimiter
    metadata: Metadata
    negotiation: Negotiation
    parsing: BodyParser
    sockets: SocketPolicy
    tools: Tools
    tracing: Tracing
    versioning: Versioning


def default_policies(settings: Settings) -> Policies:
    """The policies that keep the contract. They hold counters, so every server needs its own."""
    return Policies(
        auth=BearerKeys(settings.credentials),
        cors=SingleOrigin(settings.cors_origin),
        errors=Envelope(),
        events=PlainEvents(),
        idempotency=LedgerIdempotency(settings.idempotency_ttl_s),
        limits=FixedWindows() if settings.rate_limits else Unlimited(),
        metadata=FullMetadata(),
        negotiation=AcceptHeader(),
        parsing=StrictJson(),
        sockets=OneSubprotocol(settings.cors_origin),
        tools=ToolGate(),
        tracing=W3CTracing(),
        versioning=DatedVersions(),
    )
