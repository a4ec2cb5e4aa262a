"""CON checks against the contract document, on recorded bytes."""

from __future__ import annotations

from typing import Any

import pytest
from building import answer

from conformance.checks import test_con_document as con
from conformance.reading import Reading
from conformance.verdict import NotTested, Violation

TARGET = {"base_url": "http://127.0.0.1:8000/api/v1"}
COMMON = {"X-Request-Id": "req_1", "API-Version": "2026-11-01", "Cache-Control": "no-store"}
HEALTH = {"status": "ok", "version": "1.0.0"}
ERROR = {
    "code": "NOT_ACCEPTABLE",
    "message": "words",
    "details": {},
    "type": "invalid_request_error",
    "param": None,
    "retryable": False,
    "request_id": "req_1",
    "docs_url": "https://api.example.com/api/v1/errors/NOT_ACCEPTABLE",
}


def health(body: Any = HEALTH, **more: Any) -> Reading:
    headers = {k: v for k, v in (COMMON | more.pop("extra", {})).items() if v is not None}
    given = {"method": "GET", "path": "/api/v1/health", "headers": headers, "operation": "health"}
    return answer(body, **(given | more))


def test_a_described_answer_passes_all_four() -> None:
    run = (
        health(),
        health({"error": ERROR}, status=406),
        answer({}, method="GET", path="/api/v1/aiconform-no-such-path", status=404),
        answer({}, method="DELETE", path="/api/v1/chat", status=405),
        answer(b"", method="HEAD", path="/api/v1/health"),
    )
    assert con.test_every_status_is_declared(run, TARGET) == "2 answers of 1 operations"
    assert con.test_every_body_matches_its_schema(run, TARGET) == "2 bodies match their schemas"
    con.test_every_media_type_is_declared(run, TARGET)
    con.test_every_required_header_is_there_and_valid(run, TARGET)


def test_con_01_catches_an_undeclared_status() -> None:
    with pytest.raises(Violation, match="418"):
        con.test_every_status_is_declared((health(), health(status=418)), TARGET)


def test_con_02_names_the_place_in_the_body() -> None:
    broken = {"error": ERROR | {"retryable": "no"}}
    with pytest.raises(Violation, match="/error/retryable"):
        con.test_every_body_matches_its_schema((health(broken, status=406),), TARGET)
    with pytest.raises(Violation):
        con.test_every_body_matches_its_schema((health(b"{", status=200),), TARGET)


def test_con_03_catches_an_undeclared_media_type() -> None:
    for content_type in ("text/html", "text/plain; charset=utf-8", None):
        with pytest.raises(Violation):
            con.test_every_media_type_is_declared((health(content_type=content_type),), TARGET)


@pytest.mark.parametrize(
    "wrong",
    [
        {"X-Request-Id": None},
        {"API-Version": "v1"},
        {"Cache-Control": "public"},
    ],
)
def test_con_04_catches_missing_and_malformed_headers(wrong: dict[str, str | None]) -> None:
    name = next(iter(wrong))
    with pytest.raises(Violation, match=name):
        con.test_every_required_header_is_there_and_valid((health(extra=wrong),), TARGET)


def test_con_04_catches_a_header_that_came_twice() -> None:
    twice = (*COMMON.items(), ("X-Request-Id", "req_2"))
    with pytest.raises(Violation, match="one X-Request-Id"):
        con.test_every_required_header_is_there_and_valid((health(headers=twice),), TARGET)


def test_nothing_described_is_not_tested() -> None:
    for check in (
        con.test_every_status_is_declared,
        con.test_every_body_matches_its_schema,
        con.test_every_media_type_is_declared,
        con.test_every_required_header_is_there_and_valid,
    ):
        for path in ("/elsewhere", "/api/v999/models", "/api/v1/../v999/models"):
            with pytest.raises(NotTested):
                check((answer({}, method="GET", path=path),), TARGET)
