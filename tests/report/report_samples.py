"""One run with every kind of verdict, from literal exchanges: what the formats are tested on."""

from __future__ import annotations

from typing import Any

from conformance.dialects.model import load_dialect
from conformance.evidence import Chunk, Evidence, Exchange, Failure, ProbeRecord, Sent
from conformance.report.model import Report
from conformance.verdict import Result, Verdict
from spec.catalogue import Requirement

BASE = "https://ai.vendor.example/api/v1"
STARTED = 1_795_500_000.0
HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)">\u202egpj.exe\x07\x00'

CHAT = (
    b'{"id":"chat_1","message":{"role":"assistant","content":"Hello"},"finish_reason":"stop",'
    b'"metadata":{"model_version":"atlas-1","tokens_used":{"input":9,"output":2,"total":12}}}'
)
TOKENS = tuple(
    b'event: token\ndata: {"type":"token","token":"word%d ","index":%d,"sequence_number":%d}\n\n'
    % (i, i, i + 1)
    for i in range(24)
)
DONE = b'event: done\ndata: {"type":"done","sequence_number":25,"id":"chat_2","finish_reason":"stop"}\n\n'
LIMITED = b'{"error":{"code":"RATE_LIMITED","message":"slow down","type":"rate_limit_error"}}'

TEXTS = {
    "SSE-04": ("MUST", "streaming", "A stream MUST end with its terminal event, exactly once."),
    "SSE-09": ("MUST", "streaming", "The first token MUST arrive before the whole answer is ready."),
    "SSE-11": ("SHOULD", "streaming", "Line ends of a stream SHOULD be LF only."),
    "SSE-20": ("MUST", "streaming", "An error after the first event MUST come as an error event."),
    "SSE-21": ("MUST", "streaming", "A stream MUST have the media type text/event-stream."),
    "ERR-03": ("MUST", "core", "Every error MUST have a request id in its body."),
    "ERR-07": ("MUST", "core", "An unknown path MUST be answered with the error envelope."),
    "ERR-12": ("MAY", "core", "An error MAY link to its documentation."),
    "RATE-02": ("MUST", "rate_limits", "Every 429 MUST have Retry-After."),
    "RATE-03": ("MUST", "rate_limits", "Retry-After MUST be a valid wait."),
    "RATE-16": ("SHOULD", "rate_limits", "Limits of one principal SHOULD NOT be used up by another."),
    "TRC-04": ("MUST", "usage", "The total of tokens MUST be the sum of its parts."),
    "IDEM-01": ("MUST", "idempotency", "A retry with the same key MUST get the first answer."),
}


def requirement(id_: str, **changes: Any) -> Requirement:
    level, capability, text = TEXTS.get(id_, ("MUST", "core", f"The sentence of {id_} MUST hold."))
    fields: dict[str, Any] = {
        "id": id_,
        "level": level,
        "capability": capability,
        "kind": "pattern",
        "method": "active",
        "text": text,
        "source": "WHATWG HTML 9.2.6",
        "observe": "Read the bytes.",
        "wrong": "Some proxies do.",
        "why": "A client cannot tell a whole answer from one that was cut off, and shows half of it.",
        "fix": "Send the terminal event once, after the last token, and flush it before closing.",
        "area": id_.partition("-")[0],
    }
    return Requirement(**(fields | changes))


def verdict(id_: str, result: Result, detail: str = "", **more: Any) -> Verdict:
    found = requirement(id_)
    if more.get("expected"):
        detail = detail or f"expected {more['expected']}; seen {more['seen']}"
    return Verdict(id_, found.level, found.capability, result, detail, **more)


def exchange(
    id_: str, body: bytes = CHAT, *, content_type: str = "application/json", **more: Any
) -> Exchange:
    fields: dict[str, Any] = {
        "probe": "baseline",
        "role": "chat",
        "operation": "chat",
        "principal": "main",
        "params": {},
        "sent": Sent(
            "POST",
            f"{BASE}/chat",
            (("Authorization", "Bearer [redacted 7 chars]"), ("Content-Type", "application/json")),
            b'{"messages":[{"role":"user","content":"Hello"}]}',
        ),
        "started_at": STARTED,
        "status": 200,
        "http_version": "HTTP/1.1",
        "headers": (("Content-Type", content_type), ("X-Request-Id", f"req-{id_}")),
        "t_headers": 0.04,
        "chunks": (Chunk(0.31, body),) if body else (),
        "t_end": 0.32,
    }
    return Exchange(id=id_, **(fields | more))


