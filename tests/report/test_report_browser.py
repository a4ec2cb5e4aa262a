"""The pages in headless Chromium: quiet, offline, accessible, usable by keyboard, on a phone and on paper."""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import report_samples as samples
from public_schemas import PACKAGES

from conformance.claims import Claim
from conformance.dialects.model import load_dialect
from conformance.gate.baseline import Baseline, Earlier
from conformance.gate.policy import BUILT_IN, Policy, Waiver, today
from conformance.har_file import read_har
from conformance.judge import judge
from conformance.registry import CHECKS, load_all
from conformance.report.html import render_html
from conformance.report.matrix import matrix_of, render_matrix_html
from conformance.report.model import Report
from conformance.report.saved import read_report
from conformance.verdict import Result
from spec.catalogue import requirements

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the PATH")

RESULTS = Path(__file__).parents[2] / "docs" / "results"
PAGES = ("report", "matrix")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a report that has everything in it, and a matrix of the published reports."""
    folder = tmp_path_factory.mktemp("pages")
    plain = samples.report()
    policy = Policy(
        BUILT_IN["enterprise"],
        waivers=(Waiver("SSE-04", "ticket 7", today()),),
        baseline=Baseline("last.json", {"TRC-04": Earlier("MUST", Result.FAIL, "t")}),
    )
    claims = (
        Claim("usage", ("the tester",), "not kept", "no answer reports usage", unshown=True),
        Claim("streaming", ("GET /capabilities",), "not kept", "SSE-04 failed"),
    )
    whole = Report(plain.evidence, plain.dialect, plain.verdicts, plain.requirements, claims, policy)
    (folder / "report.html").write_text(render_html(whole), "utf-8")
    saved = [read_report(path) for path in sorted(RESULTS.glob("l*m.json"))]
    (folder / "matrix.html").write_text(render_matrix_html(matrix_of(saved, folder)), "utf-8")
    return folder


def opened(
    browser: Any, path: Path, width: int = 1280, scheme: str = "light"
) -> tuple[Any, list[str], list[str]]:
    """The page, what it said on the console, and what it asked for."""
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, offline=True)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    return page, said, asked


@pytest.mark.parametrize("name", PAGES)
def test_it_is_quiet_and_asks_for_nothing(browser: Any, pages: Path, name: str) -> None:
    path = pages / f"{name}.html"
    page, said, asked = opened(browser, path)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.mouse.wheel(0, 20_000)
    assert said == []
    assert asked == [path.as_uri()]
    page.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_it_fits_a_phone(browser: Any, pages: Path, name: str) -> None:
    page, _, _ = opened(browser, pages / f"{name}.html", width=360)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.context.close()


@pytest.mark.parametrize(("name", "scheme"), [("report", "light"), ("report", "dark"), ("matrix", "light")])
def test_axe_finds_no_violation(browser: Any, pages: Path, name: str, scheme: str) -> None:
    script = PACKAGES / "axe-core" / "axe.min.js"
    if not script.is_file():
        pytest.skip("needs the npm package axe-core: npm ci")
    page, _, _ = opened(browser, pages / f"{name}.html", scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.evaluate(script.read_text("utf-8"))
    found = page.evaluate("axe.run().then(r => r.violations)")
    told = [(v["id"], [n["html"][:160] for n in v["nodes"]][:3]) for v in found]
    assert told == []
    page.context.close()


def test_the_keyboard_reaches_everything(browser: Any, pages: Path) -> None:
    page, _, _ = opened(browser, pages / "report.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the findings"
    page.keyboard.press("Enter")
    assert page.url.endswith("#findings")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#findings') !== null")
    # A closed part opens by Enter.
    page.focus("#area-SSE > summary")
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelector('#area-SSE').open")
    # What can be focused shows it.
    page.focus("nav a")
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_the_filter_is_told_to_screen_readers(browser: Any, pages: Path) -> None:
    page, _, _ = opened(browser, pages / "report.html")
    page.fill("#filter-text", "terminal event")
    shown = page.evaluate("[...document.querySelectorAll('.row')].filter(r => !r.hidden).map(r => r.id)")
    assert shown == ["requirement-SSE-04"]
    assert page.get_attribute("#filter-count", "aria-live") == "polite"
    assert "1" in page.inner_text("#filter-count")


def test_paper_shows_what_is_folded_on_screen(browser: Any, pages: Path) -> None:
    page, _, _ = opened(browser, pages / "report.html")
    row = "document.querySelector('#requirement-ERR-07').checkVisibility()"
    assert page.evaluate(row) is False
    page.emulate_media(media="print")
    assert page.evaluate(row) is True
    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert page.pdf().startswith(b"%PDF")


class Api(http.server.BaseHTTPRequestHandler):
    """A page and a small OpenAI-like API on one origin; its refusal repeats the caller's key."""

    def do_GET(self) -> None:
        self._answer(200, "text/html", b"<!doctype html><title>app</title>")

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["content-length"]))
        if b'"stream":true' in asked:
            events = (
                b'data: {"id":"c2","model":"m","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
                b'data: {"id":"c2","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
                b"data: [DONE]\n\n"
            )
            self._answer(200, "text/event-stream", events)
        elif b'"bad"' in asked:
            key = self.headers["authorization"].encode()
            self._answer(400, "text/plain", b"no such model, " + key)
        else:
            choice = b'{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}'
            self._answer(200, "application/json", b'{"id":"c1","model":"m","choices":[' + choice + b"]}")

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


def test_a_recording_of_a_real_browser_is_judged(browser: Any, tmp_path: Path) -> None:
    load_all()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    path = tmp_path / "browser.har"
    try:
        context = browser.new_context(record_har_path=str(path), record_har_content="embed")
        page = context.new_page()
        page.goto(base)
        for body in ({"model": "m"}, {"model": "m", "stream": True}, {"model": "bad"}):
            page.evaluate(
                "body => fetch('/v1/chat/completions', {method: 'POST', body: JSON.stringify(body), headers: "
                "{authorization: 'Bearer sk-browser-0123456789'}}).then(r => r.text())",
                body,
            )
        context.close()
    finally:
        server.shutdown()
        server.server_close()
    dialect = load_dialect("openai-chat")
    evidence = read_har(path, dialect)
    assert [(e.operation, e.status) for e in evidence.exchanges] == [
        ("chat", 200), ("chat_stream", 200), ("chat", 400),
    ]  # fmt: skip
    found = {v.id: v.result for v in judge(evidence, dialect, requirements().values(), CHECKS)}
    assert found["SSE-04"] is Result.PASS
    assert found["ERR-19"] is Result.FAIL
    assert found["AUTH-16"] is Result.FAIL
    assert "sk-browser" not in repr(evidence)
