"""Mutants of cost and usage: what is charged, limited and told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from reference_impl.exchange import Exchange
from reference_impl.mutants.edits import Wrap, on_code, to_status
from reference_impl.mutants.model import QUICK, mutant, variant
from reference_impl.mutants.requests import answers, as_main, chat_metadata
from reference_impl.mutants.wire import Headers, edit_heads
from reference_impl.policies import Policies
from reference_impl.policies.limits import FixedWindows
from reference_impl.settings import DEMO_CREDENTIALS

Change = Callable[[Policies], Policies]


def _limits(make: Callable[[], FixedWindows]) -> Change:
    return lambda policies: replace(policies, limits=make())


class _NoBudget(FixedWindows):
    async def admit_cost(self, exchange: Exchange, microunits: int) -> None:
        return


class _BudgetOfTokens(FixedWindows):
    """Counts a token as a millionth, whatever it costs."""

    async def charge(self, exchange: Exchange, tokens: int, microunits: int = 0) -> None:
        await super().charge(exchange, tokens, tokens)


class _AnyConcurrency(FixedWindows):
    def _hold_slot(self, exchange: Exchange, limit: int) -> None:
        return


class _LeaksSlots(FixedWindows):
    """The slot of a stream is never given back."""

    def release(self, exchange: Exchange) -> None:
        if "event-stream" not in (exchange.headers.get("accept") or ""):
            super().release(exchange)


def _two_policies(_status: int, headers: Headers) -> Headers:
    """Tells only the policies of requests and tokens."""
    return [
        (k, b", ".join(v.split(b", ")[:2]) if k in (b"ratelimit-policy", b"ratelimit") else v)
        for k, v in headers
    ]


def _cost(amount: str) -> Wrap:
    return chat_metadata(lambda m: {**m, "cost": {**m["cost"], "amount": amount}})


def _more_output(metadata: dict[str, Any]) -> dict[str, Any]:
    used = metadata["tokens_used"]
    more = {**used, "output": used["output"] + 3, "total": used["total"] + 3}
    return {**metadata, "tokens_used": more}


_WITHOUT_BUDGETS = tuple(
    replace(known, tier=replace(known.tier, cost=None, concurrency=None)) for known in DEMO_CREDENTIALS
)


MUTANTS = (
    mutant("budget-unenforced", "RATE-10", "the budget is told and never ends", policies=_limits(_NoBudget)),
    mutant("budget-as-500", "RATE-10 ERR-02", "a used up budget gives 500", wrap=on_code("BUDGET_EXCEEDED", to_status(500))),
    mutant("budget-as-402", "RATE-10", "a used up budget gives 402", wrap=on_code("BUDGET_EXCEEDED", to_status(402))),
    mutant("concurrency-unenforced", "RATE-18", "any number of streams at once", policies=_limits(_AnyConcurrency)),
    mutant("slots-leak", "RATE-18", "a hung up stream keeps its slot", policies=_limits(_LeaksSlots)),
    mutant("hidden-policies", "RATE-27", "budget and concurrency are not advertised", wrap=edit_heads(_two_policies)),
    mutant("budget-of-tokens", "RATE-28", "the budget counts tokens, not cost", policies=_limits(_BudgetOfTokens)),
    mutant("cost-constant", "TRC-16", "every answer costs a cent", wrap=_cost("0.01")),
    mutant("cost-zero", "TRC-16", "every answer is said to be free", wrap=_cost("0")),
    mutant("tokens-used-wrong", "TRC-17", "an answer tells other tokens than its usage", wrap=chat_metadata(_more_output)),
    mutant("usage-lost", "TRC-17", "usage is never found", slow=True, wrap=answers("/usage", lambda b: {**b, "data": []})),
    mutant("usage-of-anybody", "TRC-22", "usage is found by trace alone", wrap=as_main("/usage")),
)  # fmt: skip

VARIANTS = (
    variant("no-budgets", "limits on requests and tokens only", settings=replace(QUICK, credentials=_WITHOUT_BUDGETS)),
)  # fmt: skip
