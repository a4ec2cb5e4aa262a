"""Asynchronous work: POST /analyze-document, and the jobs that come of it."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from reference_impl.accounting import admit
from reference_impl.api.accepting import accept
from reference_impl.api.failures import contract_error
from reference_impl.api.job_events import job_events
from reference_impl.api.notices import note_model
from reference_impl.api.prompts import chosen_model, scenario
from reference_impl.engine.base import EngineError
from reference_impl.engine.sandbox import refuse
from reference_impl.engine.tokens import count_text
from reference_impl.exchange import Exchange
from reference_impl.http.answers import encode, json_answer
from reference_impl.http.dispatch import Handler
from reference_impl.policies.errors import ContractError
from reference_impl.policies.scopes import model_scopes
from reference_impl.services import Services
from reference_impl.store.job_rows import Job, read_cursor
from reference_impl.work.background import job_metadata
from reference_impl.work.visibility import visible_job

_PAGE = 20


def operations(services: Services) -> dict[str, Handler]:
    """Handlers by operationId."""

    async def analyze_document(exchange: Exchange, payload: dict[str, Any]) -> Response:
        model, tokens = chosen_model(services.engine.catalogue, payload), count_text(payload["document"])
        services.policies.scopes.require(exchange, *model_scopes(model))
        note_model(exchange, model)

        async def admitted() -> None:
            await admit(services, exchange, model, tokens)
            try:
                refuse(scenario(payload))
            except EngineError as failure:
                raise contract_error(failure) from failure

        return await accept(services, exchange, "document", payload, model, tokens, admitted)

    async def list_jobs(
        exchange: Exchange, limit: str | None, cursor: str | None, status: str | None
    ) -> Response:
        before = None
        if cursor is not None and (before := read_cursor(cursor)) is None:
            raise ContractError(
                "INVALID_REQUEST",
                "This cursor is none that a list of jobs gave; begin without one.",
                param="cursor",
                details={"errors": [{"pointer": "", "message": "the query parameter cursor is unknown"}]},
            )
        wanted = _PAGE if limit is None else int(limit)
        page = await services.jobs.page(exchange.caller.name, status, before, wanted)
        shown = [_body(services, job) for job in page.jobs]
        return json_answer({"data": shown, "next_cursor": page.next_cursor})

    async def get_job(exchange: Exchange, job_id: str) -> Response:
        job = await visible_job(services, exchange, job_id)
        headers = services.policies.jobs.headers(job)
        if _known(exchange, headers["ETag"]):
            return Response(b"", 304, headers)
        return _shown(services, job)

    async def cancel_job(exchange: Exchange, job_id: str) -> Response:
        job = await visible_job(services, exchange, job_id)
        cancelled = await services.jobs.cancel(job_id)
        if cancelled is None:
            job = await services.jobs.find(job_id) or job
            services.policies.jobs.refuse_cancel(job)
            return _shown(services, job)
        services.wakeups.stop_work(job_id)
        services.wakeups.job_changed(job_id)
        return _shown(services, cancelled)

    async def decide_job_action(exchange: Exchange, job_id: str, payload: dict[str, Any]) -> Response:
        job = await visible_job(services, exchange, job_id)
        decided = await services.jobs.decide(
            job_id, payload["action_id"], approved=payload["decision"] == "approve"
        )
        if decided is None:
            raise ContractError(
                "JOB_NOT_WAITING",
                "The job does not wait for this decision.",
                param="/action_id",
                details={"status": job.status},
            )
        services.wakeups.jobs.set()
        services.wakeups.job_changed(job_id)
        return _shown(services, decided)

    async def stream_job_events(exchange: Exchange, job_id: str) -> Response:
        return await job_events(services, exchange, job_id)

    return {
        "analyzeDocument": analyze_document,
        "listJobs": list_jobs,
        "getJob": get_job,
        "cancelJob": cancel_job,
        "decideJobAction": decide_job_action,
        "streamJobEvents": stream_job_events,
    }


def _body(services: Services, job: Job) -> dict[str, Any]:
    return services.policies.jobs.body(job, job_metadata(services, job))


def _shown(services: Services, job: Job) -> Response:
    headers = services.policies.jobs.headers(job)
    return Response(encode(_body(services, job)), 200, headers, "application/json")


def _known(exchange: Exchange, etag: str) -> bool:
    """Whether the client has this version already (RFC 9110 section 13.1.2, weak comparison)."""
    given = [
        tag.strip().removeprefix("W/") for v in exchange.headers.all("if-none-match") for tag in v.split(",")
    ]
    return "*" in given or etag in given
