"""Writes every format of a finished run, once."""

from __future__ import annotations

import csv
import json
import sys
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from conformance.wire.redact import Scrubber
from load.report.console import summary
from load.report.document import document_of
from load.report.html import page

if TYPE_CHECKING:
    from load.session import Session


def finish(session: Session) -> int:
    """Write the reports, print the summary, give the exit code. A second call only repeats the code."""
    outcome = session.outcome()
    if session.reported is not None:
        return session.reported
    session.reported = outcome.exit_code
    scrubber = Scrubber(list(outcome.config.target.keys.values()))
    document = scrubber.plain(document_of(outcome))
    try:
        write_all(document, Path(outcome.config.out))
    except OSError as error:
        sys.stderr.write(f"aiconform: --out {outcome.config.out} cannot be written: {error.strerror}\n")
        session.reported = 2
    sys.stdout.write(summary(document, outcome.config.out) + "\n")
    sys.stdout.flush()
    return session.reported


def write_all(document: dict[str, Any], out: Path) -> None:
    """``load.json``, ``verdicts.json`` (the format of ``check``), ``seconds.csv``, ``junit.xml``, ``report.html``."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "load.json").write_text(_json(document), "utf-8")
    (out / "verdicts.json").write_text(_json(document["contract"]), "utf-8")
    (out / "seconds.csv").write_text(seconds_csv(document), "utf-8")
    (out / "junit.xml").write_bytes(junit(document))
    (out / "report.html").write_text(page(document), "utf-8")


def seconds_csv(document: dict[str, Any]) -> str:
    """One line per second of the run."""
    out = StringIO()
    rows = document["seconds"]
    names = list(rows[0]) if rows else ["second"]
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def junit(document: dict[str, Any]) -> bytes:
    """A test case per objective, per requirement judged, and one for the validity of the run."""
    cases: list[tuple[str, str, str, str]] = []  # class, name, kind of trouble, text
    client = document["client"]
    cases.append(("load.client", "the client kept its error budget", "" if client["valid"] else "error",
                  "; ".join(client["doubts"])))  # fmt: skip
    for o in document["objectives"]:
        seen = "nothing measured" if o["seen"] is None else f"{o['seen']:.4g} {o['unit']}"
        name = f"{o['name']} {o['relation']} {o['bound']:g} {o['unit']}".strip()
        cases.append(("load.objective", name, "" if o["met"] else "failure", f"seen {seen}"))
    for v in document["contract"]["verdicts"]:
        kind = {"FAIL": "failure", "PASS": "", "WARN": ""}.get(v["verdict"], "skipped")
        cases.append(("load.contract", f"{v['id']} {v['text']}", kind, v["detail"]))
    count = {k: sum(1 for c in cases if c[2] == k) for k in ("failure", "error", "skipped")}
    suite = ElementTree.Element(
        "testsuite",
        name="aiconform load",
        tests=str(len(cases)),
        failures=str(count["failure"]),
        errors=str(count["error"]),
        skipped=str(count["skipped"]),
        time=str(document["duration_seconds"]),
        timestamp=document["started_at"],
    )
    for class_name, name, kind, text in cases:
        case = ElementTree.SubElement(suite, "testcase", classname=class_name, name=_clean(name), time="0")
        if kind:
            ElementTree.SubElement(case, kind, message=_clean(text))
    written: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return written


def _clean(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold."""
    return "".join(
        c if c >= " " and not 0xFFFE <= ord(c) <= 0xFFFF and not 0xD800 <= ord(c) <= 0xDFFF else " "
        for c in text
    )


def _json(document: Any) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
