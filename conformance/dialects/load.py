"""From a YAML file to a compiled dialect, with errors that say in one line where and what."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path as FilePath
from typing import Any, TypeVar

from conformance.budget import Price
from conformance.dialects.facts import (
    ANSWER_FACTS,
    ERROR_FACTS,
    HEADER_FACTS,
    MODEL_FACTS,
    STREAM_FACTS,
)
from conformance.dialects.model import (
    PARAMETERS,
    Auth,
    Classification,
    Dialect,
    DialectError,
    ErrorRules,
    Messages,
    ModelRules,
    Offer,
    Operation,
    Parameter,
    StreamError,
    StreamRules,
    Terminal,
    builtin_dialects,
)
from conformance.dialects.paths import Path, compile_path, pointer
from conformance.dialects.rules import NO_RULE, Rule, compile_rule
from conformance.dialects.schema import first_problem
from conformance.dialects.yaml_file import merge_patch, read_yaml

Compiled = TypeVar("Compiled")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
LISTED_MODELS: Mapping[str, Any] = {
    "each": "$.data[*]",
    "id": "$.id",
    "context_window": ["$.context_window", "$.context_length", "$.max_model_len", "$.max_context_length"],
}
"""Where OpenAI, vLLM and most others list their models: what a dialect without ``models`` means."""


@cache
def builtin_dialect(name: str) -> Dialect:
    """The shipped dialect of that name; it is read once."""
    return read_dialect(_builtin_path(name))


def read_dialect(path: FilePath) -> Dialect:
    """Read, validate and compile one file; a file that ``extends`` a built-in dialect is laid over it.

    Raises:
        DialectError: unreadable, not YAML, against the schema, a path or pattern that does not compile, or a
            placeholder that is no parameter.
    """
    try:
        raw = _extended(read_yaml(path))
        problem = first_problem(raw) or next(_unknown_placeholders(raw), None)
        if problem is not None:
            raise ValueError(problem)
        return _dialect(raw)
    except ValueError as error:
        raise DialectError(f"{path}: {error}") from None


def _extended(raw: Any) -> Any:
    """The document, laid over the built-in one that it names with ``extends`` (RFC 7396)."""
    if not isinstance(raw, dict) or "extends" not in raw:
        return raw
    name = raw["extends"]
    if name not in builtin_dialects():
        raise ValueError(
            f"/extends: there is no built-in dialect '{name}': choose {', '.join(builtin_dialects())}"
        )
    return merge_patch(
        _extended(read_yaml(_builtin_path(name))), {k: v for k, v in raw.items() if k != "extends"}
    )


def _builtin_path(name: str) -> FilePath:
    return FilePath(str(files("conformance.dialects") / f"{name}.yaml"))


def _unknown_placeholders(raw: Mapping[str, Any]) -> Iterator[str]:
    templates = {"operations": raw["operations"], "request_headers": raw.get("request_headers", {})}
    yield from _unknown_in(templates, (), PARAMETERS)
    item = raw.get("messages", {}).get("item", {})
    yield from _unknown_in(item, ("messages", "item"), ("role", "content"))


def _unknown_in(template: Any, at: tuple[str | int, ...], known: Sequence[str]) -> Iterator[str]:
    if isinstance(template, str):
        for name in _PLACEHOLDER.findall(template):
            if name not in known:
                yield f"{pointer(at)}: {{{name}}} is no parameter; known here: {', '.join(known)}"
    elif isinstance(template, dict):
        for key, value in template.items():
            yield from _unknown_in(value, (*at, key), known)
    elif isinstance(template, list):
        for index, value in enumerate(template):
            yield from _unknown_in(value, (*at, index), known)


# ---- compilation of a document that is valid against the schema


def _dialect(raw: Mapping[str, Any]) -> Dialect:
    error = _error_rules(raw["error"])
    return Dialect(
        name=raw["dialect"],
        version=raw["version"],
        title=raw["title"],
        written_for=raw["written_for"],
        auth=Auth(**raw["auth"]),
        messages=_messages(raw.get("messages", {})),
        request_headers=raw.get("request_headers", {}),
        capabilities={name: _offer(spec) for name, spec in raw["capabilities"].items()},
        operations={k: Operation(**v) for k, v in raw["operations"].items()},
        answer=_rules(raw["answer"], ANSWER_FACTS, "/answer"),
        headers=_rules(raw["headers"], HEADER_FACTS, "/headers"),
        error=error,
        stream=_stream(raw["stream"], error),
        provocations=raw.get("provocations", {}),
        models=_models({**LISTED_MODELS, **raw.get("models", {})}),
        parameters={name: Parameter(**spec) for name, spec in raw.get("parameters", {}).items()},
        price=Price(**raw["price"]) if "price" in raw else None,
        oauth=raw.get("oauth", {}),
    )


def _offer(spec: Any) -> Offer:
    return Offer(**spec) if isinstance(spec, dict) else Offer(spec)


def _messages(raw: Mapping[str, Any]) -> Messages:
    return Messages(raw.get("item"), raw.get("roles", {}), raw.get("system") == "apart")


def _models(raw: Mapping[str, Any]) -> ModelRules:
    each = _path(raw, "each", "/models")
    assert each is not None
    return ModelRules(each, _rules(raw, MODEL_FACTS, "/models"))


def _at(place: str, compile_: Callable[[Any], Compiled], spec: Any) -> Compiled:
    """Compile, and say where if that fails."""
    try:
        return compile_(spec)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    except re.error as error:
        raise ValueError(f"{place}: '{spec}' is not a regular expression: {error}") from None


def _rules(raw: Mapping[str, Any], names: Sequence[str], place: str) -> dict[str, Rule]:
    return {n: _at(f"{place}/{n}", compile_rule, raw[n]) if n in raw else NO_RULE for n in names}


def _path(raw: Mapping[str, Any], key: str, place: str) -> Path | None:
    return _at(f"{place}/{key}", compile_path, raw[key]) if key in raw else None


def _error_rules(raw: Mapping[str, Any]) -> ErrorRules:
    classify = raw.get("classify", ())
    rules = tuple(_classification(c, f"/error/classify/{i}") for i, c in enumerate(classify))
    return ErrorRules(_rules(raw, ERROR_FACTS, "/error"), rules)


def _classification(raw: Mapping[str, Any], place: str) -> Classification:
    details = raw.get("details", {})
    return Classification(
        code=raw["code"],
        statuses=frozenset(raw.get("status", ())),
        raw_codes=frozenset(raw.get("raw_code", ())),
        types=frozenset(raw.get("type", ())),
        when=_path(raw, "when", place),
        match=_at(f"{place}/match", re.compile, raw["match"]) if "match" in raw else None,
        details=tuple((n, _at(f"{place}/details/{n}", compile_path, p)) for n, p in details.items()),
    )


def _stream(raw: Mapping[str, Any], error: ErrorRules) -> StreamRules:
    facts = _rules(raw["facts"], STREAM_FACTS, "/stream/facts")
    terminal = raw["terminal"]
    return StreamRules(
        facts=facts,
        terminal=Terminal(
            data=terminal.get("data"),
            events=_names(terminal.get("event")),
            eof_after=_path(terminal, "eof_after", "/stream/terminal"),
        ),
        sentinels=frozenset(raw.get("sentinels", ())),
        ignore=frozenset(raw.get("ignore", ())),
        known=frozenset(raw.get("known", ())),
        error=_stream_error(raw["error"], error) if "error" in raw else None,
        unsupported=frozenset(name for name, rule in facts.items() if rule.unsupported is not None),
        name=_path(raw, "name", "/stream"),
    )


def _names(spec: str | Sequence[str] | None) -> tuple[str, ...]:
    return (spec,) if isinstance(spec, str) else tuple(spec or ())


def _stream_error(raw: Mapping[str, Any], answer: ErrorRules) -> StreamError:
    """An error event is read like an error answer, except for the fields that the stream places elsewhere."""
    place = "/stream/error"
    own = {n: _at(f"{place}/{n}", compile_rule, raw[n]) for n in ERROR_FACTS if n in raw}
    return StreamError(
        rules=ErrorRules({**answer.facts, **own}, answer.classify),
        when=_path(raw, "when", place),
        events=frozenset(raw.get("events", ())),
        status=_at(f"{place}/status", compile_rule, raw["status"]) if "status" in raw else None,
    )
