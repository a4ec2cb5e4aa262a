"""A run as one JSON document (``load.schema.json``): what the other formats are written from."""

from __future__ import annotations

from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING, Any

from load.histogram import COARSE, Histogram
from load.tally import TIMES, OperationTally
from load.verdicts import report_of, suite_version

if TYPE_CHECKING:
    from load.outcome import Outcome

SCHEMA_ID = "urn:aiconform:load:1"
QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999)

DEFINITIONS = {
    "ttfb": "From the intended start of a request to the first byte of its response.",
    "ttft": "From the intended start to the receive that completed the first event with text.",
    "itl": "Inter-token latency: between two receives that each completed events with text. Events that came in "
    "one receive have no known gap: they are counted as coalesced, not as a gap of 0.",
    "itl_worst": "The largest such gap of one stream.",
    "tpot": "Time per output token: from the first to the last text of a stream, divided by its output tokens less "
    "one, as the server counts them.",
    "e2e": "From the intended start to the end of the response, of successful requests.",
    "job_queue": "From the intended start of a job to the first answer that says it is no longer waiting.",
    "job_run": "From there to the answer that says it is done.",
    "intended start": "In an open loop the time of the schedule, so that a server (or client) that is late does not "
    "hide its own lateness (no coordinated omission). In a closed loop the moment of sending. A wait that "
    "Retry-After asked for is not counted.",
    "goodput": "Share of all requests that succeeded and kept every time bound of the objectives about them.",
    "stall": "A gap of at least 100 ms and 5 times the stream's median gap.",
    "truncated": "A stream that ended, or was cut, without its terminal and without an error event.",
    "lag": "By how much our own client began requests late.",
    "loop lag": "By how much our own event loop came late, looked at every 50 ms: no time above is better known.",
}


def document_of(outcome: Outcome) -> dict[str, Any]:
    """The whole run as plain data. Times in milliseconds unless the name says otherwise."""
    config, tally = outcome.config, outcome.tally
    seconds = outcome.seconds
    return {
        "$schema": SCHEMA_ID,
        "suite_version": suite_version(),
        "target": config.target.public(),
        "dialect": config.dialect.name,
        "started_at": datetime.fromtimestamp(outcome.started_at, UTC).isoformat(),
        "duration_seconds": round(seconds, 3),
        "load": {
            "loop": "closed" if config.plan is None else "open",
            "label": outcome.loop,
            "mix": dict(config.mix),
            "users": outcome.users,
            "processes": outcome.shards,
            "stopped": outcome.stopped,
        },
        "client": {
            "valid": outcome.valid,
            "doubts": outcome.doubts,
            "error_budget_ms": config.budget * 1000,
            "requested_per_second": round(outcome.offered, 3),
            "started_per_second": round(outcome.started_rate, 3) if config.plan else None,
            "completed_per_second": round(tally.total("requests") / seconds, 3),
            "busiest": max((s.busy for s in tally.seconds.values()), default=0),
            "lag": times_of(tally.lag),
            "loop_lag": times_of(tally.loop_lag),
            "cpu": round(outcome.cpu, 4),
            "connections": tally.own["connections"],
            "sent": tally.own["sent"],
            "resent": tally.own["resent"],
            "not_sent": tally.own["dropped"],
            "unfinished": tally.own["unfinished"],
            "lost_workers": list(outcome.lost),
        },
        "operations": {n: _operation(o, seconds) for n, o in sorted(tally.operations.items())},
        "seconds": [_second(n * tally.width, tally.width, tally.seconds[n]) for n in sorted(tally.seconds)],
        "steps": steps_of(outcome),
        "objectives": [
            {
                "name": j.objective.name,
                "relation": j.objective.relation,
                "bound": j.objective.bound,
                "unit": j.objective.unit.strip(),
                "seen": j.seen,
                "met": j.met,
            }
            for j in outcome.judged
        ],
        "cost": config.caps.cost_of(tally.total("tokens_in"), tally.total("tokens_out")),
        "samples": {n: r.samples for n, r in sorted(tally.ledger.records.items()) if r.samples},
        "contract": report_of(outcome),
        "definitions": DEFINITIONS,
        "exit_code": outcome.exit_code,
        "reasons": outcome.reasons,
    }


