"""``aiconform dialect new|lint|try``: write a dialect of one's own, step by step."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from conformance.cli.stop import stop
from conformance.cli.trial import print_trial
from conformance.dialects import draft
from conformance.dialects.lint import lint as gaps
from conformance.dialects.model import Dialect, DialectError, load_dialect
from conformance.dialects.recorded import RecordingError, read_recording
from conformance.evidence import NOT_JSON
from conformance.reading import Reading
from conformance.vendor_document import DocumentError, read_document

app = typer.Typer(no_args_is_help=True, help="Write, lint and try a dialect of your own.")


@app.command()
def lint(
    dialect: Annotated[
        str, typer.Argument(metavar="FILE", help="A dialect's YAML file, or a built-in name.")
    ],
) -> None:
    """Name each fact that has no rule, each map that drops values, each capability without its operation.

    Example: aiconform dialect lint my-vendor.yaml
    """
    found = gaps(_load(dialect))
    for line in found:
        typer.echo(line)
    typer.echo(
        f"{len(found)} gaps" if found else "complete: every fact has a rule, or a reason why it has none"
    )
    raise typer.Exit(1 if found else 0)


@app.command("try")
def try_(
    dialect: Annotated[
        str, typer.Argument(metavar="FILE", help="A dialect's YAML file, or a built-in name.")
    ],
    transcript: Annotated[
        list[Path],
        typer.Option(metavar="FILE", help="A recorded answer, as `curl -i` prints it; repeatable."),
    ],
) -> None:
    """Show what a dialect finds in recorded answers; nothing is sent.

    Example: aiconform dialect try my-vendor.yaml --transcript answer.http --transcript stream.http
    """
    spoken = _load(dialect)
    try:
        readings = [(path, Reading(read_recording(path), spoken)) for path in transcript]
    except RecordingError as error:
        stop(str(error), 2)
    for path, reading in readings:
        print_trial(str(path), reading)


@app.command()
def new(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="The YAML file to write.")],
    title: Annotated[str, typer.Option(prompt="What is the API called", help="What people call the format.")],
    path: Annotated[str | None, typer.Option(metavar="PATH", help="Path of the chat operation.")] = None,
    openapi: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The vendor's OpenAPI document (YAML or JSON).")
    ] = None,
    request: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The JSON body of a recorded request.")
    ] = None,
    answer: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its answer, as `curl -i` prints it.")
    ] = None,
    stream: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A recorded stream, as `curl -i -N` prints it.")
    ] = None,
    error: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A recorded error answer, as `curl -i` prints it.")
    ] = None,
    auth: Annotated[
        str, typer.Option(metavar="HEADER", help="The header that carries the credential.")
    ] = "Authorization",
) -> None:
    """Draft a dialect from an OpenAPI document, or from one recorded exchange; then lint says what is left to do.

    Example: aiconform dialect new acme.yaml --title Acme --path /chat --request request.json --answer answer.http
    """
    if out.exists():
        stop(f"{out} exists already: choose another name", 2)
    if openapi is None and (request is None or answer is None):
        stop("give --openapi FILE, or --request FILE and --answer FILE of one recorded exchange", 2)
    try:
        raw = _drafted(title, path, openapi, request, answer, stream, error, auth)
        out.write_text(_yaml(raw), "utf-8")
        found = gaps(_load(str(out)))
    except (RecordingError, DialectError) as problem:
        stop(str(problem), 2)
    except OSError as problem:
        stop(f"{out} cannot be written: {problem.strerror}", 2)
    typer.echo(f"{out} is written. {len(found)} facts have no rule yet:")
    for line in found:
        typer.echo(f"  {line}")
    typer.echo(
        f"next: fill them in, then `aiconform dialect lint {out}` and `aiconform dialect try {out} --transcript …`"
    )


def _load(name: str) -> Dialect:
    try:
        return load_dialect(name)
    except DialectError as error:
        stop(str(error), 2)


def _drafted(
    title: str, path: str | None, openapi: Path | None, request: Path | None, answer: Path | None,
    stream: Path | None, error: Path | None, auth: str,
) -> dict[str, Any]:  # fmt: skip
    headers: dict[str, Any] = {"retry_after": {"header": "retry-after", "seconds": "number"}}
    facts: dict[str, Any] = {}
    body: Any = {}
    failed: Any = None
    if openapi is not None:
        path, body, example, failed = _operation(openapi, path)
        body = draft.request_body(body if isinstance(body, dict) else {}, ())
        facts = draft.answer_facts(example)
    if request is not None:
        body = _json(request)
    if answer is not None:
        recorded = read_recording(answer)
        facts = {**facts, **draft.answer_facts({} if recorded.json is NOT_JSON else recorded.json)}
        headers = draft.header_facts(recorded)
    if error is not None:
        failed = read_recording(error).json
    template = body if openapi and not request else draft.request_body(body if isinstance(body, dict) else {})
    events = read_recording(stream).sse.events if stream else ()
    operation = {
        "method": "POST",
        "path": path or "/chat",
        "headers": {"Accept": "application/json"},
        "body": template,
    }
    streamed = {**operation, "headers": {"Accept": "text/event-stream"}, "body": {**template, "stream": True}}
    return {
        "dialect": _slug(title), "version": "0.1.0", "title": title,
        "written_for": {"vendor": title, "api": f"POST {path or '/chat'}", "checked": f"{datetime.now(UTC):%Y-%m-%d}"},
        "auth": {"header": auth, "value": "Bearer {key}" if auth.lower() == "authorization" else "{key}"},
        "capabilities": {
            "core": "offered", "streaming": "offered" if events else "not_offered", "streaming.turns": "not_offered",
            "usage": "offered" if "usage.output" in facts else "not_offered", "rate_limits": "detected",
        },
        "operations": {"chat": operation, **({"chat_stream": streamed} if events else {})},
        "answer": facts, "headers": headers,
        "error": {**draft.error_facts(failed), "classify": draft.CLASSIFY},
        "stream": draft.stream_rules(events),
    }  # fmt: skip


def _operation(document_path: Path, path: str | None) -> tuple[str, Any, Any, Any]:
    """Path, sample of the request, of the answer and of an error of the chat operation of an OpenAPI document."""
    try:
        document = read_document(str(document_path))
    except DocumentError as error:
        stop(str(error), 2)
    paths = document["paths"]
    posts = [p for p, operations in paths.items() if isinstance(operations, dict) and "post" in operations]
    likely = [
        p for p in posts if any(word in p.lower() for word in ("chat", "messages", "generate", "responses"))
    ]
    chosen = path or (likely[0] if len(likely) == 1 else None)
    if chosen is None or chosen not in posts:
        stop(
            f"name the chat operation with --path: {document_path} has {', '.join((likely or posts)[:12])}", 2
        )
    operation = paths[chosen]["post"]
    answers = operation.get("responses", {})
    good: Any = next((answers[s] for s in ("200", "201", "default") if s in answers), {})
    bad = next((a for s, a in answers.items() if str(s).startswith("4")), None)
    sent = _sampled(operation.get("requestBody", {}), document)
    return chosen, sent, _sampled(good, document), _sampled(bad, document) if bad else None


def _sampled(part: Any, document: Any) -> Any:
    if isinstance(part, dict) and "$ref" in part:
        part = draft.resolve(part["$ref"], document)
    content = part.get("content", {}) if isinstance(part, dict) else {}
    media: Any = next((m for name, m in content.items() if "json" in name), {})
    if "example" in media:
        return media["example"]
    return draft.sample(media.get("schema"), document)


def _json(path: Path) -> Any:
    try:
        text = path.read_text("utf-8")
        return json.loads(text) if text.lstrip().startswith(("{", "[")) else yaml.safe_load(text)
    except OSError as error:
        stop(f"{path} cannot be read: {error.strerror}", 2)
    except (ValueError, yaml.YAMLError) as error:
        stop(f"{path} is neither JSON nor YAML: {' '.join(str(error).split())[:120]}", 2)


def _slug(title: str) -> str:
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in title.lower()).strip("-")
    return kept if kept[:1].isalpha() else f"vendor-{kept}".rstrip("-")


def _yaml(raw: dict[str, Any]) -> str:
    return yaml.safe_dump(raw, sort_keys=False, allow_unicode=True, width=118)
