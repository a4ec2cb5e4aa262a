"""Doing a job: part by part, each kept before the next begins, so that a killed server goes on where it was."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets

from reference_impl.accounting import account
from reference_impl.api import classify
from reference_impl.api.failures import contract_error
from reference_impl.api.prompts import scenario
from reference_impl.engine.base import EngineError, Scenario
from reference_impl.engine.documents import Document, describe_section, summarise
from reference_impl.engine.job_sandbox import fail_at_end, needs_approval, stall_section
from reference_impl.outages import OutageError
from reference_impl.policies.errors import ContractError
from reference_impl.policies.metadata import Usage
from reference_impl.services import Services
from reference_impl.store.job_rows import Job
from reference_impl.store.webhooks import timestamp
from reference_impl.work.background import exchange_of_job, model_of_job

_log = logging.getLogger("aiconform.reference")


async def perform(services: Services, job: Job) -> None:
    """Bring a leased job to its end, or to where it waits for its owner."""
    try:
        if job.kind == "document":
            await _analyse(services, job)
        else:
            await _classify(services, job)
    except OutageError:
        # Nothing is wrong with the job: when the lease has ended, somebody goes on with it.
        raise
    except EngineError as failure:
        await _fail(services, job, contract_error(failure))
    except ContractError as error:
        await _fail(services, job, error)
    except Exception:  # noqa: BLE001 - a bug must end the job as an error, not leave it for ever
        _log.exception("the job %s failed", job.id)
        await _fail(
            services, job, ContractError("INTERNAL", "The server failed; the request id helps its operator.")
        )
    finally:
        services.wakeups.job_changed(job.id)


async def _analyse(services: Services, job: Job) -> None:
    payload, exchange, model = job.request["payload"], exchange_of_job(job), model_of_job(services, job)
    wanted = scenario(payload)
    document = Document.read(payload["document"])
    parts = list(job.parts)
    inputs, outputs = job.input_tokens, job.output_tokens
    for index in range(len(parts), len(document.sections)):
        await stall_section(wanted, index)
        if _has_to_ask(job, wanted, index):
            await services.jobs.await_action(job.id, _question(job))
            return
        section = await describe_section(document, index, services.classifier)
        parts.append(section.content)
        inputs += section.input_tokens
        outputs += section.output_tokens
        progress = round(len(parts) / (len(document.sections) + 1), 4)
        if not await services.jobs.advance(job.id, parts, progress, inputs, outputs):
            return
        # After the change is kept: a cancelled job is not charged for what nobody will get.
        used = Usage(section.input_tokens, section.output_tokens)
        await asyncio.shield(account(services, exchange, model, used, operation="analyze_document"))
        services.wakeups.job_changed(job.id)
    fail_at_end(wanted)
    await services.jobs.complete(job.id, summarise(document, parts))


def _has_to_ask(job: Job, wanted: Scenario | None, index: int) -> bool:
    approved = job.action is not None and job.action.get("decision") == "approve"
    return needs_approval(wanted, index) and not approved


def _question(job: Job) -> dict[str, str]:
    return {
        "id": f"act_{secrets.token_hex(8)}",
        "type": "approval",
        "message": "Approve the analysis of the rest of the document.",
        "expires_at": timestamp(job.deadline_at),
    }


async def _classify(services: Services, job: Job) -> None:
    exchange, model = exchange_of_job(job), model_of_job(services, job)
    answer = await classify.execute(
        services, exchange, job.request["payload"], model, job.request["tokens"], None
    )
    content = json.loads(answer.body)
    used = content.pop("metadata")["tokens_used"]
    if await services.jobs.advance(job.id, (), 0.5, used["input"], used["output"]):
        await services.jobs.complete(job.id, content)


async def _fail(services: Services, job: Job, error: ContractError) -> None:
    envelope = services.policies.errors.envelope(error, exchange_of_job(job))
    await services.jobs.fail(job.id, envelope)
