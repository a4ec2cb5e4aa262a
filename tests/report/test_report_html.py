"""The HTML report: complete for its readers, closed to what a hostile server says, bounded in size."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise

import pytest
import report_samples as samples

from conformance.evidence import Chunk, Failure, Sent
from conformance.report.html import render_html
from conformance.report.model import Report
from conformance.report.page import MAX_EXHIBITS
from conformance.verdict import Result
from spec.catalogue import Requirement

VOID = {"meta", "input", "link", "br", "line", "rect", "path"}


class Document(HTMLParser):
    """Elements with their attributes and text; fails on a tag that is not closed."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    @property
    def text(self) -> str:
        return " ".join(" ".join(d for tag, d in self.texts if tag not in ("script", "style")).split())

    def attributes(self, name: str) -> list[str]:
        return [a[name] or "" for _, a in self.elements if name in a]


@pytest.fixture(scope="module")
def page() -> Document:
    return Document(render_html(samples.report()))


def test_the_head_says_target_date_gate_and_how_much_was_judged(page: Document) -> None:
    assert samples.BASE in page.text
    assert "24 November 2026, 06:00 UTC" in page.text
    assert "The gate fails: 4 MUST requirements are not kept." in page.text
    assert "8 of the 12 requirements that apply were judged. 4 could not be" in page.text


def test_every_kind_of_verdict_is_shown_with_its_requirement(page: Document) -> None:
    rows = {a["id"]: a["data-verdict"] for _, a in page.elements if a.get("data-verdict")}
    assert rows == {f"requirement-{v.id}": str(v.result) for v in samples.verdicts()}
    for verdict in samples.verdicts():
        assert samples.TEXTS[verdict.id][2] in page.text
    assert set(rows.values()) == {str(r) for r in Result}


def test_a_finding_has_all_an_engineer_needs(page: Document) -> None:
    source = render_html(samples.report())
    finding = Document(
        source[source.index('<article class="finding fail" id="finding-SSE-04"') :].split("</article>")[0]
        + "</article>"
    )
    for word in (
        "Expected one terminal event",
        "Seen [DONE] twice",
        "Why",
        "Fix Send the terminal",
        "Source",
        "curl -isS",
    ):
        assert word in finding.text
    assert ("mark", "data: [DONE]") in finding.texts
    assert "exchange-x0002" in finding.attributes("id")
    assert "word0" in finding.text
    assert "Authorization: Bearer [redacted 7 chars]" in finding.text


def test_a_missing_header_or_value_is_marked_as_missing() -> None:
    gone = samples.verdict(
        "RATE-02",
        Result.FAIL,
        expected="Retry-After",
        seen="none",
        where="header Retry-After",
        evidence=("x0001",),
    )
    assert (
        "Retry-After is not among the response headers" in Document(render_html(samples.report((gone,)))).text
    )
    assert "/error/request_id is not in the body" in Document(render_html(samples.report())).text


def test_what_was_not_judged_says_why_and_what_would_change_that(page: Document) -> None:
    for words in (
        "needs a second credential: --other-key Run again with that option. 1 requirement: RATE-16",
        "needs a provocation for 'fault_midstream' Declare a provocation",
        "the answer came in one chunk Run again",
    ):
        assert words in page.text


def test_pictures_have_a_text_for_who_cannot_see_them(page: Document) -> None:
    pictures = [a for tag, a in page.elements if tag == "svg" or a.get("role") == "img"]
    assert len(pictures) >= 8
    assert all(a["aria-label"] for a in pictures)
    labels = " ".join(a["aria-label"] or "" for a in pictures)
    assert "27 events in 27 chunks" in labels
    assert "8 requests, 2 refused with 429. Asked to wait: 2 s." in labels


def test_headings_descend_one_level_at_a_time(page: Document) -> None:
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_every_link_leads_to_a_place_on_the_page(page: Document) -> None:
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    links = page.attributes("href")
    assert links
    assert {link.removeprefix("#") for link in links} <= set(ids)
    assert all(i in ids for value in page.attributes("aria-labelledby") for i in value.split())


def test_the_page_asks_for_nothing_from_outside(page: Document) -> None:
    assert not {"src", "srcset", "data", "action", "poster", "background"} & {
        k for _, a in page.elements for k in a
    }
    assert not {"link", "img", "iframe", "object", "base", "image", "use"} & {tag for tag, _ in page.elements}
    styles = "".join(d for tag, d in page.texts if tag == "style")
    assert "url(" not in styles
    assert "@import" not in styles
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert (policy or "").startswith("default-src 'none';")


