"""The table of error codes."""

from __future__ import annotations

import re

import pytest
import yaml

from spec.assembly import METHODS
from spec.document import load_document
from spec.errors import ERRORS, ErrorEntry

DOCUMENT = load_document()
SCHEMAS = DOCUMENT["components"]["schemas"]


def test_the_description_lists_the_codes_of_the_table() -> None:
    assert SCHEMAS["ErrorCode"]["enum"] == list(ERRORS)
    assert all(re.fullmatch(SCHEMAS["ErrorCode"]["pattern"], code) for code in ERRORS)


@pytest.mark.parametrize("entry", ERRORS.values(), ids=ERRORS.keys())
def test_every_code_is_explained(entry: ErrorEntry) -> None:
    assert 400 <= entry.status < 600
    assert entry.type in SCHEMAS["ErrorType"]["enum"]
    for sentence in (entry.meaning, entry.what_to_do):
        assert re.fullmatch(r"[A-Z].*\.", sentence)


def test_waiting_helps_exactly_where_it_is_said_to() -> None:
    assert {code for code, entry in ERRORS.items() if entry.retryable} == {
        "IDEMPOTENCY_IN_PROGRESS",
        "SESSION_BUSY",
        "RATE_LIMITED",
        "TOKEN_LIMIT_EXCEEDED",
        "BUDGET_EXCEEDED",
        "UPSTREAM_ERROR",
        "MODEL_OVERLOADED",
        "SERVICE_UNAVAILABLE",
        "MODEL_TIMEOUT",
    }


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("CONTEXT_LENGTH_EXCEEDED", 400),
        ("CONTENT_FILTER_TRIGGERED", 400),
        ("MODEL_TIMEOUT", 504),
        ("INSUFFICIENT_CONFIDENCE", 422),
        ("TOOL_EXECUTION_FAILED", 424),
    ],
)
def test_the_five_codes_of_the_contract_have_the_status_that_no_client_misreads(
    code: str, status: int
) -> None:
    assert ERRORS[code].status == status


def test_a_code_that_no_group_and_no_table_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from spec import assembly

    def with_a_typo(folder: str) -> dict[str, object]:
        merged = genuine(folder)
        if folder == "paths":
            merged["/health"]["get"]["x-errors"] = ["anybody", "INTERNL"]
        return merged

    genuine = assembly._merged
    monkeypatch.setattr(assembly, "_merged", with_a_typo)
    with pytest.raises(ValueError, match=r"x-errors: \['INTERNL'\] are neither groups nor codes"):
        assembly.assemble()


def test_every_group_of_errors_is_used_by_an_operation() -> None:
    from importlib.resources import files

    groups = yaml.safe_load(files("spec").joinpath("responses/errors.yaml").read_text("utf-8"))["groups"]
    named: set[str] = set()
    for part in files("spec").joinpath("paths").iterdir():
        for item in yaml.safe_load(part.read_text("utf-8")).values():
            named |= {name for method in METHODS if method in item for name in item[method]["x-errors"]}
    assert groups.keys() <= named
