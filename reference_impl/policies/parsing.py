"""JSON as RFC 8259 means it: UTF-8, no duplicate names, no NaN, no lone surrogates, positions in errors."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn, Protocol

from reference_impl.policies.errors import ContractError

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_LEXEME = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)


class BodyParser(Protocol):
    """Turns the bytes of a request body into JSON values."""

    def parse(self, body: bytes) -> Any:
        """The value, or a `ContractError` INVALID_JSON."""
        ...


class StrictJson:
    """Refuses everything that two JSON parsers could understand differently."""

    def parse(self, body: bytes) -> Any:
        """The value. The error's `details` are `offset` (characters), `line` and `column`."""
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError as problem:
            valid = body[: problem.start].decode("utf-8")
            raise _invalid("It is not UTF-8.", valid, len(valid)) from None
        try:
            value = _DECODER.decode(text)
            if "\\u" in text and _SURROGATE_ESCAPE.search(text):
                # Escaped pairs are one character by now; what is left of the surrogate range stands alone.
                json.dumps(value, ensure_ascii=False).encode("utf-8")
        except json.JSONDecodeError as problem:
            raise _invalid(f"{problem.msg}.", text, problem.pos) from None
        except RecursionError:
            raise _invalid("It is nested too deeply.", text, 0) from None
        except ValueError:
            # The parser does not tell where these faults are; this second look is for the unlucky only.
            fault, offset = next(_faults(text))
            raise _invalid(fault, text, offset) from None
        return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("duplicate name")
    return result


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("too large")
    return number


def _refuse(_constant: str) -> NoReturn:
    raise ValueError("not a JSON value")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse)


def _faults(text: str) -> Iterator[tuple[str, int]]:
    """What is wrong with a text that is JSON in form, and the offset of each fault."""
    names: list[set[str]] = []
    previous = ""
    for match in _LEXEME.finditer(text):
        lexeme, offset = match[0], match.start()
        if lexeme == "{":
            names.append(set())
        elif lexeme == "[":
            names.append(_ARRAY)
        elif lexeme in "]}":
            names.pop()
        elif lexeme.startswith('"'):
            string = json.loads(lexeme)
            if any("\ud800" <= character <= "\udfff" for character in string):
                yield "A string has half of a surrogate pair.", offset
            if previous in ("{", ",") and names and names[-1] is not _ARRAY:
                if string in names[-1]:
                    yield "An object has the same name twice.", offset
                names[-1].add(string)
        elif lexeme in ("NaN", "Infinity", "-Infinity"):
            yield "NaN and Infinity are not JSON.", offset
        elif lexeme not in ("true", "false", "null", ",", ":") and _too_large(lexeme):
            yield "A number is too large.", offset
        previous = lexeme


_ARRAY: set[str] = set()


def _too_large(number: str) -> bool:
    # Python refuses integers with very many digits; as a float they are infinite.
    return math.isinf(float(number))


def _invalid(message: str, text: str, offset: int) -> ContractError:
    line_start = text.rfind("\n", 0, offset) + 1
    position = {"offset": offset, "line": text.count("\n", 0, offset) + 1, "column": offset - line_start + 1}
    return ContractError("INVALID_JSON", f"The body is not valid JSON: {message}", details=position)
