"""What a dialect finds in one recorded answer, for a reader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from conformance.dialects.facts import ErrorFacts, Fact
from conformance.reading import Reading
from conformance.report.plain import visible


def print_trial(name: str, reading: Reading) -> None:
    """The facts of an answer, a stream or an error, one a line."""
    typer.echo(f"{name}: status {reading.status}")
    if reading.status is not None and reading.status >= 400:
        lines = list(_error(reading.error))
    elif reading.exchange.is_sse:
        lines = list(_stream(reading))
    else:
        lines = list(_facts(reading))
    for line in lines:
        typer.echo("  " + visible(line))


def _facts(reading: Reading) -> Iterator[str]:
    for name, fact in reading.facts.items():
        yield _line(name, fact)


def _error(error: ErrorFacts) -> Iterator[str]:
    yield f"{'contract code':26} {error.code or 'NONE: no rule of classify matches'}"
    for name in ("raw_code", "message", "type", "param", "request_id", "retryable", "docs_url"):
        yield _line(name.removeprefix("raw_"), getattr(error, name))
    if error.details:
        yield f"{'details':26} {dict(error.details)}"


def _stream(reading: Reading) -> Iterator[str]:
    stream, total = reading.stream, len(reading.exchange.sse.events)
    yield f"{'events':26} {total}, of which {len(stream.deltas)} with text, {len(stream.ignored)} without meaning"
    yield f"{'text':26} {_short(stream.text) if stream.text else 'NONE'}"
    yield f"{'finish_reason':26} {stream.finish_reason or 'NONE'}"
    yield f"{'usage':26} {dict(stream.usage) or 'NONE'}"
    yield f"{'response_id':26} {_first(stream.response_ids)}"
    yield f"{'model_version':26} {_first(stream.model_versions)}"
    ends = ", ".join(f"event {n + 1}" for n in stream.terminals)
    yield f"{'terminal':26} {ends or f'NONE: {stream.terminal_name} did not come'}"
    for index, why in stream.invalid:
        yield f"{'invalid':26} event {index + 1}: {why}"
    for index, error in stream.errors:
        yield f"{'error':26} event {index + 1}: {error.code or 'no rule of classify matches'}"


def _line(name: str, fact: Fact) -> str:
    if fact.state == "present":
        return f"{name:26} {_short(fact.value)}  ({fact.where})"
    return f"{name:26} {fact.state}: {fact.where}"


def _first(placed: Any) -> str:
    return _short(placed[0].value) if placed else "NONE"


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 90 else text[:89] + "…"
