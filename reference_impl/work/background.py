"""The exchange that a job goes on in after its request was answered."""

from __future__ import annotations

from typing import Any

from reference_impl.engine.models import Model
from reference_impl.exchange import Exchange, Principal, RequestHeaders, Trace
from reference_impl.policies.metadata import AnswerFacts, Usage
from reference_impl.services import Services
from reference_impl.store.job_rows import Job, Origin


def origin_of_job(exchange: Exchange) -> Origin:
    """What has to be remembered of the exchange that posted a job."""
    caller = exchange.caller
    return Origin(
        principal=caller.name,
        tier=caller.tier,
        request_id=exchange.request_id,
        trace_id=exchange.trace.trace_id,
        span_id=exchange.trace.span_id,
        origin=exchange.origin,
        prefix=exchange.prefix,
    )


def exchange_of_job(job: Job) -> Exchange:
    """An exchange with the identity, and the limits, of the one that posted the job."""
    origin = job.origin
    return Exchange(
        method="POST",
        path="",
        headers=RequestHeaders(()),
        origin=origin.origin,
        prefix=origin.prefix,
        request_id=origin.request_id,
        trace=Trace(origin.trace_id, origin.span_id),
        client_request_id=None,
        principal=Principal(origin.principal, origin.tier, frozenset()),
    )


def model_of_job(services: Services, job: Job) -> Model:
    """The model that the job was accepted for."""
    catalogue = services.engine.catalogue
    return catalogue.find(job.request["model"]) or catalogue.default


def job_metadata(services: Services, job: Job, **extra: Any) -> dict[str, Any]:
    """The metadata block: what the job has used so far, and the time from its acceptance to its last change.

    Clocks of machines are set back at times; a latency below zero would be nonsense.
    """
    facts = AnswerFacts(model_of_job(services, job), Usage(job.input_tokens, job.output_tokens), extra)
    block = services.policies.metadata.block(exchange_of_job(job), facts)
    return {**block, "latency_ms": max(0, round((job.updated_at - job.created_at) * 1000))}
