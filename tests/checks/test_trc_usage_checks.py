from __future__ import annotations

from typing import Any

import pytest
from building import answer, gathered
from sample_streams import BOTH, EXTRA_HEADERS, MODEL, contract_events, metadata, openai_events, sent

from conformance.checks import test_trc_usage as checks
from conformance.reading import Probed, Reading
from conformance.verdict import Inconclusive, NotOffered, NotTested, Violation

PRICES = {"currency": "USD", "input_per_million": 1, "output_per_million": 2, "price_version": "p1"}
MODELS = {"data": [{"id": MODEL, "aliases": ["atlas-1"], "prices": PRICES}], "next_cursor": None}


def _chat(role: str = "chat", **changes: Any) -> Reading:
    more = {k: changes.pop(k) for k in ("params", "headers", "t_end", "operation") if k in changes}
    body = {"id": "chat_1", "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}
    return answer(body | {"metadata": metadata(**changes)}, role=role, **({"headers": EXTRA_HEADERS} | more))


def _completion(usage: Any, role: str = "chat", model: str | None = "gpt-x") -> Reading:
    message = {"role": "assistant", "content": "Hi."}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    }
    return answer(body, role=role, speaks="openai-chat")


def _lineage(models: Any = MODELS, description: Any = None) -> Probed:
    return gathered(
        "lineage",
        answer(models, operation="models", role="models"),
        answer(description or {}, operation="description", role="description"),
    )


def test_good_answers_pass_every_check_of_lineage() -> None:
    exchanges = (_chat(), sent("contract", contract_events()))
    assert checks.test_the_model_version_is_never_an_alias(exchanges, _lineage())
    assert checks.test_latency_is_in_milliseconds_and_true(exchanges)
    assert checks.test_token_counts_are_integers_that_add_up(exchanges)
    assert checks.test_cached_and_reasoning_tokens_are_part_of_the_whole(exchanges)
    assert checks.test_sources_used_is_an_empty_array_without_sources(exchanges)
    assert checks.test_the_cost_is_usage_times_price(exchanges, _lineage())
    assert checks.test_every_answer_names_its_model(exchanges)


def test_trc_09_names_an_alias_and_an_unknown_model() -> None:
    check = checks.test_the_model_version_is_never_an_alias
    for version in ("atlas-1", "atlas-9", None):
        with pytest.raises(Violation, match=MODEL):
            check((_chat(model_version=version),), _lineage())
    with pytest.raises(Inconclusive):
        check((_chat(),), _lineage({"data": []}))


@pytest.mark.parametrize("latency", [None, -1, 0.12, True, "120", 5000])
def test_trc_10_names_a_latency_that_cannot_be(latency: Any) -> None:
    with pytest.raises(Violation, match="from 0 to 250 ms"):
        checks.test_latency_is_in_milliseconds_and_true((_chat(latency_ms=latency),))


def test_trc_10_knows_delays_and_replays() -> None:
    check = checks.test_latency_is_in_milliseconds_and_true
    delayed = {"sandbox": {"scenario": "slow_first_token", "delay_ms": 1500}}
    assert check((_chat(latency_ms=1502, params=delayed, t_end=1.51),))
    with pytest.raises(Violation, match="from 1200"):
        check((_chat(latency_ms=2, params=delayed, t_end=1.51),))
    replay = _chat(latency_ms=9000, headers={"Idempotency-Replayed": "true"})
    with pytest.raises(NotTested):
        check((replay,))


@pytest.mark.parametrize(
    "used",
    [
        {"input": 10, "output": 4, "total": 15},
        {"input": -1, "output": 4, "total": 3},
        {"input": "10", "output": 4},
        {"input": 10.5, "output": 4},
        None,
    ],
)
def test_trc_11_names_counts_that_do_not_add_up(used: Any) -> None:
    check = checks.test_token_counts_are_integers_that_add_up
    with pytest.raises(Violation):
        check((_chat(tokens_used=used),))
    with pytest.raises(Violation):
        check((sent("contract", contract_events(metadata=metadata(tokens_used=used))),))


