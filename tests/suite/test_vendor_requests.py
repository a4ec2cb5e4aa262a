"""Requests generated from a vendor's own document: a sound API, a broken one, and a document that is wrong."""

from __future__ import annotations

import copy
import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from conformance.dialects.model import load_dialect
from conformance.probes.vendor_requests import CALLS, UndescribedError, requests_of

SECRET = "sk-a-vendor-key-of-32-characters"
IDS = ("GEN-05", "GEN-06", "GEN-07", "GEN-08")
BASE = "https://api.vendor.example/v1"
TEXT = {"type": "string"}
DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Vendor", "version": "1"},
    "servers": [{"url": "https://api.vendor.example"}],
    "security": [{"bearer": []}],
    "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    "paths": {
        "/v1/files/{id}": {"delete": {"responses": {"204": {"description": "gone"}}}},
        "/v1/models": {"get": {"responses": {"200": {"description": "the models"}}}},
        "/v1/chat/completions": {
            "post": {
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "required": ["model", "messages"],
                                "properties": {
                                    "model": TEXT,
                                    "max_tokens": {"type": "integer", "minimum": 1},
                                    "messages": {
                                        "type": "array",
                                        "minItems": 1,
                                        "items": {
                                            "type": "object",
                                            "required": ["role", "content"],
                                            "properties": {"role": {"enum": ["user"]}, "content": TEXT},
                                        },
                                    },
                                },
                            }
                        }
                    },
                },
                "responses": {
                    "200": {
                        "description": "the answer",
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object",
                                    "required": ["choices"],
                                    "properties": {"id": TEXT},
                                }
                            }
                        },
                    }
                },
            }
        },
    },
}


def is_valid(body: Any) -> bool:
    """What the vendor's server takes: what the document says."""
    return (
        isinstance(body, dict)
        and isinstance(body.get("model"), str)
        and isinstance(body.get("messages"), list)
        and bool(body["messages"])
        and all(
            isinstance(m, dict) and m.get("role") == "user" and isinstance(m.get("content"), str)
            for m in body["messages"]
        )
        and (
            "max_tokens" not in body
            or (isinstance(body["max_tokens"], (int, float)) and body["max_tokens"] >= 1)
        )
    )


