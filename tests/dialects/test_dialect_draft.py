"""A drafted dialect reads what it was drafted from; the command that drafts, lints and tries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from transcript_files import FOLDER
from typer.testing import CliRunner

from conformance.cli import app
from conformance.dialects.draft import answer_facts, error_facts, path_text, request_body, sample
from conformance.dialects.model import load_dialect
from conformance.dialects.recorded import RecordingError, read_recording
from conformance.reading import Reading

REQUEST = {"model": "m", "max_tokens": 16, "messages": [{"role": "user", "content": "Hi"}], "top_k": 3}
DRAFTED = [
    ("anthropic-full", "anthropic-stream-full", "anthropic-too-long", "Red, green", "Red, green"),
    ("cohere-full", "cohere-stream-full", "cohere-unauthenticated", "Red, green", "Red, green"),
    ("openai-chat-full", "openai-stream", "llmock-context", "Red, green", "Red, green"),
    ("gemini-full", "llmock-gemini-stream", "llmock-gemini-context", "Colours.", None),
]


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["dialect", *arguments])
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("answer", "stream", "error", "text", "streamed"), DRAFTED, ids=[d[0] for d in DRAFTED]
)
def test_a_draft_reads_the_exchange_it_was_made_from(
    tmp_path: Path, answer: str, stream: str, error: str, text: str, streamed: str | None
) -> None:
    out, request = tmp_path / "mine.yaml", tmp_path / "request.json"
    request.write_text(json.dumps(REQUEST))
    files = [
        "--answer",
        f"{FOLDER}/{answer}.http",
        "--stream",
        f"{FOLDER}/{stream}.http",
        "--error",
        f"{FOLDER}/{error}.http",
    ]
    code, said = run(
        "new", str(out), "--title", "My vendor", "--path", "/talk", "--request", str(request), *files
    )
    assert code == 0, said
    dialect = load_dialect(str(out))
    assert dialect.name == "my-vendor"
    assert dialect.operations["chat"].path == "/talk"
    assert dialect.operations["chat"].body == {"model": "{model}", "max_tokens": "{max_output_tokens}", "messages": "{messages}", "top_k": 3}  # fmt: skip
    plain = Reading(read_recording(FOLDER / f"{answer}.http"), dialect).facts
    assert plain["text"].value == text
    assert plain["finish_reason"].value in ("stop", "length")
    found = Reading(read_recording(FOLDER / f"{stream}.http"), dialect).stream
    assert streamed is None or found.text == streamed
    assert len(found.terminals) == 1
    refused = Reading(read_recording(FOLDER / f"{error}.http"), dialect).error
    assert refused.code in ("INVALID_REQUEST", "UNAUTHENTICATED")
    assert refused.message


DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "paths": {
        "/v1/embed": {"post": {}},
        "/v1/chat": {
            "post": {
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Ask"}}}},
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Told"}}}},
                    "422": {"$ref": "#/components/responses/Bad"},
                },
            }
        },
    },
    "components": {
        "responses": {"Bad": {"content": {"application/json": {"example": {"error": {"type": "bad", "message": "no"}}}}}},
        "schemas": {
            "Ask": {"type": "object", "properties": {"model": {"type": "string"}, "messages": {"type": "array", "items": {}}, "maxTokens": {"type": "integer"}, "tools": {"type": "array"}}},
            "Told": {"allOf": [{"properties": {"id": {"type": "string"}, "answer": {"type": "string"}}}, {"properties": {"usage": {"type": "object", "properties": {"promptTokens": {"type": ["null", "integer"]}}}, "stop_reason": {"enum": ["END_TURN"]}}}]},
        },
    },
}  # fmt: skip


def test_a_draft_from_an_openapi_document(tmp_path: Path) -> None:
    document, out = tmp_path / "openapi.json", tmp_path / "mine.yaml"
    document.write_text(json.dumps(DOCUMENT))
    code, said = run("new", str(out), "--title", "7 Ω", "--openapi", str(document))
    assert code == 0, said
    dialect = load_dialect(str(out))
    assert dialect.name == "vendor-7"
    chat = dialect.operations["chat"]
    assert (chat.path, chat.body) == ("/v1/chat", {"model": "{model}", "messages": "{messages}", "maxTokens": "{max_output_tokens}"})  # fmt: skip
    body = {"id": "1", "answer": "Red", "usage": {"promptTokens": 4}, "stop_reason": "END_TURN"}
    path = tmp_path / "answer.json"
    path.write_text(json.dumps(body))
    facts = Reading(read_recording(path), dialect).facts
    assert [facts[n].value for n in ("text", "usage.input", "finish_reason", "response_id")] == [
        "Red",
        4,
        "stop",
        "1",
    ]
    assert dialect.error.facts["code"].sources[0].where == "/error/type"
    assert "/answer/trace_id: has no rule" in said


def test_a_status_that_yaml_reads_as_a_number_is_found(tmp_path: Path) -> None:
    document, out = tmp_path / "openapi.yaml", tmp_path / "mine.yaml"
    answers = {
        int(status): answer for status, answer in DOCUMENT["paths"]["/v1/chat"]["post"]["responses"].items()
    }
    chat = {"post": {**DOCUMENT["paths"]["/v1/chat"]["post"], "responses": answers}}
    document.write_text(yaml.safe_dump({**DOCUMENT, "paths": {"/v1/chat": chat}}))
    code, said = run("new", str(out), "--title", "X", "--openapi", str(document))
    assert code == 0, said
    assert load_dialect(str(out)).answer["text"].sources[0].where == "/answer"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["new", "x.yaml", "--title", "X"], "give --openapi FILE, or --request FILE and --answer FILE"),
        (["new", "x.yaml", "--title", "X", "--openapi", "gone.json"], "gone.json cannot be read"),
        (["new", "x.yaml", "--title", "X", "--request", "bad.json", "--answer", "bad.json"], "bad.json is neither JSON nor YAML"),
        (["new", "x.yaml", "--title", "X", "--openapi", "list.json"], "is no OpenAPI document"),
        (["new", "x.yaml", "--title", "X", "--openapi", "doc.json", "--path", "/nope"], "name the chat operation with --path"),
        (["new", "list.json", "--title", "X", "--openapi", "doc.json"], "exists already"),
        (["lint", "gone.yaml"], "cannot be read"),
        (["lint", "nope"], "there is no dialect 'nope'"),
        (["try", "openai-chat", "--transcript", "gone.http"], "gone.http cannot be read"),
        (["try", "openai-chat", "--transcript", "odd.http"], "is not a status line"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.json").write_text("{")
    Path("list.json").write_text("[]")
    Path("doc.json").write_text(json.dumps(DOCUMENT))
    Path("odd.http").write_text("HTTP/9 what\n\n")
    code, said = run(*arguments)
    assert (code, len(said.strip().splitlines())) == (2, 1), said
    assert says in said
    assert not Path("x.yaml").exists()


def test_lint_names_each_gap(tmp_path: Path) -> None:
    assert run("lint", "gemini") == (0, "complete: every fact has a rule, or a reason why it has none\n")
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: openai-chat\nanswer: {text: null}\n")
    code, said = run("lint", str(mine))
    assert (code, said.splitlines()[0]) == (
        1,
        "/answer/text: has no rule; write one, or 'unsupported: reason'",
    )


def test_try_shows_what_is_found() -> None:
    names = ("anthropic-full", "anthropic-stream-error", "anthropic-too-long", "llmock-trunc")
    files = [part for n in names for part in ("--transcript", f"{FOLDER}/{n}.http")]
    code, said = run("try", "anthropic-messages", *files)
    assert code == 0
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert "text Red, green (/content/1/text)" in lines
    assert "usage.total unsupported: the format has no total" in lines
    assert "error event 10: MODEL_OVERLOADED" in lines
    assert "terminal NONE: event message_stop did not come" in lines
    assert "contract code CONTEXT_LENGTH_EXCEEDED" in lines


def test_a_recording_of_curl_is_read(tmp_path: Path) -> None:
    path = tmp_path / "answer.http"
    path.write_bytes(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/2 429 \r\nretry-after: 3\r\ncontent-encoding: gzip\r\n\r\n{}\r\n\r\n"
    )
    found = read_recording(path)
    assert (found.status, found.header("retry-after"), found.header("content-encoding")) == (429, "3", None)
    assert found.content == b"{}\r\n\r\n"
    path.write_bytes(b'data: {"a": 1}\n\n')
    assert read_recording(path).is_sse
    path.write_bytes(b"# said: x\n[1]")
    assert read_recording(path).json == [1]
    with pytest.raises(RecordingError, match="cannot be read"):
        read_recording(tmp_path)


def test_pieces_of_a_draft() -> None:
    assert path_text(("a", 0, "b-c")) == "$.a[0]['b-c']"
    assert request_body({"prompt": "x", "messages": "y", "stream": True, "options": {"seed": 1}}) == {"prompt": "{prompt}", "messages": "y", "options": {"seed": "{seed}"}}  # fmt: skip
    assert request_body({"question": "x", "other": 1}, ()) == {"question": "{prompt}"}
    assert "text" not in answer_facts({"id": "a"})
    assert error_facts(None)["code"] == ["$.error.code", "$.code"]
    loop = {"components": {"schemas": {"A": {"$ref": "#/components/schemas/A"}}}}
    assert sample({"$ref": "#/components/schemas/A"}, loop) is None
    assert sample({"anyOf": [{"type": "number"}]}, {}) == 1.5
