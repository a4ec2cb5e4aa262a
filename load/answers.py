"""What an answer that is no stream breaks, and the code by which an error is counted."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from conformance.dialects.facts import ErrorFacts
from conformance.dialects.interpret import read_answer, read_error
from conformance.dialects.model import Dialect
from conformance.evidence import NOT_JSON, Exchange
from load.ledger import Broken

MONEY = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
LIMIT_CODES = frozenset({"RATE_LIMITED", "TOKEN_LIMIT_EXCEEDED"})


def code_of(error: ErrorFacts, status: int | None) -> str:
    """The contract's code, else the vendor's, else ``HTTP 500``."""
    named = error.code or error.raw_code.value or error.type.value
    return str(named)[:60] if named else f"HTTP {status}"


def retry_after_of(dialect: Dialect, exchange: Exchange) -> float | None:
    """Seconds to wait, as the dialect reads them."""
    value = read_answer(dialect, exchange)["retry_after"].value
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def judge_error(dialect: Dialect, exchange: Exchange) -> tuple[str, tuple[str, ...], list[Broken]]:
    """``(code, requirements judged, violations)`` of an answer with a status of 400 or more."""
    error = read_error(dialect, exchange)
    code = code_of(error, exchange.status)
    judged, broken = ["ERR-19"], []
    named = error.raw_code.value, error.type.value
    if fault := _not_an_error_object(exchange, error, named):
        broken.append(Broken("ERR-19", "a JSON error with a code or type, and a message", fault))
    if exchange.status == 429:
        judged.append("RATE-26")
        if fault := _not_an_error_object(exchange, error, (*named, error.code)):
            broken.append(Broken("RATE-26", "a JSON error with a code or type, and a message", fault))
        _judge_wait(dialect, exchange, error, judged, broken)
    if exchange.status == 503 and dialect.name == "contract":
        judged.append("RATE-20")
        if error.code != "MODEL_OVERLOADED" or exchange.header("retry-after") is None:
            wait = exchange.header("retry-after")
            broken.append(Broken("RATE-20", "503 MODEL_OVERLOADED with Retry-After",
                                 f"code {error.code}, Retry-After {wait}"))  # fmt: skip
    return code, tuple(judged), broken


def _not_an_error_object(exchange: Exchange, error: ErrorFacts, named: tuple[object, ...]) -> str:
    """Why the body is no error for programs (none of ``named``) and people; empty if it is one."""
    shown = exchange.content[:120].decode("utf-8", "replace") or "an empty body"
    if exchange.json is NOT_JSON:
        return shown
    if all(value in ("", None) for value in named):
        return f"no code or type in {shown}"
    return "" if error.message.value else f"no message in {shown}"


def _judge_wait(
    dialect: Dialect, exchange: Exchange, error: ErrorFacts, judged: list[str], broken: list[Broken]
) -> None:
    value = exchange.header("retry-after")
    exempt = (
        error.code == "BUDGET_EXCEEDED"
        or str(error.raw_code.value) in MONEY
        or error.retryable.value is False
    )
    if value is None:
        if not exempt:
            judged.append("RATE-02")
            broken.append(Broken("RATE-02", "a Retry-After header on the 429", "none", "header Retry-After"))
        return
    judged += ["RATE-02", "RATE-03"]
    text = value.strip()
    seconds = bool(re.fullmatch(r"[0-9]{1,9}", text)) and int(text) >= 1
    if not seconds and not _later_date(text, exchange):
        broken.append(Broken("RATE-03", "whole seconds >= 1, or an HTTP-date in the future", text[:60],
                             "header Retry-After"))  # fmt: skip
    if dialect.name == "contract":
        judged.append("RATE-23")
        if not seconds:
            broken.append(Broken("RATE-23", "delta-seconds >= 1", text[:60], "header Retry-After"))


def _later_date(text: str, exchange: Exchange) -> bool:
    try:
        date = parsedate_to_datetime(text)
        sent = exchange.header("date")
        now = parsedate_to_datetime(sent) if sent else datetime.now(UTC)
    except (ValueError, TypeError):
        return False
    return date.timestamp() >= now.timestamp()
