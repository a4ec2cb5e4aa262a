"""Read a report again that was written as JSON: to compare with it, or to lay several side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from conformance.dialects.schema import problem_in
from conformance.gate.baseline import Baseline, Earlier
from conformance.verdict import Result

LARGEST = 64 * 1024 * 1024


class SavedError(Exception):
    """A report cannot be read; the message is one line that says what to do."""


@dataclass(frozen=True)
class SavedReport:
    """``document`` is valid against ``report.schema.json``."""

    path: Path
    document: Mapping[str, Any]

    @property
    def verdicts(self) -> Mapping[str, Mapping[str, Any]]:
        """The verdicts by requirement id, in catalogue order."""
        return {v["id"]: v for v in self.document["verdicts"]}

    @property
    def results(self) -> Mapping[str, Result]:
        return {i: Result(v["verdict"]) for i, v in self.verdicts.items()}


def read_report(path: Path) -> SavedReport:
    """Read and validate.

    Raises:
        SavedError: unreadable, no JSON, or no report of this version.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise SavedError(f"{path} is too large for a report")
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise SavedError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    except (ValueError, RecursionError):
        raise SavedError(f"{path} is not JSON: give a file that `aiconform check --json` wrote") from None
    problem = problem_in(document, _validator())
    if problem:
        raise SavedError(f"{path} is no report of this version: {problem}")
    return SavedReport(path, document)


def baseline_of(saved: SavedReport) -> Baseline:
    """What a gate compares with."""
    profile = saved.document["gate"].get("profile") or {"demands": {}}
    unmet = {c for c, state in profile["demands"].items() if state in ("not offered", "not judged")}
    unmet |= {c["capability"] for c in saved.document.get("claims", ()) if c["unshown"]}
    earlier = {i: Earlier(v["level"], Result(v["verdict"]), v["check"]) for i, v in saved.verdicts.items()}
    return Baseline(str(saved.path), earlier, frozenset(unmet))


@cache
def _validator() -> Draft202012Validator:
    text = files("conformance.report").joinpath("report.schema.json").read_text("utf-8")
    return Draft202012Validator(json.loads(text))