@contextmanager
def vendor(fault: str = "") -> Iterator[tuple[str, list[tuple[str, str, bytes]]]]:
    """A server in OpenAI's format; ``fault``: ``crash`` on or ``takes`` what is invalid, answer ``accepted`` (202)."""
    asked: list[tuple[str, str, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer(200, {"object": "list", "data": [{"id": "m", "object": "model"}]})

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Authorization") != f"Bearer {SECRET}":
                self.answer(
                    401,
                    {"error": {"message": "no", "type": "invalid_request_error", "code": "invalid_api_key"}},
                )
                return
            asked.append((self.command, self.path, raw))
            try:
                body = json.loads(raw)
            except ValueError:
                body = None
            if is_valid(body) or fault == "takes":
                message = {"role": "assistant", "content": "yes"}
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
                self.answer(
                    202 if fault == "accepted" else 200,
                    {
                        "id": "c1",
                        "object": "chat.completion",
                        "model": "m",
                        "choices": [choice],
                        "usage": usage,
                    },
                )
            elif fault == "crash":
                self.answer(500, {"error": {"message": f"crash: {SECRET}"}})
            else:
                self.answer(400, {"error": {"message": "no", "type": "invalid_request_error", "code": None}})

        def answer(self, status: int, value: Any) -> None:
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", asked
        server.shutdown()


def check(folder: Path, url: str, document: Any, *more: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The verdicts by id, and the report."""
    source = folder / "api.json"
    source.write_text(json.dumps(document), "utf-8")
    command = [sys.executable, "-m", "conformance.cli", "check", url, "--dialect", "openai-chat", "--quiet"]
    command += ["--key", SECRET, "--model", "m", "--openapi", str(source), "--only", ",".join(IDS)]
    command += ["--out", str(folder / "out"), *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, 1, 3), done.stderr  # 3: nothing was judged
    assert not any(SECRET.encode() in p.read_bytes() for p in folder.rglob("*") if p.is_file())
    report: dict[str, Any] = json.loads((folder / "out" / "report.json").read_text("utf-8"))
    return {v["id"]: v for v in report["verdicts"]}, report


def results(verdicts: dict[str, Any]) -> list[str]:
    return [verdicts[i]["verdict"] for i in IDS]


def test_a_sound_api_keeps_its_document(tmp_path: Path) -> None:
    with vendor() as (url, asked):
        verdicts, report = check(tmp_path, url, DOCUMENT)
    assert results(verdicts) == ["PASS"] * 4, verdicts
    assert "400" in verdicts["GEN-07"]["detail"]  # told, and no fault: the document leaves it out
    assert {path for _, path, _ in asked} == {"/v1/chat/completions"}
    assert report["calls"] <= CALLS + 5


def test_a_crash_and_what_should_not_be_answered_are_found(tmp_path: Path) -> None:
    with vendor("crash") as (url, _):
        verdicts, _ = check(tmp_path, url, DOCUMENT)
    assert verdicts["GEN-05"]["verdict"] == "FAIL"
    with vendor("takes") as (url, _):
        verdicts, _ = check(tmp_path, url, DOCUMENT)
    assert results(verdicts)[:2] == ["PASS", "WARN"]


def test_a_status_that_the_document_does_not_know_is_told(tmp_path: Path) -> None:
    with vendor("accepted") as (url, _):
        verdicts, _ = check(tmp_path, url, DOCUMENT)
    assert results(verdicts) == ["PASS", "PASS", "WARN", "PASS"], verdicts
    assert "202" in verdicts["GEN-07"]["detail"]
    described = copy.deepcopy(DOCUMENT)
    responses = described["paths"]["/v1/chat/completions"]["post"]["responses"]
    responses["2XX"] = responses.pop("200")
    with vendor("accepted") as (url, _):
        verdicts, _ = check(tmp_path, url, described)
    assert results(verdicts) == ["PASS"] * 4, verdicts


def test_a_wrong_document_is_no_failure_of_the_api_and_an_overlay_corrects_it(tmp_path: Path) -> None:
    wrong = copy.deepcopy(DOCUMENT)
    post = wrong["paths"]["/v1/chat/completions"]["post"]
    post["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["id"] = {
        "type": "integer"
    }
    items = post["requestBody"]["content"]["application/json"]["schema"]["properties"]["messages"]["items"]
    items["properties"]["role"] = {"enum": ["nobody"]}
    overlay = tmp_path / "overlay.json"
    actions = [
        {"target": "$.paths..responses..properties.id", "update": {"type": "string"}},
        {"target": "$.paths..properties.role.enum[*]", "remove": True},
        {"target": "$.paths..properties.role.enum", "update": "user"},
    ]
    overlay.write_text(json.dumps({"overlay": "1.0.0", "actions": actions}), "utf-8")
    with vendor() as (url, _):
        verdicts, _ = check(tmp_path, url, wrong)
        corrected, _ = check(tmp_path, url, wrong, "--overlay", str(overlay))
    assert "FAIL" not in results(verdicts)
    assert verdicts["GEN-08"]["verdict"] == "WARN"
    assert "one of the two is wrong" in verdicts["GEN-08"]["detail"]
    assert results(corrected) == ["PASS"] * 4, corrected


def test_no_more_is_sent_than_the_budget_has_room_for(tmp_path: Path) -> None:
    with vendor() as (url, asked):
        verdicts, report = check(tmp_path, url, DOCUMENT, "--max-calls", "3")
    assert report["calls"] <= 3
    assert len(asked) <= 3
    assert results(verdicts) == ["NOT_TESTED"] * 4
    assert "the budget of 3 calls is used up" in verdicts["GEN-05"]["detail"]
    with vendor("crash") as (url, asked):
        verdicts, report = check(tmp_path, url, DOCUMENT, "--max-calls", "5")
    assert report["calls"] <= 5
    assert verdicts["GEN-05"]["verdict"] in ("FAIL", "NOT_TESTED")


@pytest.mark.parametrize(
    "paths",
    [{}, {"/v1/chat/completions": {"post": {"requestBody": {"$ref": "#/nowhere"}}}}],
    ids=["nothing-known", "reference-into-nothing"],
)
def test_a_document_that_is_of_no_use_is_said_to_be(paths: dict[str, Any]) -> None:
    with pytest.raises(UndescribedError, match="document"):
        requests_of({**DOCUMENT, "paths": paths}, load_dialect("openai-chat"), "m", BASE)


def test_the_same_requests_in_every_run_and_short_ones() -> None:
    first, second = (requests_of(DOCUMENT, load_dialect("openai-chat"), "m", BASE) for _ in range(2))
    assert [(r.valid, r.operation, r.body) for r in first] == [(r.valid, r.operation, r.body) for r in second]
    assert len(first) <= CALLS
    valid = [json.loads(r.body) for r in first if r.valid and r.body]
    assert valid
    assert all(b["model"] == "m" and b.get("max_tokens", 1) <= 16 for b in valid)
    assert any(not r.valid for r in first)
