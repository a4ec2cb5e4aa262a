"""Which job a caller may know of."""

from __future__ import annotations

import time

from reference_impl.exchange import Exchange
from reference_impl.policies.errors import ContractError
from reference_impl.services import Services
from reference_impl.store.job_rows import Job


async def visible_job(services: Services, exchange: Exchange, job_id: str) -> Job:
    """The job, JOB_NOT_FOUND, or JOB_EXPIRED for an ended one past its retention."""
    job = await services.jobs.find(job_id)
    if job is None or not services.policies.jobs.may_see(exchange.caller, job):
        raise ContractError("JOB_NOT_FOUND", "There is no such job.", param="job_id")
    if job.expires_at is not None and job.expires_at <= time.time():
        raise ContractError("JOB_EXPIRED", "The job's result is no longer kept.", param="job_id")
    return job
