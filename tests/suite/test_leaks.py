"""A credential in an answer is a leak, unless the request had the same text where no credential belongs."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.evidence import Chunk, Exchange, Sent
from conformance.gather import leaking

KEY = "sk-demo-key"
BEARER = ("Authorization", f"Bearer {KEY}")


def exchange(*, sent: tuple[tuple[str, str], ...] = (BEARER,), body: bytes = b"", **answer: Any) -> Exchange:
    asked = Sent("POST", "http://127.0.0.1/v1/chat", sent, body)
    return Exchange("x0001", "auth", "main", "chat", "main", {}, asked, 0.0, status=200, **answer)


ECHO_BODY = {"chunks": (Chunk(0.1, f'{{"message": "no {KEY}"}}'.encode()),)}
ECHO_HEADER = {"headers": (("X-Echo", KEY),)}


@pytest.mark.parametrize("answer", [ECHO_BODY, ECHO_HEADER])
def test_a_repeated_credential_is_a_leak(answer: dict[str, Any]) -> None:
    assert leaking([exchange(**answer)], [KEY], []) == ["x0001"]


@pytest.mark.parametrize("answer", [ECHO_BODY, ECHO_HEADER])
def test_what_the_request_also_said_openly_is_none(answer: dict[str, Any]) -> None:
    elsewhere = exchange(sent=(BEARER, ("X-Client-Request-Id", KEY)), **answer)
    in_body = exchange(body=f'{{"user": "{KEY}"}}'.encode(), **answer)
    assert leaking([elsewhere, in_body], [KEY], []) == []


def test_another_header_for_the_credential_is_no_excuse() -> None:
    assert leaking([exchange(sent=(("x-api-key", KEY),), **ECHO_BODY)], [KEY], []) == ["x0001"]
