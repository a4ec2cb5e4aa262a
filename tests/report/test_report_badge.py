"""The badge: well-formed, honest, and what shields.io's endpoint asks for."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
import report_samples as samples

from conformance.report.badge import render_badge_json, render_badge_svg
from conformance.report.write import write_badge
from conformance.verdict import Result

CASES = [
    (samples.report(), "failed, 8 of 12 judged", "red"),
    (samples.report((samples.verdict("ERR-07", Result.PASS),)), "passed, 1 of 1 judged", "brightgreen"),
    (samples.report(()), "no result", "lightgrey"),
]


@pytest.mark.parametrize(("report", "message", "colour"), CASES)
def test_it_says_how_much_was_judged(report: samples.Report, message: str, colour: str) -> None:
    found = json.loads(render_badge_json(report))
    assert (found["schemaVersion"], found["message"], found["color"]) == (1, message, colour)
    picture = fromstring(render_badge_svg(report))
    assert picture.attrib["aria-label"].endswith(message)
    assert float(picture.attrib["width"]) > 100
    texts = [t.text for t in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["AI API contract", message]


def test_the_suffix_chooses_the_form(tmp_path: Path) -> None:
    write_badge(samples.report(), tmp_path / "b.json")
    write_badge(samples.report(), tmp_path / "b.svg")
    assert json.loads((tmp_path / "b.json").read_bytes())["label"] == "AI API contract"
    assert (tmp_path / "b.svg").read_bytes().startswith(b"<svg")
