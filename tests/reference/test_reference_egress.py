"""The way out of the server: checked addresses only, and what follows from an answer."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from typing import Any

import pytest
from inbox import LOCAL, Inbox

from reference_impl.policies import default_policies
from reference_impl.policies.callbacks import Next, StandardWebhooks, retry_after
from reference_impl.policies.egress import CheckedEgress, UnreachableError
from reference_impl.policies.errors import ContractError
from reference_impl.settings import Settings


def _answering(*rounds: Sequence[str]) -> Any:
    """A resolver that gives other addresses each time it is asked."""
    given = iter(rounds)

    async def resolve(_host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in next(given)]

    return resolve


async def _with_resolver(resolver: Any, work: Any) -> Any:
    loop = asyncio.get_running_loop()
    loop.getaddrinfo = resolver  # type: ignore[method-assign]
    return await work()


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    egress = CheckedEgress(())
    resolver = _answering(["93.184.215.14", "10.0.0.1"])
    with pytest.raises(ContractError):
        asyncio.run(_with_resolver(resolver, lambda: egress.check("https://app.example/")))


def test_a_name_that_later_resolves_inside_is_not_called(inbox: Inbox) -> None:
    """DNS rebinding: public when it is registered, loopback when it is called."""
    egress, port = CheckedEgress(()), inbox.url.rpartition(":")[2]

    async def scenario() -> None:
        url = f"https://app.example:{port}/"
        await egress.check(url)
        with pytest.raises(UnreachableError):
            await egress.post(url, {}, b"{}", 2)

    asyncio.run(_with_resolver(_answering(["93.184.215.14"], ["127.0.0.1"]), scenario))
    assert inbox.received == []


def test_the_connection_goes_to_the_address_that_was_checked(inbox: Inbox) -> None:
    """Resolved once: the second answer, which would lead elsewhere, is never asked for."""
    egress, port = CheckedEgress(LOCAL), inbox.url.rpartition(":")[2]
    resolver = _answering(["127.0.0.1"])

    async def scenario() -> int:
        return (await egress.post(f"http://app.example:{port}/x", {}, b"{}", 2)).status

    assert asyncio.run(_with_resolver(resolver, scenario)) == 200
    assert inbox.received[0][1]["host"] == f"app.example:{port}"


def test_a_receiver_that_never_answers_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        started = time.monotonic()
        with pytest.raises(UnreachableError):
            asyncio.run(CheckedEgress(LOCAL).post(url, {}, b"{}", 0.3))
        assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("attempts", "status", "asked", "expected"),
    [
        (1, 200, None, Next("delivered")),
        (1, 204, None, Next("delivered")),
        (1, 301, None, Next("retry", 1)),
        (1, None, None, Next("retry", 1)),
        (2, 503, None, Next("retry", 3)),
        (2, 503, 20.0, Next("retry", 20)),
        (2, 429, 1.0, Next("retry", 3)),
        (1, 503, 1e9, Next("retry", 86_400)),
        (1, 410, None, Next("disable")),
        (3, 500, None, Next("abandon")),
    ],
)
def test_what_follows_an_attempt(
    attempts: int, status: int | None, asked: float | None, expected: Next
) -> None:
    assert StandardWebhooks((1, 3)).after(attempts, status, asked) == expected


@pytest.mark.parametrize(
    ("value", "seconds"), [("5", 5.0), ("", None), ("-1", None), ("soon", None), ("9" * 9, None), ("²", None)]
)
def test_retry_after_of_a_receiver_is_read_carefully(value: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": value}) == seconds


def test_the_default_policies_send_nothing_inside() -> None:
    egress = default_policies(Settings()).egress
    with pytest.raises(ContractError):
        asyncio.run(egress.check("http://127.0.0.1/"))
