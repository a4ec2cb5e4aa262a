"""Validate a dialect's document against ``dialect.schema.json``, and say in one line what is wrong."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from conformance.dialects.paths import pointer


@cache
def dialect_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a dialect file, for editors and for :func:`first_problem`."""
    text = files("conformance.dialects").joinpath("dialect.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(dialect_schema())


def first_problem(document: Any) -> str | None:
    """The most telling error as ``POINTER: what is wrong``, or None if the document is valid.

    A misspelt key comes first: it explains whatever else is wrong.
    """
    return problem_in(document, _validator())


def problem_in(document: Any, validator: Draft202012Validator) -> str | None:
    """As :func:`first_problem`, for a document of another kind."""
    errors = list(validator.iter_errors(document))
    if not errors:
        return None
    unknown = (error for error in errors if error.validator == "additionalProperties")
    found = next(unknown, None) or best_match(errors)
    return f"{pointer(found.absolute_path) or 'top level'}: {_say(found)}"


def _say(error: ValidationError) -> str:
    schema: dict[str, Any] = error.schema if isinstance(error.schema, dict) else {}
    wanted: Any = error.validator_value
    given: Any = error.instance
    described = str(schema.get("description", ""))
    match error.validator:
        case "additionalProperties":
            known = list(schema.get("properties", {}))
            extra = ", ".join(f"'{key}'" for key in given if key not in known)
            return f"unknown key {extra}; known here: {', '.join(known)}"
        case "required":
            return f"the key '{next(key for key in wanted if key not in given)}' is missing"
        case "enum":
            return f"{_shown(given)} is not one of {', '.join(map(str, wanted))}"
        case "dependentRequired":
            lone = next(key for key, needed in wanted.items() if key in given and needed[0] not in given)
            return f"'{lone}' needs '{wanted[lone][0]}' beside it"
        case "type" if not described:
            return (
                f"{_shown(given)} is not of type {wanted if isinstance(wanted, str) else ' or '.join(wanted)}"
            )
        case _:
            return f"{_shown(given)} is not {described or _one_line(error.message)}"


def _shown(value: Any) -> str:
    return _one_line(json.dumps(value, ensure_ascii=False, default=str))


def _one_line(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 80 else flat[:79] + "…"
