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
    """The most telling error as ``POINTER: what is wrong``, or None if the document is valid."""
    found = best_match(_validator().iter_errors(document))
    return None if found is None else f"{pointer(found.absolute_path) or '/'}: {_say(found)}"


def _say(error: ValidationError) -> str:
    schema: dict[str, Any] = error.schema if isinstance(error.schema, dict) else {}
    match error.validator:
        case "additionalProperties" | "unevaluatedProperties":
            known = sorted(schema.get("properties", {}))
            hint = f"; known here: {', '.join(known)}" if known else ""
            return f"unknown key {_unknown_keys(error, known)}{hint}{_description(schema, '; this is ')}"
        case "required":
            return f"the key '{_missing(error)}' is missing"
        case "enum":
            return f"{_shown(error.instance)} is not one of {', '.join(map(str, error.validator_value))}"
        case "dependentRequired":
            return error.message.replace("is a dependency of", "is needed by")
        case "type":
            return f"{_shown(error.instance)} must be of type {_or(error.validator_value)}" + _description(
                schema, ": this is "
            )
        case _:
            described = _description(schema, "")
            return f"{_shown(error.instance)} is not {described}" if described else _one_line(error.message)


def _unknown_keys(error: ValidationError, known: list[str]) -> str:
    extra = [k for k in error.instance if k not in known] if known else []
    return ", ".join(f"'{k}'" for k in extra) if extra else _one_line(error.message)


def _missing(error: ValidationError) -> str:
    return next(k for k in error.validator_value if k not in error.instance)


def _description(schema: dict[str, Any], before: str) -> str:
    return before + str(schema["description"]) if "description" in schema else ""


def _or(types: Any) -> str:
    return " or ".join(types) if isinstance(types, list) else str(types)


def _shown(value: Any) -> str:
    return _one_line(json.dumps(value, ensure_ascii=False, default=str))


def _one_line(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 80 else flat[:79] + "…"
