"""In place of ``pip`` while documents run: what they install must be this project, with extras that exist."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path


def main(root: str, *arguments: str) -> int:
    project = tomllib.loads((Path(root) / "pyproject.toml").read_text("utf-8"))["project"]
    if arguments[0] != "install":
        sys.stderr.write(f"pip {arguments[0]} is not expected in a document\n")
        return 1
    for wanted in arguments[1:]:
        found = re.fullmatch(r"(?:\.|aiconform)(?:\[([\w,]+)\])?", wanted)
        unknown = [wanted] if found is None else [e for e in (found[1] or "").split(",") if e]
        unknown = [e for e in unknown if e not in project["optional-dependencies"]]
        if unknown:
            sys.stderr.write(f"pip install {wanted}: this project has no {unknown}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
