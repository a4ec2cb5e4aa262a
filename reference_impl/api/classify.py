"""POST /classify: a short synchronous task with an honest confidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from reference_impl.accounting import account, admit
from reference_impl.api.accepting import accept
from reference_impl.api.failures import contract_error
from reference_impl.api.notices import note_model
from reference_impl.api.once import once
from reference_impl.api.prompts import chosen_model, refuse_over_window, scenario
from reference_impl.engine.base import Candidate, Classifier, EngineError, Message, UpstreamBrokenError
from reference_impl.engine.models import Model
from reference_impl.engine.sandbox import refuse, stall
from reference_impl.exchange import Exchange
from reference_impl.http.answers import JSON, encode
from reference_impl.http.dispatch import Handler
from reference_impl.policies.errors import ContractError
from reference_impl.policies.idempotency import Ticket
from reference_impl.policies.metadata import AnswerFacts, Usage
from reference_impl.policies.preferences import RESPOND_ASYNC, wants_async
from reference_impl.policies.scopes import model_scopes
from reference_impl.services import Services
from reference_impl.store.ledger import StoredAnswer

REVIEW_THRESHOLD = 0.6
_OUTPUT_TOKENS = 1


def operations(services: Services) -> dict[str, Handler]:
    """Handlers by operationId."""

    async def classify(exchange: Exchange, payload: dict[str, Any]) -> Response:
        model = chosen_model(services.engine.catalogue, payload)
        services.policies.scopes.require(exchange, *model_scopes(model))
        note_model(exchange, model)
        tokens = services.engine.count((Message("user", payload["text"]),))
        refuse_over_window(tokens, model)

        async def admitted() -> None:
            await admit(services, exchange, model, tokens)

        async def work(ticket: Ticket | None) -> StoredAnswer:
            await admitted()
            return await execute(services, exchange, payload, model, tokens, ticket)

        if wants_async(exchange.headers):
            services.policies.scopes.require(exchange, "jobs:write")
            applied = {"Preference-Applied": RESPOND_ASYNC}
            return await accept(
                services, exchange, "classification", payload, model, tokens, admitted, applied
            )
        return await once(services, exchange, payload, work)

    return {"classify": classify}


def disclosed(classifier: Classifier) -> dict[str, Any]:
    """What a classifier says of its confidences: the method, and the calibration error where it was measured."""
    told: dict[str, Any] = {"method": classifier.method, "calibrated": classifier.calibrated}
    measured = classifier.calibration
    if measured is not None:
        told["ece"] = measured.ece
        told["ece_samples"] = measured.samples
        told["calibration_set"] = measured.calibration_set
        told["calibrated_at"] = measured.calibrated_at
    return told


async def execute(
    services: Services,
    exchange: Exchange,
    payload: Mapping[str, Any],
    model: Model,
    tokens: int,
    ticket: Ticket | None,
) -> StoredAnswer:
    """Classify, and account for it. Whoever took the request on has admitted it."""
    ranked = await _rank(services, payload)
    best, *others = (_rounded(candidate) for candidate in ranked)
    threshold = payload.get("min_confidence")
    if threshold is not None and best["confidence"] < threshold:
        raise ContractError(
            "INSUFFICIENT_CONFIDENCE",
            f"The best category has confidence {best['confidence']}, below min_confidence.",
            param="/min_confidence",
            details={"confidence": best["confidence"], "threshold": threshold, "best_candidate": best},
        )
    usage = Usage(tokens, _OUTPUT_TOKENS)
    await account(services, exchange, model, usage, operation="classify", requested=payload.get("model"))
    extra: dict[str, Any] = {"confidence": {**disclosed(services.classifier), "threshold": REVIEW_THRESHOLD}}
    if ticket is not None:
        extra["idempotency"] = ticket.metadata
    content = {
        **best,
        "alternatives": others,
        "requires_human_review": best["confidence"] < REVIEW_THRESHOLD,
        "metadata": services.policies.metadata.block(exchange, AnswerFacts(model, usage, extra)),
    }
    return StoredAnswer(200, JSON, encode(content))


async def _rank(services: Services, payload: Mapping[str, Any]) -> tuple[Candidate, ...]:
    wanted = scenario(payload)
    try:
        refuse(wanted)
        await stall(wanted)
        if wanted is not None and wanted.name == "fault_midstream":
            raise UpstreamBrokenError
        return await services.classifier.rank(payload["text"])
    except EngineError as failure:
        raise contract_error(failure) from failure


def _rounded(candidate: Candidate) -> dict[str, Any]:
    # Rounded down, so that the published numbers never add up to more than 1.
    return {"category": candidate.category, "confidence": int(candidate.confidence * 10_000) / 10_000}
