"""What an upstream's list of models becomes, and what stops a start, on one line."""

from __future__ import annotations

import argparse
import asyncio
from decimal import Decimal
from typing import Any, NoReturn

import pytest
from scripted_upstream import Script, json_answer, refusal, scripted

from reference_impl.engine.discover import EVERY, Price, Told, UpstreamUnusableError, discover
from reference_impl.engine.models import Catalogue
from reference_impl.engine.options import add_upstream_options, upstream_of
from reference_impl.engine.upstream import UpstreamEngine

LIST = json_answer(
    b'{"data": [{"id": "llama", "max_model_len": 2048, "created": 1700000000}, {"id": "org/gpt"}]}'
)
EVERYWHERE = Told(windows={EVERY: 4096})


def discovered(
    answer: bytes, told: Told = EVERYWHERE, key: str | None = None
) -> tuple[dict[str, str], Catalogue]:
    async def ask() -> tuple[dict[str, str], Catalogue]:
        async with scripted(Script(answer)) as url:
            return await asyncio.to_thread(discover, url, key, told)

    return asyncio.run(ask())


def windows(catalogue: Catalogue) -> dict[str, int]:
    return {model.id: model.context_window for model in catalogue.models}


def test_listed_models_are_published_with_their_windows_and_without_slashes() -> None:
    names, catalogue = discovered(LIST)
    assert names == {"llama": "llama", "org--gpt": "org/gpt"}
    assert windows(catalogue) == {"llama": 2048, "org--gpt": 4096}
    assert [model.names for model in catalogue.models] == [("llama",), ("org--gpt", "org/gpt")]
    assert catalogue.default.released_at == "2023-11-14T22:13:20Z"
    assert not any(model.pinned for model in catalogue.models)


def test_a_model_whose_window_nobody_tells_is_not_published() -> None:
    assert windows(discovered(LIST, Told())[1]) == {"llama": 2048}
    assert windows(discovered(LIST, Told(windows={"llama": 512, "org--gpt": 1024}))[1]) == {
        "llama": 512,
        "org--gpt": 1024,
    }


def test_chosen_models_are_published_under_their_new_names() -> None:
    names, catalogue = discovered(LIST, Told({"chat-1": "llama"}))
    assert (names, windows(catalogue)) == ({"chat-1": "llama"}, {"chat-1": 2048})
    assert catalogue.find("llama") is None


def test_llama_cpp_tells_the_window_beside() -> None:
    answer = json_answer(b'{"data": [{"id": "m.gguf", "meta": {"n_ctx_train": 131072}, "created": "now"}]}')
    assert windows(discovered(answer, Told())[1]) == {"m.gguf": 131072}


def test_a_server_without_a_list_serves_the_models_that_were_named() -> None:
    named = Told({"chat-1": "llama"}, {EVERY: 512})
    assert windows(discovered(refusal(404), named)[1]) == {"chat-1": 512}


def test_a_price_is_the_operators_or_none() -> None:
    _, catalogue = discovered(LIST)
    assert (catalogue.priced, catalogue.default.cost(5, 5)) == (False, 0)
    prices = {EVERY: Price(Decimal("0.15"), Decimal("0.60")), "llama": Price(Decimal(0), Decimal(0))}
    _, catalogue = discovered(LIST, Told(windows={EVERY: 4096}, prices=prices))
    assert [m.price_version for m in catalogue.models] == ["operator-0-0", "operator-0.15-0.60"]
    assert catalogue.priced
    assert catalogue.models[1].cost(1_000_000, 0) == Decimal("0.15")