def test_trc_11_for_vendors() -> None:
    check = checks.test_token_counts_are_integers_that_add_up
    stream = sent("openai-chat", openai_events())
    separate = {
        "prompt_tokens": 10,
        "completion_tokens": 4,
        "total_tokens": 20,
        "completion_tokens_details": {"reasoning_tokens": 6},
    }
    assert check((stream, _completion(separate)))
    with pytest.raises(Violation, match="= 14 tokens"):
        check((_completion({"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 99}),))
    with pytest.raises(NotOffered):
        check((_completion(None),))


def test_trc_12_names_parts_larger_than_the_whole() -> None:
    check = checks.test_cached_and_reasoning_tokens_are_part_of_the_whole
    cached = {"prompt_tokens": 10, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 11}}
    with pytest.raises(Violation, match="cached_input"):
        check((_completion(cached),))
    with pytest.raises(Violation, match="reasoning_output"):
        check((_chat(tokens_used={"input": 10, "output": 4, "total": 14, "reasoning_output": 5}),))
    with pytest.raises(NotOffered):
        check((_completion({"prompt_tokens": 10, "completion_tokens": 4}),))


@pytest.mark.parametrize("speaks", BOTH)
def test_trc_13_names_a_constant_count(speaks: str) -> None:
    check = checks.test_a_much_longer_input_counts_more_tokens

    def counted(tokens: int, role: str) -> Reading:
        if speaks == "contract":
            return _chat(role, tokens_used={"input": tokens, "output": 4, "total": tokens + 4})
        return _completion({"prompt_tokens": tokens, "completion_tokens": 4}, role)

    short = gathered("baseline", counted(10, "chat"))
    assert check(gathered("longer_input", counted(300, "long")), short)
    for tokens in (10, 0):
        with pytest.raises(Violation, match="more than the 10"):
            check(gathered("longer_input", counted(tokens, "long")), short)


def test_trc_13_is_not_offered_without_usage() -> None:
    with pytest.raises(NotOffered):
        checks.test_a_much_longer_input_counts_more_tokens(
            gathered("longer_input", _completion(None, "long")), gathered("baseline", _completion(None))
        )


def test_trc_15_names_null_and_absent_sources() -> None:
    check = checks.test_sources_used_is_an_empty_array_without_sources
    with pytest.raises(Violation, match=r"expected \[\]; seen None"):
        check((_chat(sources_used=None),))
    block = {k: v for k, v in metadata().items() if k != "sources_used"}
    with pytest.raises(Violation, match="absent"):
        check((sent("contract", contract_events(metadata=block)),))


@pytest.mark.parametrize(
    "cost",
    [
        None,
        {"amount": "0.00018", "currency": "USD", "price_version": "p1"},
        {"amount": "0", "currency": "USD", "price_version": "p1"},
        {"amount": "a lot", "currency": "USD", "price_version": "p1"},
        {"amount": "0.000018", "currency": "EUR", "price_version": "p1"},
        {"amount": "0.000018", "currency": "USD", "price_version": "p0"},
    ],
)
def test_trc_16_names_a_cost_that_the_prices_do_not_give(cost: Any) -> None:
    with pytest.raises(Violation):
        checks.test_the_cost_is_usage_times_price((_chat(cost=cost),), _lineage())


def test_trc_16_leaves_out_what_has_no_published_price() -> None:
    cached = {"input": 10, "output": 4, "total": 14, "cached_input": 8}
    with pytest.raises(Inconclusive):
        checks.test_the_cost_is_usage_times_price((_chat(tokens_used=cached),), _lineage())


def test_trc_18_looks_for_the_names_anywhere_in_the_description() -> None:
    check = checks.test_the_description_maps_metadata_to_opentelemetry
    properties = {
        "input": {"x-otel": "gen_ai.usage.input_tokens"},
        "model_version": {"x-otel": {"attribute": "gen_ai.response.model"}},
    }
    assert check(_lineage(description={"components": {"schemas": [{"properties": properties}]}}))
    with pytest.raises(Violation, match=r"gen_ai\.response\.model"):
        check(_lineage(description={"properties": {"input": properties["input"]}}))


@pytest.mark.parametrize("model", [None, ""])
def test_trc_20_names_an_answer_without_its_model(model: str | None) -> None:
    check = checks.test_every_answer_names_its_model
    assert check((_completion({}), sent("openai-chat", openai_events())))
    with pytest.raises(Violation, match="the model that gave"):
        check((_completion({}, model=model),))
    with pytest.raises(Violation, match="the model that gave"):
        check((sent("openai-chat", openai_events(model="")),))
    with pytest.raises(NotTested):
        check((_chat(operation="classify"),))
