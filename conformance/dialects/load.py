"""From YAML to a compiled dialect, with errors that say where and what."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path as FilePath
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from conformance.dialects.facts import ANSWER_FACTS, ERROR_FACTS, HEADER_FACTS, STREAM_FACTS
from conformance.dialects.model import (
    Auth,
    Classification,
    Dialect,
    DialectError,
    ErrorRules,
    Offer,
    Operation,
    StreamError,
    StreamRules,
    Terminal,
)
from conformance.dialects.paths import Path, compile_path
from conformance.dialects.rules import NO_RULE, Rule, compile_rule


@cache
def _validator() -> Draft202012Validator:
    text = files("conformance.dialects").joinpath("dialect.schema.json").read_text("utf-8")
    return Draft202012Validator(json.loads(text))


@cache
def read_dialect(path: FilePath) -> Dialect:
    """Read, validate and compile one file.

    Raises:
        DialectError: unreadable, not YAML, against the schema, or a path or pattern that does not compile.
    """
    try:
        raw = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise DialectError(f"cannot read {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DialectError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    found = best_match(_validator().iter_errors(raw))
    if found is not None:
        pointer = "/" + "/".join(str(p) for p in found.absolute_path)
        raise DialectError(f"{path}: {pointer}: {' '.join(found.message.split())[:200]}")
    try:
        return _dialect(raw)
    except (ValueError, re.error) as error:
        raise DialectError(f"{path}: {error}") from None


def _dialect(raw: Mapping[str, Any]) -> Dialect:
    error_rules = _error_rules(raw["error"])
    return Dialect(
        name=raw["dialect"],
        version=raw["version"],
        title=raw["title"],
        written_for=raw["written_for"],
        auth=Auth(**raw["auth"]),
        capabilities={k: _offer(v) for k, v in raw["capabilities"].items()},
        operations={k: Operation(**v) for k, v in raw["operations"].items()},
        answer=_rules(raw["answer"], ANSWER_FACTS),
        headers=_rules(raw["headers"], HEADER_FACTS),
        error=error_rules,
        stream=_stream(raw["stream"], error_rules),
        provocations=raw.get("provocations", {}),
    )


def _offer(value: str | Mapping[str, str]) -> Offer:
    return Offer(**value) if isinstance(value, Mapping) else Offer(value)  # type: ignore[arg-type]


def _rules(raw: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Rule]:
    compiled: dict[str, Rule] = {}
    for name in names:
        try:
            compiled[name] = compile_rule(raw[name]) if name in raw else NO_RULE
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return compiled


def _error_rules(raw: Mapping[str, Any]) -> ErrorRules:
    return ErrorRules(_rules(raw, ERROR_FACTS), tuple(_classification(c) for c in raw.get("classify", ())))


def _classification(raw: Mapping[str, Any]) -> Classification:
    return Classification(
        code=raw["code"],
        statuses=frozenset(raw.get("status", ())),
        raw_codes=frozenset(raw.get("raw_code", ())),
        types=frozenset(raw.get("type", ())),
        when=_path(raw.get("when")),
        match=re.compile(raw["match"]) if "match" in raw else None,
        details=tuple((name, compile_path(path)) for name, path in raw.get("details", {}).items()),
    )


def _stream(raw: Mapping[str, Any], error_rules: ErrorRules) -> StreamRules:
    facts = _rules(raw["facts"], STREAM_FACTS)
    terminal = raw["terminal"]
    return StreamRules(
        facts=facts,
        terminal=Terminal(terminal.get("data"), terminal.get("event"), _path(terminal.get("eof_after"))),
        sentinels=frozenset(raw.get("sentinels", ())),
        ignore=frozenset(raw.get("ignore", ())),
        known=frozenset(raw.get("known", ())),
        error=_stream_error(raw["error"], error_rules) if "error" in raw else None,
        unsupported=frozenset(name for name, rule in facts.items() if rule.unsupported is not None),
    )


def _stream_error(raw: Mapping[str, Any], error_rules: ErrorRules) -> StreamError:
    """An error event is read like an error answer, unless the stream has fields of its own for it."""
    own = {k: v for k, v in raw.items() if k in ERROR_FACTS}
    rules = ErrorRules(_rules(own, ERROR_FACTS), error_rules.classify) if own else error_rules
    status = compile_rule(raw["status"]) if "status" in raw else None
    return StreamError(rules, _path(raw.get("when")), frozenset(raw.get("events", ())), status)


def _path(text: str | None) -> Path | None:
    return compile_path(text) if text is not None else None


def lint(dialect: Dialect) -> list[str]:
    """Every fact that the dialect neither finds nor declares unsupported, one line each."""
    tables = {"answer": dialect.answer, "headers": dialect.headers, "error": dialect.error.facts, "stream": dialect.stream.facts}
    return [
        f"{table}: {name} has no rule; write one, or 'unsupported: reason'"
        for table, rules in tables.items()
        for name, rule in rules.items()
        if rule is NO_RULE
    ]