@pytest.mark.parametrize(
    ("answer", "told", "says"),
    [
        (LIST, Told({"a": "lama"}), "has no model 'lama'; it lists llama, org/gpt"),
        (refusal(404), EVERYWHERE, "name one with --upstream-model"),
        (refusal(401), EVERYWHERE, "wants a key"),
        (refusal(500), EVERYWHERE, "answers 500"),
        (json_answer(b"[]"), EVERYWHERE, "does the URL end in /v1"),
        (json_answer(b"<html>"), EVERYWHERE, "does the URL end in /v1"),
        (json_answer(b"[" * 100_000), EVERYWHERE, "does the URL end in /v1"),
        (json_answer(b'{"data": [7]}'), EVERYWHERE, "does the URL end in /v1"),
        (b"junk\r\n\r\n", EVERYWHERE, "cannot reach"),
        (json_answer(b'{"data": [{"id": "m"}]}'), Told(), "--upstream-context-window m=TOKENS"),
        (LIST, Told({"a": "org/gpt"}), "--upstream-context-window a=TOKENS"),
        (LIST, Told(windows={"x": 1}), "'x' is no published model"),
    ],
)
def test_an_unusable_upstream_is_one_clear_line(answer: bytes, told: Told, says: str) -> None:
    with pytest.raises(UpstreamUnusableError, match=says) as problem:
        discovered(answer, told)
    assert "\n" not in str(problem.value)


def test_a_refused_key_is_not_repeated() -> None:
    with pytest.raises(UpstreamUnusableError, match="refused the key") as problem:
        discovered(refusal(401), EVERYWHERE, "sk-secret")
    assert "sk-secret" not in str(problem.value)


class _StoppedError(Exception):
    pass


def made(*arguments: str, **environment: str) -> UpstreamEngine | None:
    parser = argparse.ArgumentParser()
    add_upstream_options(parser)

    def stop(message: str) -> NoReturn:
        raise _StoppedError(message)

    return upstream_of(parser.parse_args(arguments), environment, stop)


def test_the_options_make_an_engine() -> None:
    async def ask() -> Any:
        async with scripted(Script(LIST)) as url:
            options = ("--upstream", f"{url}/", "--upstream-model", "chat=llama", "--upstream-tools")
            return await asyncio.to_thread(made, *options, "--upstream-price", "chat=1,2.5")

    engine = asyncio.run(ask())
    assert engine.catalogue.default.output_price == Decimal("2.5")
    assert (engine.exact, engine.planner is None) == (False, False)
    assert made() is None


URL = ("--upstream", "http://127.0.0.1:9/v1")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--upstream", "127.0.0.1/v1"), "is a URL such as"),
        (("--upstream", "http://[::1/v1"), "is a URL such as"),
        (("--upstream", "ftp://host/v1"), "is a URL such as"),
        (("--upstream", "http://user:secret@host/v1"), "holds a credential"),
        (("--upstream-model", "a"), "needs --upstream URL"),
        (("--upstream-tools",), "--upstream-tools needs --upstream URL"),
        ((*URL, "--upstream-key-env", "NOT_SET"), "NOT_SET, which --upstream-key-env names, is not set"),
        ((*URL, "--upstream-key-env", "TWO_LINES"), "holds no key"),
        ((*URL, "--upstream-model", "a/b=c"), "no slash"),
        ((*URL, "--upstream-model", "a", "--upstream-model", "a=b"), "twice"),
        ((*URL, "--upstream-context-window", "many"), "not of its form"),
        ((*URL, "--upstream-context-window", "m=0"), "not of its form"),
        ((*URL, "--upstream-price", "1"), "not of its form"),
        ((*URL, "--upstream-price", "1,-2"), "not of its form"),
        ((*URL, "--upstream-price", "NaN,1"), "not of its form"),
        ((*URL, "--upstream-silence-s", "nan"), "--upstream-silence-s is a number"),
    ],
)
def test_options_that_cannot_be_are_one_clear_line(arguments: tuple[str, ...], says: str) -> None:
    with pytest.raises(_StoppedError, match=says) as stopped:
        made(*arguments, TWO_LINES="sk\nx")
    assert "secret" not in str(stopped.value)
