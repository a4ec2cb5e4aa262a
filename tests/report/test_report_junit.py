"""JUnit XML as CI systems read it: structure, totals, and no character that XML forbids."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, fromstring

import report_samples as samples

from conformance.report.junit import render_junit
from conformance.verdict import Result

# Children (in order; a star: any number) and attributes that the Jenkins and the Surefire schema share.
CHILDREN: dict[str, tuple[str, ...]] = {
    "testsuites": ("testsuite*",),
    "testsuite": ("properties", "testcase*"),
    "properties": ("property*",),
    "testcase": ("skipped", "error", "failure", "system-out"),
}
ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "skipped": {"message"},
}


def assert_structure(element: Element) -> None:
    assert set(element.attrib) == ATTRIBUTES.get(element.tag, set())
    grammar = "".join(
        f"({c.rstrip('*')} ){'*' if c.endswith('*') else '?'}" for c in CHILDREN.get(element.tag, ())
    )
    assert re.fullmatch(grammar, "".join(f"{child.tag} " for child in element)), element.tag
    for child in element:
        assert_structure(child)


def cases() -> dict[str, Element]:
    return {
        c.attrib["name"].split()[0]: c for c in fromstring(render_junit(samples.report())).iter("testcase")
    }


def test_the_document_has_the_common_structure() -> None:
    root = fromstring(render_junit(samples.report()))
    assert root.tag == "testsuites"
    assert_structure(root)


def test_totals_are_those_of_the_cases() -> None:
    root = fromstring(render_junit(samples.report()))
    for suite in (root, *root):
        found = list(suite.iter("testcase"))
        assert int(suite.attrib["tests"]) == len(found)
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.attrib[attribute]) == sum(c.find(tag) is not None for c in found)
    assert (root.attrib["tests"], root.attrib["failures"], root.attrib["errors"]) == ("13", "4", "1")


def test_each_verdict_has_its_form() -> None:
    found = cases()
    assert found["SSE-04"].attrib["name"] == f"SSE-04 {samples.TEXTS['SSE-04'][2]}"
    assert found["SSE-04"].attrib["classname"] == "aiconform.SSE"
    forms = {v.id: [c.tag for c in found[v.id]] for v in samples.verdicts()}
    expected = {
        Result.PASS: [],
        Result.FAIL: ["failure"],
        Result.WARN: ["system-out"],
        Result.ERROR: ["error"],
        Result.NOT_OFFERED: ["skipped"],
        Result.NOT_TESTED: ["skipped"],
        Result.INCONCLUSIVE: ["skipped"],
    }
    assert forms == {v.id: expected[v.result] for v in samples.verdicts()}


def test_a_failure_explains_itself() -> None:
    text = cases()["SSE-04"].findtext("failure") or ""
    lines = [line.split(":")[0] for line in text.splitlines()]
    assert lines == ["level", "expected", "seen", "at", "why", "fix", "source", "reproduce"]
    assert "seen: [DONE] twice" in text
    assert "at: x0002 byte " in text


def test_a_skip_says_which_kind_it_is() -> None:
    skipped = cases()["RATE-16"].find("skipped")
    assert skipped is not None
    assert skipped.attrib["message"] == "NOT_TESTED: needs a second credential: --other-key"


def test_characters_that_xml_forbids_are_dropped() -> None:
    seen = samples.HOSTILE + "\ud800\ufffe ]]> \u00e9\U0001f600"
    report = samples.report((samples.verdict("SSE-04", Result.FAIL, expected="text", seen=seen),))
    failure = fromstring(render_junit(report)).find(".//failure")
    assert failure is not None
    assert f"seen: {samples.HOSTILE.rstrip(chr(0)).rstrip(chr(7))} ]]> \u00e9\U0001f600\n" in (
        failure.text or ""
    )
