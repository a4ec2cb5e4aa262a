"""Drives an API with the generated client: a classification, a chat, a job and a refusal. ``drive.py URL KEY``."""

from __future__ import annotations

import json
import sys
import time

from contract_client import AuthenticatedClient
from contract_client.api.classification import classify
from contract_client.api.conversation import chat
from contract_client.api.jobs import analyze_document, get_job
from contract_client.models import (
    AnalyzeDocumentRequest,
    ChatAnswer,
    ChatRequest,
    Classification,
    ClassifyRequest,
    DocumentAnalysis,
    ErrorAnswer,
    Job,
    Message,
    MessageRole,
)

WAIT_S = 30.0


def main(url: str, key: str) -> None:
    """Print what came back as one JSON object; any answer of another shape ends the program."""
    client = AuthenticatedClient(base_url=url, token=key)

    label = classify.sync(
        client=client, body=ClassifyRequest(text="Please refund my invoice, it was paid twice.")
    )
    assert isinstance(label, Classification)

    message = Message(role=MessageRole.USER, content="Say hello.")
    answer = chat.sync(client=client, body=ChatRequest(messages=[message]), idempotency_key="drive-1")
    again = chat.sync(client=client, body=ChatRequest(messages=[message]), idempotency_key="drive-1")
    assert isinstance(answer, ChatAnswer)
    assert isinstance(again, ChatAnswer)

    job = analyze_document.sync(
        client=client, body=AnalyzeDocumentRequest(document="A short report. It has two sentences.")
    )
    end = time.monotonic() + WAIT_S
    while isinstance(job, Job) and job.status.value in ("queued", "processing") and time.monotonic() < end:
        time.sleep(0.1)
        job = get_job.sync(job.job_id, client=client)
    assert isinstance(job, Job)
    assert isinstance(job.result, DocumentAnalysis)

    stranger = AuthenticatedClient(base_url=url, token="sk-wrong")
    refused = classify.sync(client=stranger, body=ClassifyRequest(text="Hello"))
    assert isinstance(refused, ErrorAnswer)

    told = {
        "category": label.category,
        "confidence": label.confidence,
        "text": answer.message.content,
        "replayed": again.message.content == answer.message.content,
        "tokens": answer.metadata.tokens_used.output,
        "job": job.status.value,
        "error": refused.error.code.value,
        "retryable": refused.error.retryable,
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
