"""A document written for the reference's OpenAI facade: both agree, and each change of the document is seen."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from conformance.cli.local_server import local_server

DOCUMENT = yaml.safe_load(Path(__file__).with_name("facade_openapi.yaml").read_text("utf-8"))
IDS = ("GEN-05", "GEN-06", "GEN-07", "GEN-08")


@pytest.fixture(scope="module")
def facade() -> Iterator[str]:
    with local_server("reference_impl", "--db", ":memory:") as url:
        yield url.replace("/api/v1", "/openai/v1")


def judged(url: str, document: Any, folder: Path) -> dict[str, dict[str, Any]]:
    (folder / "openapi.yaml").write_text(yaml.safe_dump(document), "utf-8")
    command = [
        sys.executable,
        "-m",
        "conformance.cli",
        "check",
        url,
        "--dialect",
        "openai-facade",
        "--key",
        "sk-demo",
    ]
    command += ["--openapi", "openapi.yaml", "--only", "GEN-*", "--quiet", "--model", "atlas-mini"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, (
        done.stdout + done.stderr
    )  # what an API SHOULD keep is no failure of the gate
    report = json.loads((folder / "aiconform-report" / "report.json").read_text("utf-8"))
    return {v["id"]: v for v in report["verdicts"] if v["id"] in IDS}


def flagged(url: str, document: Any, folder: Path) -> set[str]:
    return {i for i, v in judged(url, document, folder).items() if v["verdict"] != "PASS"}


def test_facade_and_document_agree(facade: str, tmp_path: Path) -> None:
    verdicts = judged(facade, DOCUMENT, tmp_path)
    assert {i: v["verdict"] for i, v in verdicts.items()} == dict.fromkeys(IDS, "PASS"), verdicts


COMPLETION = ("components", "responses", "Completion")
ASKED = ("components", "requestBodies", "Completion", "content", "application/json", "schema")


def _required_answer(document: Any) -> None:
    _at(document, *COMPLETION, "content", "application/json", "schema")["required"].append("tokens")


def _required_header(document: Any) -> None:
    _at(document, *COMPLETION, "headers")["X-Nothing"] = {"required": True, "schema": {"type": "string"}}


def _other_status(document: Any) -> None:
    responses = _at(document, "paths", "/chat/completions", "post", "responses")
    responses["201"] = responses.pop("200")
    del responses["default"]


def _wider_request(document: Any) -> None:
    _at(document, *ASKED, "properties")["messages"] = {"type": "string", "minLength": 1}


def _model_list(document: Any) -> None:
    _at(document, "components", "schemas", "Model")["required"].append("price")


def _at(document: Any, *keys: str) -> Any:
    for key in keys:
        document = document[key]
    return document


@pytest.mark.parametrize(
    ("change", "seen_by"),
    [
        (_required_answer, "GEN-07"),
        (_required_header, "GEN-07"),
        (_other_status, "GEN-07"),
        (_model_list, "GEN-07"),
        (_wider_request, "GEN-08"),
    ],
)
def test_a_document_that_says_something_else_is_told(
    facade: str, tmp_path: Path, change: Any, seen_by: str
) -> None:
    document = copy.deepcopy(DOCUMENT)
    change(document)
    assert seen_by in flagged(facade, document, tmp_path)
