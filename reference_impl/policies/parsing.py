"""JSON as RFC 8259 means it: UTF-8, no duplicate names, no NaN, no lone surrogates, positions in errors."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn, Protocol

from reference_impl.policies.errors import ContractError

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
# Strings are skipped whole, so that a constant inside one is not taken for a value.
_CONSTANT = re.compile(r'"(?:[^"\\]|\\.)*"|(NaN|-?Infinity)', re.DOTALL)


class BodyParser(Protocol):
    """Turns the bytes of a request body into JSON values."""

    def parse(self, body: bytes) -> Any:
        """The value, or a `ContractError` INVALID_JSON."""
        ...


class StrictJson:
    """Refuses everything that two JSON parsers could understand differently."""

    def parse(self, body: bytes) -> Any:
        """The value. `details` of the error hold `offset` (characters), `line` and `column` where known."""
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError as problem:
            before = body[: problem.start]
            raise _invalid("The body is not UTF-8.", _position(before.decode("utf-8"), None)) from None
        try:
            value = json.loads(
                text, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_ConstantError.refuse
            )
        except json.JSONDecodeError as problem:
            raise _invalid(f"{problem.msg}.", _position(text, problem.pos)) from None
        except _ConstantError:
            found = next(match for match in _CONSTANT.finditer(text) if match[1])
            message = "NaN and Infinity are not JSON."
            raise _invalid(message, _position(text, found.start())) from None
        except RecursionError:
            raise _invalid("The body is nested too deeply.", {}) from None
        except ValueError as problem:
            raise _invalid(_reason(problem), {}) from None
        if _SURROGATE_ESCAPE.search(text):
            _refuse_lone_surrogates(value)
        return value


class _ConstantError(ValueError):
    @staticmethod
    def refuse(_name: str) -> NoReturn:
        raise _ConstantError


class _RefusedError(ValueError):
    """A value this policy refuses; the message is fit for the caller."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _RefusedError("An object has the same name twice.")
    return result


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _RefusedError("A number is too large.")
    return number


def _refuse_lone_surrogates(value: Any) -> None:
    # A pair of escapes has become one character by now; what is left in the surrogate range stands alone.
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise _invalid("A string has half of a surrogate pair.", {}) from None


def _reason(problem: ValueError) -> str:
    return str(problem) if isinstance(problem, _RefusedError) else "A number has too many digits."


def _position(text: str, offset: int | None) -> dict[str, int]:
    at = len(text) if offset is None else offset
    line_start = text.rfind("\n", 0, at) + 1
    return {"offset": at, "line": text.count("\n", 0, at) + 1, "column": at - line_start + 1}


def _invalid(message: str, details: Mapping[str, int]) -> ContractError:
    return ContractError("INVALID_JSON", f"The body is not valid JSON: {message}", details=details)
