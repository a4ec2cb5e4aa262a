"""The promises of the contract, one file each, each replaceable without touching another."""

from __future__ import annotations

from dataclasses import dataclass

from reference_impl.oauth.keys import KeyRing, PublishedKeys
from reference_impl.policies.auth import ApiKeys, Authenticator, BearerCredentials
from reference_impl.policies.callbacks import Callbacks, StandardWebhooks
from reference_impl.policies.context import ContextPolicy, HonestContext, UncutContext
from reference_impl.policies.cors import Cors, SingleOrigin
from reference_impl.policies.egress import CheckedEgress, Egress
from reference_impl.policies.errors import Envelope, ErrorRenderer
from reference_impl.policies.events import EventWriter, PlainEvents
from reference_impl.policies.grants import GrantRules, StrictGrants
from reference_impl.policies.idempotency import Idempotency, LedgerIdempotency
from reference_impl.policies.jobs import JobRules, OwnJobs
from reference_impl.policies.limits import FixedWindows, RateLimiter, Unlimited
from reference_impl.policies.metadata import FullMetadata, Metadata
from reference_impl.policies.negotiation import AcceptHeader, Negotiation
from reference_impl.policies.parsing import BodyParser, StrictJson
from reference_impl.policies.scopes import HeldScopes, ScopeRules
from reference_impl.policies.shared_limits import SharedWindows
from reference_impl.policies.sockets import OneSubprotocol, SocketPolicy
from reference_impl.policies.tokens import AccessTokens, Issuer
from reference_impl.policies.tools import ToolGate, Tools
from reference_impl.policies.tracing import Tracing, W3CTracing
from reference_impl.policies.versioning import DatedVersions, Versioning
from reference_impl.settings import Settings


@dataclass(frozen=True)
class Policies:
    """How one server behaves. Replace one with `dataclasses.replace`."""

    auth: Authenticator
    callbacks: Callbacks
    context: ContextPolicy
    cors: Cors
    egress: Egress
    errors: ErrorRenderer
    events: EventWriter
    grants: GrantRules
    idempotency: Idempotency
    jobs: JobRules
    limits: RateLimiter
    metadata: Metadata
    negotiation: Negotiation
    parsing: BodyParser
    sockets: SocketPolicy
    tools: Tools
    scopes: ScopeRules
    tracing: Tracing
    versioning: Versioning


def default_policies(settings: Settings, *, exact_counts: bool = True) -> Policies:
    """The policies that keep the contract. They hold counters, so every server needs its own.

    `exact_counts`: the engine counts tokens before a call as they are reported after it.

    Raises:
        SigningKeysError: the file of signing keys cannot be used.
    """
    return Policies(
        auth=_bearer_credentials(settings),
        callbacks=StandardWebhooks(settings.webhook_delays_s),
        context=HonestContext() if exact_counts else UncutContext(),
        cors=SingleOrigin(settings.cors_origin),
        egress=CheckedEgress(settings.webhook_networks),
        errors=Envelope(),
        events=PlainEvents(),
        grants=StrictGrants(),
        idempotency=LedgerIdempotency(settings.idempotency_ttl_s),
        jobs=OwnJobs(),
        limits=_limits(settings),
        metadata=FullMetadata(),
        negotiation=AcceptHeader(),
        parsing=StrictJson(),
        sockets=OneSubprotocol(settings.cors_origin),
        tools=ToolGate(),
        scopes=HeldScopes(),
        tracing=W3CTracing(),
        versioning=DatedVersions(),
    )


def _limits(settings: Settings) -> RateLimiter:
    if not settings.rate_limits:
        return Unlimited()
    return FixedWindows() if settings.redis is None else SharedWindows(settings.redis, settings.lease_s)


def _bearer_credentials(settings: Settings) -> BearerCredentials:
    keys, auth = ApiKeys(settings.credentials), settings.auth
    own_keys = KeyRing.load(auth.signing_keys)
    tokens = AccessTokens(
        own_keys,
        keys.principals(),
        [Issuer(known.issuer, known.audience, PublishedKeys(known.jwks)) for known in auth.trusted_issuers],
        auth.leeway_s,
    )
    return BearerCredentials(keys, tokens, own_keys)