def times_of(histogram: Histogram) -> dict[str, float]:
    """A histogram in milliseconds."""
    names = [f"p{q * 100:g}" for q in QUANTILES]
    values = histogram.quantiles(QUANTILES)
    return {
        "count": histogram.count,
        "mean": _ms(histogram.mean),
        "min": _ms(histogram.low) if histogram.count else 0.0,
        "max": _ms(histogram.high),
        **{name: _ms(value) for name, value in zip(names, values, strict=True)},
    }


def _operation(tally: OperationTally, seconds: float) -> dict[str, Any]:
    counts = tally.counts
    requests = counts["requests"]
    return {
        "requests": requests,
        "ok": counts["ok"],
        "per_second": round(counts["ok"] / seconds, 3),
        "goodput": round(counts["good"] / requests, 5) if requests else 0.0,
        "refused": counts["refused"],
        "refused_share": round(counts["refused"] / requests, 5) if requests else 0.0,
        "overloaded": counts["overloaded"],
        "failed": counts["failed"],
        "errors": dict(tally.codes.most_common()),
        "truncated": counts["truncated"],
        "stalls": counts["stalls"],
        "coalesced": counts["coalesced"],
        "gaps": counts["gaps"],
        "tokens_in": counts["tokens_in"],
        "tokens_out": counts["tokens_out"],
        "tokens_in_per_second": round(counts["tokens_in"] / seconds, 3),
        "tokens_out_per_second": round(counts["tokens_out"] / seconds, 3),
        "bytes": counts["bytes"],
        "times": {n: times_of(tally.times[n]) for n in TIMES if tally.times[n].count},
        "histograms": {n: tally.times[n].plain() for n in TIMES if tally.times[n].count},
    }


def _second(number: int, width: int, second: Any) -> dict[str, Any]:
    counts = second.counts
    ttft, e2e = second.ttft.quantiles((0.5, 0.99)), second.e2e.quantiles((0.5, 0.99))
    return {
        "second": number,
        "seconds": width,
        "done": counts["done"],
        "ok": counts["ok"],
        "refused": counts["refused"],
        "failed": counts["failed"],
        "busy": second.busy,
        "tokens_out": counts["tokens_out"],
        "retry_after": second.retry_after,
        "ttft_p50": _ms(ttft[0]),
        "ttft_p99": _ms(ttft[1]),
        "e2e_p50": _ms(e2e[0]),
        "e2e_p99": _ms(e2e[1]),
    }


KNEE_LATENCY, KNEE_RATE = 2.0, 0.95


def steps_of(outcome: Outcome) -> list[dict[str, Any]]:
    """What each step of a ``step:`` plan came to; ``kept`` until the knee: less than 95 % of the rate was
    completed, or p95 is more than twice that of the first step."""
    plan = outcome.config.plan
    if plan is None or not plan.label.startswith("step"):
        return []
    found: list[dict[str, Any]] = []
    begun, first, kept = 0.0, 0.0, True
    for piece in plan.pieces:
        width, end = outcome.tally.width, begun + piece.seconds
        inner = range(ceil(begun / width), max(ceil(begun / width) + 1, int(end / width)))
        seconds = [s for n in inner if (s := outcome.tally.seconds.get(n)) is not None]
        merged = Histogram(COARSE)
        for second in seconds:
            merged.merge(second.e2e)
        ok = sum(s.counts["ok"] for s in seconds) / (len(inner) * width)
        p95 = merged.quantile(0.95)
        first = first or p95
        kept = kept and ok >= KNEE_RATE * piece.start and p95 <= KNEE_LATENCY * first
        found.append({"rate": piece.start, "ok_per_second": round(ok, 2), "e2e_p95": _ms(p95), "kept": kept})
        begun = end
    return found


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 4)
