"""What a target offers, beyond what its dialect says: as its tester declares it, and as it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, cast

from conformance.dialects.model import Dialect, Offer, OfferState
from conformance.evidence import NOT_JSON, Evidence
from conformance.target import Declared
from spec.catalogue import Requirement
from spec.document import load_document

_BY_TESTER = "declared by the tester"


def as_declared(dialect: Dialect, declared: Declared) -> Dialect:
    """The dialect with the tester's declarations laid over its own."""
    offers = {
        name: Offer(cast(OfferState, state), _BY_TESTER) for name, state in declared.capabilities.items()
    }
    return replace(
        dialect,
        capabilities={**dialect.capabilities, **offers},
        provocations={**dialect.provocations, **declared.provocations},
    )


def as_seen(evidence: Evidence, dialect: Dialect) -> Dialect:
    """The dialect with what the evidence says about this target: the tester's declarations, and the target's own
    list of capabilities (contract only: "what is not here is not offered")."""
    told: Any = evidence.target.get("declared") or {}
    declared = Declared(told.get("capabilities") or {}, told.get("provocations") or {})
    if dialect.name == "contract":
        missing = {n: s for n, s in _unlisted(evidence).items() if n not in declared.capabilities}
        note = "GET /capabilities does not list it"
        offers = {name: Offer("not_offered", note) for name in missing}
        dialect = replace(dialect, capabilities={**dialect.capabilities, **offers})
    return as_declared(dialect, declared)


def _unlisted(evidence: Evidence) -> Mapping[str, str]:
    listed = listed_capabilities(evidence)
    if listed is None:
        return {}
    missing = [name for name in listable_capabilities() if name not in listed]
    streaming = listed.get("streaming")
    if isinstance(streaming, dict) and streaming.get("turns") is False:
        missing.append("streaming.turns")
    context, limits = listed.get("context"), listed.get("rate_limits")
    if isinstance(context, dict) and "summarize" not in _list(context.get("strategies"), "summarize"):
        missing.append("context.summarize")
    tiers = _list(limits.get("tiers"), {"cost": {}}) if isinstance(limits, dict) else [{"cost": {}}]
    if not any(isinstance(tier, dict) and "cost" in tier for tier in tiers):
        missing.append("rate_limits.cost")
    if "confidence" in missing:
        missing.append("classify")  # a classification without a confidence is none
    return dict.fromkeys(missing, "not_offered")


def _list(value: Any, unless: Any) -> list[Any]:
    """A list, or what stands for one that cannot be read: who cannot be understood has not refused."""
    return value if isinstance(value, list) else [unless]


def listed_capabilities(evidence: Evidence) -> Mapping[str, Any] | None:
    """The capabilities that the target lists, if one of its answers does."""
    for exchange in evidence.exchanges:
        if exchange.operation != "capabilities" or exchange.status != 200 or exchange.json is NOT_JSON:
            continue
        body = exchange.json
        found = body.get("capabilities") if isinstance(body, dict) else None
        if isinstance(found, dict) and "core" in found:
            return found
    return None


@cache
def listable_capabilities() -> tuple[str, ...]:
    """The capabilities that the contract's document names in the list."""
    schema = load_document()["components"]["schemas"]["Capabilities"]["properties"]["capabilities"]
    return tuple(name for name in schema["properties"] if name != "core")


def not_offered(requirement: Requirement, dialect: Dialect) -> str:
    """Why a requirement says nothing about an API of this dialect; empty if it applies."""
    if requirement.kind == "contract" and dialect.name != "contract":
        return "part of the contract's own wire format, not of this dialect"
    offer = dialect.offer(requirement.capability)
    if offer.state == "not_offered":
        return f"the dialect declares no {requirement.capability}" + (f": {offer.note}" if offer.note else "")
    return ""
