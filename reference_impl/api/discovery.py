"""What the API says about itself: health, description, capabilities, errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from reference_impl.api.agents import MOST_STEPS, MOST_TOOL_CALLS
from reference_impl.api.classify import REVIEW_THRESHOLD, disclosed
from reference_impl.api.sockets import PATH as SOCKET_PATH
from reference_impl.engine.job_sandbox import JOB_SCENARIOS
from reference_impl.engine.models import CURRENCY
from reference_impl.engine.sandbox import AGENT_SCENARIOS, SCENARIOS
from reference_impl.http.answers import JSON, encode, json_answer, stored_answer
from reference_impl.http.dispatch import Handler
from reference_impl.http.per_document import per_document
from reference_impl.identity import SCOPES
from reference_impl.oauth.keys import ALGORITHMS
from reference_impl.offers import withheld
from reference_impl.policies.challenges import RESOURCE_METADATA
from reference_impl.policies.errors import ContractError
from reference_impl.policies.sockets import SUBPROTOCOL
from reference_impl.services import Services
from reference_impl.settings import API_VERSIONS, BASE_PATH, CONTRACT_VERSION, Allowance, Settings, Tier
from reference_impl.store.ledger import StoredAnswer
from reference_impl.store.webhooks import EVENTS
from reference_impl.tools import TOOLS
from spec.errors import ERRORS, ErrorEntry


def operations(services: Services) -> dict[str, Handler]:
    """Handlers by operationId. None of them needs a key."""
    description = StoredAnswer(200, JSON, _encoded(services.document))
    capabilities = _capabilities(services)

    async def get_health() -> Response:
        return json_answer({"status": "ok", "version": CONTRACT_VERSION})

    async def get_description() -> Response:
        return stored_answer(description)

    async def get_capabilities() -> Response:
        return json_answer(capabilities)

    async def list_errors() -> Response:
        return json_answer({"data": [_described(entry) for entry in ERRORS.values()]})

    async def get_error(code: str) -> Response:
        if code not in ERRORS:
            raise ContractError(
                "NOT_FOUND", "There is no such error code; GET /errors lists them.", param="code"
            )
        return json_answer(_described(ERRORS[code]))

    return {
        "getHealth": get_health,
        "getDescription": get_description,
        "getCapabilities": get_capabilities,
        "listErrors": list_errors,
        "getError": get_error,
    }


@per_document
def _encoded(document: Mapping[str, Any]) -> bytes:
    return encode(document)


def _described(entry: ErrorEntry) -> dict[str, Any]:
    return {
        "code": entry.code,
        "status": entry.status,
        "type": entry.type,
        "retryable": entry.retryable,
        "meaning": entry.meaning,
        "what_to_do": entry.what_to_do,
    }


def _capabilities(services: Services) -> dict[str, Any]:
    settings, absent = services.settings, withheld(services.engine)
    offered: dict[str, Any] = {
        "core": {},
        "streaming": {"turns": True, "keep_alive_seconds": settings.keep_alive_s},
        "idempotency": {"ttl_seconds": int(settings.idempotency_ttl_s), "streams": True},
        "confidence": {
            **disclosed(services.classifier),
            "review_threshold": REVIEW_THRESHOLD,
            "categories": list(services.classifier.categories),
        },
        "websocket": {
            "path": SOCKET_PATH,
            "subprotocols": [SUBPROTOCOL],
            "max_message_bytes": settings.max_body_bytes,
            "idle_seconds": settings.socket_idle_s,
            "origins": list(services.policies.sockets.origins),
        },
        "agents": {"max_steps": MOST_STEPS, "max_tool_calls": MOST_TOOL_CALLS, "approvals": True},
        "tools": {"names": list(TOOLS)},
        "context": {
            "strategies": list(services.policies.context.strategies),
            "session_ttl_seconds": settings.session_ttl_s,
        },
        "estimation": {"exact": services.engine.exact},
        "usage.query": {"retention_seconds": settings.usage_retention_s},
        "sandbox": {
            "scenarios": [s for s in SCENARIOS if s not in AGENT_SCENARIOS or "agents" not in absent]
        },
        "jobs": {
            "retention_seconds": int(settings.job_retention_s),
            "deadline_seconds": int(settings.job_deadline_s),
            "cancel_seconds": 1,
            "scenarios": list(JOB_SCENARIOS),
        },
        "webhooks": {
            "events": list(EVENTS),
            "retry_delays_seconds": list(settings.webhook_delays_s),
            "secret_overlap_seconds": int(settings.webhook_overlap_s),
            "networks": list(settings.webhook_networks),
        },
        "auth": {
            "api_key": {},
            "jwt": {"algorithms": list(ALGORITHMS), "leeway_seconds": settings.auth.leeway_s},
            "oauth2": {"resource_metadata": f"{RESOURCE_METADATA}{BASE_PATH}"},
            **({"mtls": {"bound_tokens": True}} if settings.auth.mutual_tls else {}),
        },
        "scopes": {"supported": list(SCOPES)},
    }
    if settings.rate_limits:
        offered["rate_limits"] = {"tiers": [_tier(tier) for tier in _tiers(settings)]}
    return {
        "contract_version": CONTRACT_VERSION,
        "api_versions": list(API_VERSIONS),
        "default_model": services.engine.catalogue.default.id,
        "limits": {
            "max_body_bytes": settings.max_body_bytes,
            "sync_max_seconds": settings.sync_max_seconds,
        },
        "capabilities": {name: facts for name, facts in offered.items() if name not in absent},
    }


def _tiers(settings: Settings) -> list[Tier]:
    return list(dict.fromkeys(credential.tier for credential in settings.credentials))


def _tier(tier: Tier) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": tier.name,
        "requests": _allowance(tier.requests),
        "tokens": _allowance(tier.tokens),
    }
    if tier.cost is not None:
        described["cost"] = {**_allowance(tier.cost), "currency": CURRENCY}
    if tier.concurrency is not None:
        described["concurrency"] = tier.concurrency
    return described


def _allowance(allowance: Allowance) -> dict[str, int]:
    return {"limit": allowance.limit, "window_seconds": allowance.window_seconds}
