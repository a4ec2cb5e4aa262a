"""Jobs as their owner sees them: who may, in which words, and how often to ask again."""

from __future__ import annotations

from typing import Any, Protocol

from reference_impl.exchange import Principal
from reference_impl.policies.errors import ContractError
from reference_impl.store.job_rows import Job
from reference_impl.store.webhooks import timestamp

POLL_S = 1
"""What Retry-After says of a job that goes on."""


class JobRules(Protocol):
    """How jobs are shown and what may be done to them."""

    def may_see(self, caller: Principal, job: Job) -> bool:
        """Whether the job exists, as far as this caller can know."""
        ...

    def body(self, job: Job, metadata: dict[str, Any]) -> dict[str, Any]:
        """The job in JSON; a function of its state alone, so that its version can be its ETag."""
        ...

    def headers(self, job: Job) -> dict[str, str]:
        """Response headers of every answer that shows the job."""
        ...

    def refuse_cancel(self, job: Job) -> None:
        """Raise JOB_NOT_CANCELLABLE for a job whose end cannot become another."""
        ...


class OwnJobs:
    """Only the owner sees a job; for everybody else it does not exist."""

    def may_see(self, caller: Principal, job: Job) -> bool:
        """404 and not 403: that a job exists is nobody else's business."""
        return job.origin.principal == caller.name

    def body(self, job: Job, metadata: dict[str, Any]) -> dict[str, Any]:
        """`result` only when complete, `error` only when failed, `required_action` only while it is waited for."""
        shown: dict[str, Any] = {
            "job_id": job.id,
            "kind": job.kind,
            "status": job.status,
            "progress": job.progress,
            "created_at": timestamp(job.created_at),
            "updated_at": timestamp(job.updated_at),
            "deadline_at": timestamp(job.deadline_at),
            "completed_at": None if job.completed_at is None else timestamp(job.completed_at),
            "expires_at": None if job.expires_at is None else timestamp(job.expires_at),
        }
        if job.status == "requires_action":
            shown["required_action"] = job.action
        if job.status == "complete":
            shown["result"] = job.result
        if job.status == "failed":
            shown["error"] = job.error
        return {**shown, "metadata": metadata}

    def headers(self, job: Job) -> dict[str, str]:
        """The entity tag (RFC 9110 section 8.8.3), and Retry-After while there is something to wait for."""
        shown = {"ETag": f'"{job.id}.{job.version}"'}
        return {**shown, "Retry-After": str(POLL_S)} if job.open else shown

    def refuse_cancel(self, job: Job) -> None:
        """A job that was cancelled may be cancelled again; any other end stands."""
        if job.status != "cancelled":
            raise ContractError(
                "JOB_NOT_CANCELLABLE",
                f"The job has ended as {job.status}; there is nothing left to cancel.",
                param="job_id",
                details={"status": job.status},
            )
