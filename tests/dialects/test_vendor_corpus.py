"""The corpus of transcripts is complete: every fact, event and error code of a vendor's dialect is shown by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from error_files import error_cases
from transcript_files import FOLDER, spoken, transcript

from conformance.dialects.facts import ERROR_FACTS
from conformance.dialects.model import Dialect, builtin_dialects
from conformance.dialects.rules import Rule
from conformance.dialects.yaml_file import read_yaml
from conformance.reading import Reading

VENDORS = [name for name in builtin_dialects() if name not in ("contract", "openai-facade")]
SHIPPED = Path(__file__).parents[2] / "conformance" / "dialects"


def of_dialect(name: str) -> Iterator[Reading]:
    for path in sorted(FOLDER.glob("*.http")):
        reading = transcript(path.stem)
        if reading.dialect.name == name:
            yield reading


def base_of(name: str) -> str | None:
    found = read_yaml(SHIPPED / f"{name}.yaml").get("extends")
    return found if isinstance(found, str) else None


def uncovered(name: str) -> set[str]:
    """Facts with a rule that no transcript shows; what is as in the base dialect is the base's to show."""
    dialect = spoken(name)
    rules = tables(dialect)
    seen: set[str] = set()
    for reading in of_dialect(name):
        seen |= {f"answer {n}" for n, f in reading.facts.items() if f}
        streamed = reading.stream if reading.exchange.is_sse else None
        errors = [e for _, e in streamed.errors] if streamed else []
        if reading.status and reading.status >= 400:
            errors.append(reading.error)
        seen |= {
            f"error {n}"
            for e in errors
            for n in ERROR_FACTS
            if n != "details" and getattr(e, "raw_code" if n == "code" else n)
        }
        seen |= {"error details" for e in errors if e.details}
        if streamed:
            for event in reading.exchange.sse.events:
                found = {
                    n
                    for n, r in dialect.stream.facts.items()
                    if r.read(event.json, reading.exchange, event.event)
                }
                seen |= {f"stream {n}" for n in found}
    missing = {n for n, rule in rules.items() if rule.unsupported is None} - seen
    base = base_of(name)
    if base:
        same = tables(spoken(base))
        missing = {n for n in missing if rules[n] != same[n] or n in uncovered(base)}
    return missing


def tables(dialect: Dialect) -> Mapping[str, Rule]:
    return {
        **{f"answer {n}": r for n, r in {**dialect.answer, **dialect.headers}.items()},
        **{f"error {n}": r for n, r in dialect.error.facts.items()},
        **{f"stream {n}": r for n, r in dialect.stream.facts.items()},
    }


@pytest.mark.parametrize("name", VENDORS)
def test_every_fact_of_a_dialect_is_shown_by_a_transcript(name: str) -> None:
    assert uncovered(name) == set()


@pytest.mark.parametrize("name", VENDORS)
def test_every_event_of_a_dialect_is_shown_by_a_transcript(name: str) -> None:
    stream = spoken(name).stream
    base = base_of(name)
    if base and spoken(base).stream == stream:
        return
    named = {
        *stream.known,
        *stream.ignore,
        *stream.terminal.events,
        *(stream.error.events if stream.error else ()),
    }
    if base:
        of_base = spoken(base).stream
        named -= {
            *of_base.known,
            *of_base.ignore,
            *of_base.terminal.events,
            *(of_base.error.events if of_base.error else ()),
        }
    seen = {e.event for r in of_dialect(name) if r.exchange.is_sse for e in r.exchange.sse.events}
    assert named <= seen | ({"error"} if name.startswith("openai-chat") else set())
    assert any(r.stream.terminals for r in of_dialect(name) if r.exchange.is_sse)


@pytest.mark.parametrize("name", VENDORS)
def test_every_code_of_a_dialect_is_shown_by_an_error(name: str) -> None:
    dialect = spoken(name)
    base = base_of(name)
    if base and spoken(base).error.classify == dialect.error.classify:
        return
    seen = {code for _, _, _, code, _ in error_cases(name)} | {r.error.code for r in of_dialect(name)}
    assert {rule.code for rule in dialect.error.classify} <= seen
