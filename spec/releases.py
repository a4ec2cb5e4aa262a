"""The requirements of each release, frozen: ``python -m spec.releases 1.0.0`` writes ``requirement_sets/1.0.0.json``.

A released file is never edited, and never written again: what changes afterwards gets a new id.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from spec.catalogue import Requirement, requirements

FOLDER = Path(__file__).parent / "requirement_sets"


def meaning(requirement: Requirement) -> dict[str, str]:
    """What a release promises to keep of a requirement."""
    return {name: getattr(requirement, name) for name in ("level", "capability", "kind", "text")}


def frozen() -> str:
    """The catalogue as JSON with a line for each requirement."""
    lines = (
        f"  {json.dumps(r.id)}: {json.dumps(meaning(r), ensure_ascii=False)}" for r in requirements().values()
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the set of a release; 2 if it exists."""
    parser = argparse.ArgumentParser(prog="python -m spec.releases", description=__doc__)
    parser.add_argument("version", metavar="VERSION")
    file = FOLDER / f"{parser.parse_args(arguments).version}.json"
    if file.exists():
        sys.stderr.write(f"{file} exists, and a release is never written again: name a new version\n")
        return 2
    file.write_text(frozen(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
