"""Lineage and usage: which model, how long, how many tokens, what they cost, from which sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from conformance.checks.metadata import Described, ai_answers, described, is_count
from conformance.evidence import Exchange
from conformance.reading import Probed, Reading
from conformance.registry import check
from conformance.verdict import Inconclusive, NotOffered, NotTested, expect

CLOCK_MS = 50
"""Milliseconds by which the server's measurement may pass the client's."""

MILLION = Decimal(1_000_000)
MOST_ROUNDING = Decimal("0.000001")
OTEL = ("gen_ai.usage.input_tokens", "gen_ai.response.model")
PARTS = ("input", "output", "total", "cached_input", "reasoning_output")


@check("TRC-09")
def test_the_model_version_is_never_an_alias(exchanges: tuple[Reading, ...], lineage: Probed) -> str:
    """Also when the request named an alias."""
    models = _models(lineage["models"])
    aliases = {str(a) for m in models.values() for a in m.get("aliases", [])} - set(models)
    answers = described(exchanges)
    for answer in answers:
        version = answer.metadata.get("model_version")
        expect(
            version in models and version not in aliases,
            expected=f"the id of a model, one of {', '.join(sorted(models))}",
            seen=version,
            at=answer.reading,
            where=answer.where("model_version"),
        )
    return f"{len(answers)} answers; aliases: {', '.join(sorted(aliases)) or 'none'}"


@check("TRC-10")
def test_latency_is_in_milliseconds_and_true(exchanges: tuple[Reading, ...]) -> str:
    """Between a provoked delay and what the client measured."""
    answers = [a for a in described(exchanges) if not a.replayed]
    for answer in answers:
        exchange, value = answer.reading.exchange, answer.metadata.get("latency_ms")
        measured = ((exchange.t_end or 0.0) + exchange.lag) * 1000
        least = _provoked_delay(exchange) * 0.8
        expect(
            isinstance(value, int) and is_count(value) and least <= value <= measured + CLOCK_MS,
            expected=f"an integer from {least:.0f} to {measured + CLOCK_MS:.0f} ms",
            seen=value,
            at=answer.reading,
            where=answer.where("latency_ms"),
        )
    if not answers:
        raise NotTested("every answer may be a replay")
    return f"{len(answers)} answers"


@check("TRC-11")
def test_token_counts_are_integers_that_add_up(exchanges: tuple[Reading, ...]) -> str:
    """Counts of at least 0; the total is the sum."""
    judged = 0
    for reading in ai_answers(exchanges):
        usage = _usage(reading)
        if not usage:
            expect(
                reading.dialect.name != "contract",
                expected="metadata.tokens_used",
                seen="no usage",
                at=reading,
            )
            continue
        for name, value in usage.items():
            expect(
                is_count(value),
                expected=f"{name} tokens as an integer of at least 0",
                seen=value,
                at=reading,
            )
        if {"input", "output", "total"} <= set(usage):
            total = usage["input"] + usage["output"]
            allowed = {total, total + usage.get("reasoning_output", 0)}
            expect(
                usage["total"] in allowed,
                expected=f"{usage['input']} + {usage['output']} = {total} tokens in total",
                seen=usage["total"],
                at=reading,
            )
        judged += 1
    if not judged:
        raise NotOffered("no answer reports usage")
    return f"{judged} answers"


@check("TRC-12")
def test_cached_and_reasoning_tokens_are_part_of_the_whole(exchanges: tuple[Reading, ...]) -> str:
    """cached input at most input, reasoning output at most output."""
    judged = 0
    for reading in ai_answers(exchanges):
        usage = {n: v for n, v in _usage(reading).items() if is_count(v)}
        for part, among in (("cached_input", "input"), ("reasoning_output", "output")):
            if part in usage and among in usage:
                expect(
                    usage[part] <= usage[among],
                    expected=f"at most the {usage[among]} {among} tokens as {part}",
                    seen=usage[part],
                    at=reading,
                )
                judged += 1
    if not judged:
        raise NotOffered("no answer reports cached or reasoning tokens")
    return f"{judged} counts"


@check("TRC-13")
def test_a_much_longer_input_counts_more_tokens(longer_input: Probed, baseline: Probed) -> str:
    """Three hundred words against a few."""
    long, short = longer_input["long"], baseline["chat"]
    if not (long.ok and short.ok):
        raise Inconclusive(f"the two prompts were answered with {short.status} and {long.status}")
    few, many = short.facts["usage.input"], long.facts["usage.input"]
    if not few and not many:
        raise NotOffered("no answer reports usage")
    expect(many, expected="the number of input tokens", seen="none", at=long, where=many.where)
    if not few:
        raise Inconclusive("the short prompt's answer reports no input tokens")
    expect(
        many.value > few.value,
        expected=f"more than the {few.value} input tokens of the short prompt",
        seen=many.value,
        at=long,
        where=many.where,
    )
    return f"{few.value} and {many.value} input tokens"


@check("TRC-15")
def test_sources_used_is_an_empty_array_without_sources(exchanges: tuple[Reading, ...]) -> str:
    """Not null, not absent."""
    answers = described(exchanges)
    for answer in answers:
        expect(
            answer.metadata.get("sources_used") == [],
            expected="[]",
            seen=answer.metadata.get("sources_used", "absent"),
            at=answer.reading,
            where=answer.where("sources_used"),
        )
    return f"{len(answers)} answers"


@check("TRC-16")
def test_the_cost_is_usage_times_price(exchanges: tuple[Reading, ...], lineage: Probed) -> str:
    """Computed again from the published prices; the amount may be rounded, by a millionth at most."""
    models = _models(lineage["models"])
    judged = 0
    for answer in described(exchanges):
        prices = models.get(str(answer.metadata.get("model_version")), {}).get("prices")
        usage = answer.metadata.get("tokens_used")
        if not isinstance(prices, dict) or not isinstance(usage, dict) or usage.get("cached_input"):
            continue
        _expect_cost(answer, usage, prices)
        judged += 1
    if not judged:
        raise Inconclusive("no answer has both usage and a published price")
    return f"{judged} answers"


@check("TRC-18")
def test_the_description_maps_metadata_to_opentelemetry(lineage: Probed) -> str:
    """``x-otel`` names the attributes."""
    reading = lineage["description"]
    if not reading.ok:
        raise Inconclusive(f"the description was answered with {reading.status}")
    names = set(_otel_names(reading.body))
    missing = [n for n in OTEL if n not in names]
    expect(
        not missing,
        expected="x-otel with the OpenTelemetry name of each field",
        seen=f"no {', no '.join(missing)}",
        at=reading,
    )
    return f"{len(names)} names"


@check("TRC-20")
def test_every_answer_names_its_model(exchanges: tuple[Reading, ...]) -> str:
    """Streamed or not."""
    answers = [r for r in ai_answers(exchanges) if r.exchange.operation != "classify"]
    if not answers:
        raise NotTested("the run holds no complete chat answer")
    for reading in answers:
        if reading.exchange.is_sse:
            named = any(isinstance(p.value, str) and p.value for p in reading.stream.model_versions)
            where = ""
        else:
            fact = reading.facts["model_version"]
            if fact.state == "unsupported":
                raise NotOffered("the vendor's format has no place for the model")
            named, where = isinstance(fact.value, str) and fact.value != "", fact.where
        expect(named, expected="the model that gave the answer", seen="none", at=reading, where=where)
    return f"{len(answers)} answers"


def _models(reading: Reading) -> dict[str, Mapping[str, Any]]:
    listed = reading.body.get("data") if isinstance(reading.body, dict) else None
    models: dict[str, Mapping[str, Any]] = {
        str(m["id"]): m
        for m in (listed if isinstance(listed, list) else [])
        if isinstance(m, dict) and "id" in m
    }
    if not models:
        raise Inconclusive(f"the list of models is empty or was answered with {reading.status}")
    return models


def _usage(reading: Reading) -> dict[str, Any]:
    """The token counts that an answer reports, by part."""
    if reading.dialect.name == "contract":
        (answer,) = described([reading])
        block = answer.metadata.get("tokens_used")
        return {n: block[n] for n in PARTS if n in block} if isinstance(block, dict) else {}
    if reading.exchange.is_sse:
        return dict(reading.stream.usage)
    found = {n: reading.facts[f"usage.{n}"] for n in PARTS}
    return {n: f.value for n, f in found.items() if f and f.value is not None}


def _provoked_delay(exchange: Exchange) -> float:
    """Milliseconds for which the first token was held back by a provocation of ours."""
    sandbox = exchange.params.get("sandbox")
    if not isinstance(sandbox, Mapping) or sandbox.get("scenario") != "slow_first_token":
        return 0.0
    return float(sandbox.get("delay_ms", 0))


def _expect_cost(answer: Described, usage: Mapping[str, Any], prices: Mapping[str, Any]) -> None:
    cost = answer.metadata.get("cost")
    given = cost if isinstance(cost, dict) else {}
    where, at = answer.where("cost"), answer.reading
    try:
        amount = Decimal(str(given["amount"]))
        right = (
            Decimal(usage["input"]) * Decimal(str(prices["input_per_million"]))
            + Decimal(usage["output"]) * Decimal(str(prices["output_per_million"]))
        ) / MILLION
    except (KeyError, InvalidOperation, TypeError):
        expect(False, expected="cost with a decimal amount", seen=cost, at=at, where=where)
        return
    exponent = amount.as_tuple().exponent
    last_digit = Decimal(1).scaleb(exponent) if isinstance(exponent, int) else MOST_ROUNDING
    expect(
        amount.is_finite() and abs(amount - right) <= min(last_digit, MOST_ROUNDING),
        expected=f"{right.normalize():f} {prices.get('currency')}",
        seen=given["amount"],
        at=at,
        where=where + "/amount",
    )
    for name in ("currency", "price_version"):
        expect(
            given.get(name) == prices.get(name),
            expected=f"{name} {prices.get(name)!r} of the published price",
            seen=given.get(name),
            at=at,
            where=f"{where}/{name}",
        )


def _otel_names(node: Any) -> Iterable[str]:
    """Every string anywhere below an ``x-otel``."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _strings(value) if key == "x-otel" else _otel_names(value)
    elif isinstance(node, list):
        for value in node:
            yield from _otel_names(value)


def _strings(node: Any) -> Iterable[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for value in [*node, *node.values()] if isinstance(node, dict) else node:
            yield from _strings(value)
