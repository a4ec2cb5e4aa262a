"""Whole runs on real servers, kept as evidence that every newer suite has to judge alike.

    python tests/interop/recorded.py CASE …

keeps the last run of `make interop` on these servers: ``evidence/CASE.tar.xz`` and, beside it, its verdicts.
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
from pathlib import Path

from cases import CASES
from third_party import CACHE

from conformance.dialects.model import load_dialect
from conformance.judge import judge
from conformance.registry import CHECKS, load_all
from conformance.wire.store import load
from spec.catalogue import requirements

FOLDER = Path(__file__).parent / "evidence"
ROOT = FOLDER.parents[2]


def names() -> list[str]:
    return sorted(p.name.removesuffix(".tar.xz") for p in FOLDER.glob("*.tar.xz"))


def expected(name: str) -> dict[str, str]:
    """The verdicts by requirement, of all that were judged when the run was kept."""
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


def verdicts(name: str, scratch: Path) -> dict[str, str]:
    """What the suite of today says of that run."""
    with tarfile.open(FOLDER / f"{name}.tar.xz") as archive:
        archive.extractall(scratch, filter="data")
    arguments = next(c.arguments for c in CASES if c.name == name)
    given = arguments[arguments.index("--dialect") + 1]
    dialect = load_dialect(str(ROOT / given) if given.endswith(".yaml") else given)
    load_all()
    wanted = [r for r in requirements().values() if r.id in CHECKS]
    return {v.id: str(v.result) for v in judge(load(scratch / "evidence"), dialect, wanted, CHECKS)}


def keep(name: str) -> None:
    """Pack the last run on this server; equal evidence gives equal bytes."""
    report = CACHE / "reports" / name
    with tarfile.open(FOLDER / f"{name}.tar.xz", "w:xz") as archive:
        for path in sorted((report / "evidence").rglob("*")):
            if path.is_file():
                data = path.read_bytes()
                entry = tarfile.TarInfo(str(path.relative_to(report)))
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    judged = json.loads((report / "report.json").read_text("utf-8"))["verdicts"]
    kept = {v["id"]: v["verdict"] for v in judged if v["verdict"] in ("PASS", "FAIL", "WARN")}
    (FOLDER / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for case in sys.argv[1:]:
        keep(case)