def hostile() -> Report:
    """Everything a server or its operator can choose is an attack."""
    bad = samples.HOSTILE
    exchange = samples.exchange(
        "x0001",
        b'{"error":"' + bad.encode() + b'"}',
        role=bad,
        probe=bad,
        http_version=bad,
        headers=(("Content-Type", bad), (bad, bad), ("Retry-After", bad)),
        sent=Sent(bad, samples.BASE + bad, ((bad, bad),), bad.encode()),
        failure=Failure("protocol", bad, 1.0),
        redirects=(bad,),
    )
    stream = samples.stream(
        "x0002", (0.1, b"data: " + bad.encode() + b"\n\n"), (0.2, b"event: " + bad.encode())
    )
    verdicts = (
        samples.verdict(
            "SSE-04", Result.FAIL, expected=bad, seen=bad, where="header Retry-After", evidence=("x0001",)
        ),
        samples.verdict(
            "SSE-11", Result.WARN, expected=bad, seen=bad, where=f"byte 7 {bad}", evidence=("x0002",)
        ),
        samples.verdict("SSE-20", Result.NOT_TESTED, bad),
        samples.verdict("SSE-21", Result.ERROR, bad),
        samples.verdict("TRC-04", Result.PASS, bad),
    )
    return samples.report(verdicts, (exchange, stream), base_url=samples.BASE + bad, model=bad)


def test_nothing_that_a_server_says_becomes_markup() -> None:
    plain = Document(render_html(samples.report()))
    page = Document(render_html(hostile()))
    assert {tag for tag, _ in page.elements} <= {tag for tag, _ in plain.elements}
    assert {k for _, a in page.elements for k in a} <= {k for _, a in plain.elements for k in a}
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert "alert(1)" in page.text


def test_direction_and_control_characters_are_shown_never_sent() -> None:
    source = render_html(hostile())
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", source
    )
    assert "\\u202e" in source
    assert "\\x07" in source


def test_the_script_is_the_one_that_the_policy_allows(page: Document) -> None:
    scripts = [d for tag, d in page.texts if tag == "script"]
    assert "".join(scripts) == (files("conformance.report") / "report.js").read_text("utf-8")


def large(body: bytes) -> Report:
    """250 exchanges, each pointed at by a failing requirement."""
    sent = tuple(
        replace(
            samples.exchange(f"x{i:04}", body), chunks=tuple(Chunk(i / 100, body[i::100]) for i in range(100))
        )
        if i % 2
        else samples.stream(f"x{i:04}", *((j / 100, b"data: " + body[:200] + b"\n\n") for j in range(400)))
        for i in range(250)
    )
    ids = [f"{area}-{n:02}" for area in ("AAA", "BBB", "CCC") for n in range(1, 84)]
    verdicts = tuple(
        samples.verdict(
            id_, Result.FAIL, expected="x" * 300, seen="<" * 300, where="byte 9", evidence=(e.id,)
        )
        for id_, e in zip(ids, sent, strict=False)
    )
    report = samples.report(verdicts, sent)
    long: dict[str, Requirement] = {i: samples.requirement(i, why="why " * 80, fix="fix " * 80) for i in ids}
    return replace(report, requirements=long)


@pytest.mark.parametrize("body", [b"<&\"'>" * 4000, bytes(range(256)) * 80, b"a \x07 text " * 2000])
def test_the_file_stays_below_three_megabytes(body: bytes) -> None:
    source = render_html(large(body))
    assert len(source.encode()) < 3_000_000
    assert source.count('<details class="exhibit"') == MAX_EXHIBITS
    assert "x0249" in source


def test_backticks_of_the_catalogue_become_code() -> None:
    failed = samples.verdict("SSE-04", Result.FAIL, expected="so", seen="not")
    report = samples.report((failed,))
    wanted = {"SSE-04": samples.requirement("SSE-04", why="A `4XX <b>` range.", fix="An odd ` stays.")}
    page = Document(render_html(replace(report, requirements=wanted)))
    assert ("code", "4XX <b>") in page.texts
    assert ("dd", "An odd ` stays.") in page.texts


def test_a_run_without_a_finding_says_so() -> None:
    kept = samples.report((samples.verdict("SSE-04", Result.PASS, "14 streams end with [DONE]"),))
    page = Document(render_html(kept))
    assert "The gate passes: every MUST requirement that could be judged is kept." in page.text
    assert "Nothing: of what was judged, everything is kept." in page.text
    assert "A stream as it arrived: x0002" in page.text


def test_a_run_that_recorded_nothing_still_gives_a_page() -> None:
    page = Document(render_html(samples.report((), ())))
    assert "No result: nothing could be judged." in page.text


def test_colours_have_enough_contrast() -> None:
    style = (files("conformance.report") / "report.css").read_text("utf-8")
    light = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", style.split("@media")[0]))
    dark = light | dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", style.split("@media")[1]))
    pairs = [("ink", "paper"), ("ink", "sheet"), ("soft", "paper"), ("soft", "sheet"), ("link", "paper")]
    pairs += [("on-dark", k) for k in ("pass", "fail", "error", "inconclusive")]
    pairs += [("on-light", "warn"), ("soft", "not-offered"), ("mark-ink", "mark"), ("soft", "line")]
    for colours in (light, dark):
        for front, back in pairs:
            assert contrast(colours[front], colours[back]) >= 4.5, (front, back, colours[back])


def contrast(one: str, other: str) -> float:
    """WCAG 2.2 contrast ratio."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