def stream(id_: str, *chunks: tuple[float, bytes], **more: Any) -> Exchange:
    fields: dict[str, Any] = {
        "probe": "stream_plain",
        "role": "first",
        "operation": "chat_stream",
        "chunks": tuple(Chunk(t, data) for t, data in chunks),
        "t_end": chunks[-1][0] + 0.01,
        "content_type": "text/event-stream",
    }
    return exchange(id_, b"", **(fields | more))


def burst() -> tuple[Exchange, ...]:
    """Eight calls of a limited principal: five are answered, two refused, one is answered after the wait."""
    calls = []
    for i, at in enumerate((0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.9, 3.0)):
        status, wait = (429, 2) if i in (5, 6) else (200, 0)
        headers = (("Content-Type", "application/json"), *((("Retry-After", str(wait)),) if wait else ()))
        calls.append(
            exchange(
                f"x01{i:02}",
                LIMITED if status == 429 else CHAT,
                probe="limit_burst",
                role=f"burst-{i}",
                principal="limited",
                started_at=STARTED + 5 + at,
                status=status,
                headers=headers,
                t_end=0.08,
            )
        )
    return tuple(calls)


def exchanges() -> tuple[Exchange, ...]:
    tokens = [(0.3 + 0.05 * i + (1.1 if i > 14 else 0), t) for i, t in enumerate(TOKENS)]
    return (
        exchange("x0001"),
        stream("x0002", (0.12, b": keep-alive\n\n"), *tokens, (2.7, DONE), (2.71, b"data: [DONE]\n\n" * 2)),
        exchange(
            "x0003",
            b'{"error":{"code":"NOT_FOUND","message":"no such path","type":"not_found_error"}}',
            status=404,
            probe="errors",
            role="unknown-path",
        ),
        exchange("x0004", bytes(range(256)) * 8, content_type="application/octet-stream", role="binary"),
        exchange(
            "x0005",
            b"",
            status=None,
            headers=(),
            http_version="",
            t_headers=None,
            t_end=0.5,
            failure=Failure("reset", "connection reset by peer", 0.5),
            role="reset",
        ),
        *burst(),
    )


def verdicts() -> tuple[Verdict, ...]:
    """Every kind of verdict, in catalogue order."""
    second_done = len(b": keep-alive\n\n" + b"".join(TOKENS) + DONE + b"data: [DONE]\n\n")
    return (
        verdict("ERR-03", Result.FAIL, expected="a request id", seen="none", where="/error/request_id",
                evidence=("x0003",), check="conformance.checks.test_err:test_x"),
        verdict("ERR-07", Result.PASS, "404 with the envelope"),
        verdict("ERR-12", Result.WARN, expected="a link", seen="none", where="/error/docs_url",
                evidence=("x0003",)),
        verdict("IDEM-01", Result.NOT_OFFERED, "the dialect declares no idempotency"),
        verdict("RATE-02", Result.PASS, "2 answers of 429, each with Retry-After"),
        verdict("RATE-03", Result.FAIL, expected="whole seconds >= 1", seen="2", where="header Retry-After",
                evidence=("x0105",)),
        verdict("RATE-16", Result.NOT_TESTED, "needs a second credential: --other-key"),
        verdict("SSE-04", Result.FAIL, expected="one terminal event", seen="[DONE] twice",
                where=f"byte {second_done}", evidence=("x0002",)),
        verdict("SSE-09", Result.INCONCLUSIVE, "the answer came in one chunk"),
        verdict("SSE-11", Result.WARN, expected="LF only", seen="CRLF", where="byte 12", evidence=("x0002",)),
        verdict("SSE-20", Result.NOT_TESTED, "needs a provocation for 'fault_midstream'"),
        verdict("SSE-21", Result.ERROR, "KeyError: 'x' (in test_y, line 12)"),
        verdict("TRC-04", Result.FAIL, expected="total 11", seen="12", where="/metadata/tokens_used/total",
                evidence=("x0001",)),
    )  # fmt: skip


def report(
    found: tuple[Verdict, ...] | None = None, sent: tuple[Exchange, ...] | None = None, **target: Any
) -> Report:
    chosen = verdicts() if found is None else found
    evidence = Evidence(
        target={"base_url": BASE, "dialect": "contract", "model": None, "principals": ["limited", "main"]}
        | target,
        dialect="contract",
        started_at=STARTED,
        duration=14.23,
        probes={"tools": ProbeRecord("tools", "skipped", "the dialect contract has no operation tools")},
        exchanges=exchanges() if sent is None else sent,
        suite_version="0.1.0",
        contract_version="1.0.0",
    )
    return Report(evidence, load_dialect("contract"), chosen, {v.id: requirement(v.id) for v in chosen})
