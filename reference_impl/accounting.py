"""The one place where work is admitted against a caller's limits, and where what it took is written down.

Every operation that runs a model calls `admit` before and `account` after, also a job that runs without a client.
"""

from __future__ import annotations

import math
import time
from decimal import Decimal

from reference_impl.engine.base import Call
from reference_impl.engine.models import Model
from reference_impl.exchange import Exchange
from reference_impl.policies.metadata import Usage
from reference_impl.services import Services
from reference_impl.store.usage import UsageRecord
from reference_impl.telemetry import Generation

_MICRO = 1_000_000


async def admit(services: Services, exchange: Exchange, model: Model, input_tokens: int) -> None:
    """Refuse what the caller's token limit or budget has no room for. Charges nothing.

    Raises:
        ContractError: TOKEN_LIMIT_EXCEEDED or BUDGET_EXCEEDED.
    """
    limits = services.policies.limits
    await limits.admit_tokens(exchange, input_tokens)
    # Nobody knows the output yet; the input alone is the least that the answer will cost.
    await limits.admit_cost(exchange, microunits(model.cost(input_tokens, 0)))


async def account(
    services: Services,
    exchange: Exchange,
    model: Model,
    usage: Usage,
    *,
    operation: str,
    outcome: str = "stop",
    requested: str | None = None,
) -> None:
    """Charge what an answer took, log it under its trace, and export its span.

    `operation` is `chat`, `classify` or the like; `outcome` a finish reason, or the code of an error; `requested`
    the model's name in the request.
    """
    cost = model.cost(usage.input, usage.output)
    await services.policies.limits.charge(exchange, usage.total, microunits(cost))
    caller, trace = exchange.caller, exchange.trace
    await services.usage.add(
        UsageRecord(
            principal=caller.name,
            trace_id=trace.trace_id,
            request_id=exchange.request_id,
            operation=operation,
            model=model.id,
            at=time.time(),
            input=usage.input,
            output=usage.output,
            cached_input=usage.cached_input,
            reasoning_output=usage.reasoning_output,
            cost=format(cost, "f"),
            price_version=model.price_version,
        )
    )
    services.telemetry.generated(
        exchange, Generation(operation, requested or model.id, model.id, usage.input, usage.output, outcome)
    )


def failed(services: Services, exchange: Exchange, call: Call, operation: str, code: str) -> None:
    """A generation ended with this error and is not charged: only its span is exported."""
    services.telemetry.generated(
        exchange, Generation(operation, call.model.id, call.model.id, call.input_tokens, 0, code)
    )


def microunits(cost: Decimal) -> int:
    """Millionths of the currency, rounded up: a budget is never overrun by rounding."""
    return math.ceil(cost * _MICRO)
