"""Every code block of the README and the guides is run or read, in the order of its document."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import tomllib
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from blocks import Block, blocks, inline_commands
from stage import ROOT, Stage, stage

from conformance.cli import app
from load.slo import read_objectives

DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs" / "guides").glob("*.md")])
SHELL, SESSION, DATA = {"sh", "bash"}, "console", {"toml", "yaml", "json"}
SHOWN = {"text", "http"}
"""Languages that nothing runs: what a program prints, or bytes on the wire."""
MOST_NOT_RUN = 6
"""Blocks of all documents together that may say why they cannot run."""


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.slow
@pytest.mark.parametrize("document", [d for d in DOCUMENTS if blocks(d)], ids=named)
def test_every_block_of_a_document_works(document: Path, tmp_path: Path) -> None:
    folder = tmp_path / "reader"
    folder.mkdir()
    found = blocks(document)
    with ExitStack() as stack:
        at = stack.enter_context(stage(folder))
        names: dict[str, Any] = {"__name__": "__main__"}
        said = "".join(b.text for b in found if not b.not_run)
        if "aiconform serve --port 8000" not in said:
            at.serve(at.port)
        if re.search(r"https://(?:[\w-]+\.)*example\b", said):
            at.serve(at.vendor_port)
        for block in found:
            try:
                run(block, at, names)
            except Exception as problem:
                raise AssertionError(f"{named(document)}:{block.line}: {problem}\n{block.text}") from problem


def run(block: Block, at: Stage, names: dict[str, Any]) -> None:
    text = at.localized(block.text)
    if block.not_run:
        return
    if block.language in SHELL:
        code, said = at.shell(text)
        assert code in block.exit_codes, f"exit code {code} instead of {block.exit_codes}:\n{said}"
    elif block.language == SESSION:
        session(text, block.exit_codes, at)
    elif block.language == "python":
        python(text, at, names)
    elif block.language in DATA:
        data(block.language, text)
    else:
        assert block.language in SHOWN, (
            f"a block needs a language that says what it is, not '{block.language}'"
        )
    if block.file:
        (at.folder / block.file).write_text(text, "utf-8")


def session(text: str, exit_codes: tuple[int, ...], at: Stage) -> None:
    """Commands after ``$``, each with the output shown below it; ``…`` stands for whatever was left out."""
    commands = re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", text, re.M)
    assert commands, "a session needs a command after '$ '"
    for command, shown in commands:
        code, said = at.serving(command) if command.startswith("aiconform serve ") else at.shell(command)
        assert code in exit_codes, f"{command}: exit code {code} instead of {exit_codes}:\n{said}"
        for line in (line.strip() for line in shown.splitlines()):
            pattern = r"\s*".join(".*".join(re.escape(p) for p in word.split("…")) for word in line.split())
            assert re.search(pattern, said), f"{command}: no such line: {line}\n{said}"


def python(text: str, at: Stage, names: dict[str, Any]) -> None:
    """All Python of a document shares its names, as in one notebook."""
    before = Path.cwd()
    os.chdir(at.folder)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(text, "<document>", "exec"), names)
    finally:
        os.chdir(before)


def data(language: str, text: str) -> Any:
    if language == "toml":
        return tomllib.loads(text)
    return json.loads(text) if language == "json" else list(yaml.safe_load_all(text))


def test_few_blocks_are_not_run_and_each_says_why() -> None:
    told = {f"{named(d)}:{b.line}": b.not_run for d in DOCUMENTS for b in blocks(d) if b.not_run}
    assert len(told) <= MOST_NOT_RUN, told
    for place, reason in told.items():
        assert len(reason.split()) >= 3, f"{place}: '{reason}' is no reason"


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_block_says_what_it_is(document: Path) -> None:
    known = SHELL | {SESSION, "python"} | DATA | SHOWN
    assert {b.language for b in blocks(document)} <= known


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_commands_in_prose_exist(document: Path) -> None:
    for text in inline_commands(document):
        words = shlex.split(text.replace("…", ""))[1:]
        group: Any = typer.main.get_command(app)
        path: list[str] = []
        while hasattr(group, "commands") and words and words[0] in group.commands:
            path.append(words.pop(0))
            group = group.commands[path[-1]]
        assert path, f"{named(document)}: no command '{text}'"
        if path[0] not in {"serve", "load"}:
            flags = {flag for parameter in group.params for flag in parameter.opts}
            assert {w for w in words if w.startswith("--")} <= flags, f"{named(document)}: {text}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_inside_the_project_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text("utf-8")):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (document.parent / target).exists(), f"{named(document)}: {target}"


def test_the_guides_objectives_are_read_by_the_load_tests(tmp_path: Path) -> None:
    (found,) = (b for b in blocks(ROOT / "docs/guides/load-testing.md") if b.file == "objectives.yaml")
    (tmp_path / found.file).write_text(found.text, "utf-8")
    assert len(read_objectives(str(tmp_path / found.file))) == len(data("yaml", found.text)[0]["objectives"])
