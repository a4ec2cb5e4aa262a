"""`aiconform serve --mutant NAME` says where the mutant is: the contract's API, and the facade where that is changed."""

from __future__ import annotations

import subprocess
import sys
from urllib.parse import urlsplit

import pytest


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("no-challenge", ["/no-challenge/api/v1"]),
        ("oai-choices-empty", ["/oai-choices-empty/api/v1", "/oai-choices-empty/openai/v1"]),
    ],
)
def test_a_mutant_says_which_api_it_changes(name: str, paths: list[str]) -> None:
    command = [sys.executable, "-c", "from conformance.cli import main; main()", "serve", "--mutant", name]
    with subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().split() for _ in paths]
        process.terminate()
        rest = process.stdout.read()
    assert [line[0] for line in said] == ["ready", "changed"][: len(paths)]
    assert [urlsplit(line[1]).path for line in said] == paths
    assert rest == ""
