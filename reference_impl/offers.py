"""What a server cannot offer with its engine: not advertised, and refused where it is asked for all the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from reference_impl.engine.base import Engine
from reference_impl.http.dispatch import Handler
from reference_impl.policies.errors import ContractError
from reference_impl.settings import Settings
from spec.document import operations


def withheld(engine: Engine) -> frozenset[str]:
    """The capabilities that the engine cannot keep.

    Classification has a confidence that was measured, on a classifier that is one of the models; jobs are made of
    classifications, and webhooks tell of jobs. An estimate has to be a count.
    """
    absent: set[str] = set()
    if not engine.catalogue.offers("classify"):
        absent |= {"confidence", "jobs", "webhooks"}
    if not engine.exact:
        absent.add("estimation")
    if engine.planner is None:
        absent |= {"agents", "tools"}
    return frozenset(absent)


def keepable(settings: Settings, engine: Engine) -> Settings:
    """The settings without budgets of money, where a model has no known price."""
    if engine.catalogue.priced:
        return settings
    tiers = {c.tier: replace(c.tier, cost=None) for c in settings.credentials}
    return replace(settings, credentials=tuple(replace(c, tier=tiers[c.tier]) for c in settings.credentials))


def refusals(document: Mapping[str, Any], absent: Collection[str]) -> dict[str, Handler]:
    """Handlers, by operationId, for the operations whose capability (`x-capability`) is absent."""
    return {
        operation["operationId"]: _refusal(operation["x-capability"])
        for _, _, operation in operations(document)
        if operation.get("x-capability") in absent
    }


def _refusal(capability: str) -> Handler:
    async def refuse() -> Response:
        raise ContractError(
            "NOT_FOUND", f"This server does not offer {capability}; GET /capabilities lists what it does."
        )

    return refuse
