"""What Schemathesis makes of a document: cases before they are sent, and findings about the answers."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx

from conformance.reading import Reading

GENERATING = threading.Lock()
"""Hypothesis cannot run in two threads at once, and the selftest runs many targets in one process."""


def cases_of(strategy: Any, most: int) -> list[Any]:
    """The same few cases in every run, so that a verdict does not depend on luck."""
    from hypothesis import HealthCheck, Phase, assume, given, seed, settings
    from hypothesis.errors import Unsatisfiable

    cases: list[Any] = []

    @seed(20261124)
    @settings(
        max_examples=most,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(case: Any) -> None:
        # A header that cannot be sent would be left out, and an invalid request might become a valid one.
        assume(all(_sendable(str(k), str(v)) for k, v in (case.headers or {}).items()))
        cases.append(case)

    with suppress(Unsatisfiable):  # an operation without parameters has no invalid request
        collect()
    return cases[:most]


def _sendable(name: str, value: str) -> bool:
    plain_name = name.isascii() and name.replace("-", "").isalnum()
    return plain_name and value != "" and value == value.strip() and value.isascii() and value.isprintable()


def findings(case: Any, operation: str, reading: Reading) -> Iterable[dict[str, Any]]:
    """What Schemathesis holds against this answer. Its own calls (`ignored_auth`) are left to AUTH-01 and AUTH-02."""
    from schemathesis.checks import CHECKS, load_all_checks
    from schemathesis.core.failures import FailureGroup

    exchange = reading.exchange
    if exchange.failure or exchange.status is None or exchange.status == 429:
        return
    answer = httpx.Response(
        exchange.status,
        headers=list(exchange.headers),
        content=exchange.content,
        request=httpx.Request(exchange.sent.method, exchange.sent.url),
    )
    answer.elapsed = timedelta(seconds=exchange.t_end or 0.0)
    load_all_checks()
    own_calls = [c for c in CHECKS.get_all() if c.__name__ in ("ignored_auth", "use_after_free")]
    try:
        case.validate_response(answer, excluded_checks=own_calls)
    except FailureGroup as group:
        for failure in group.exceptions:
            yield {
                "exchange": exchange.id,
                "kind": type(failure).__name__,
                "message": str(failure)[:300],
                "operation": operation,
            }
