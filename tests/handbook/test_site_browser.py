"""The site in headless Chromium, from a disk and as the reference serves it: quiet, offline, accessible, by keyboard."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handbook.__main__ import RENDERER

sys.path.append(str(Path(__file__).parents[1] / "reference"))
from reference_server import ReferenceServer

from reference_impl.settings import Settings

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the PATH"),
]
drawn = pytest.mark.skipif(not RENDERER.is_file(), reason="needs npm ci in handbook/renderer")

PAGES = (
    "index.html",
    "guides/index.html",
    "guides/retries/index.html",
    "requirements/index.html",
    "requirements/SSE-04/index.html",
    "capabilities/index.html",
    "capabilities/streaming/index.html",
    "errors/index.html",
    "errors/RATE_LIMITED/index.html",
    "websocket/index.html",
    "proof/index.html",
    "proof/dialects/index.html",
    "results/index.html",
    "contract/index.html",
    "decisions/0002-wire-layer/index.html",
)
API = "api/index.html"
DRAWN_S = 60_000


class Opened:
    """A page, what it said on the console, and what it asked for."""

    def __init__(self, browser: Any, url: str, width: int, scheme: str) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on(
            "console", lambda m: self.said.append(m.text) if m.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(url)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opened(browser: Any, site: Path) -> Iterator[Any]:
    all_opened: list[Opened] = []

    def open_(path: str, width: int = 1280, scheme: str = "light", origin: str = "") -> Opened:
        file, _, anchor = path.partition("#")
        url = f"{origin}/docs/{file}" if origin else (site / file).as_uri()
        url += f"#{anchor}" if anchor else ""
        all_opened.append(Opened(browser, url, width, scheme))
        return all_opened[-1]

    yield open_
    for one in all_opened:
        one.context.close()


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[ReferenceServer]:
    with ReferenceServer(Settings(), site=site) as running:
        yield running


@pytest.mark.parametrize("path", PAGES)
def test_from_a_disk_it_is_quiet_and_asks_for_nothing_else(opened: Any, path: str) -> None:
    found = opened(path)
    assert found.said == []
    assert [url for url in found.asked if not url.startswith("file:")] == []


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("width", [360, 768])
def test_it_fits_a_phone_and_a_tablet(opened: Any, path: str, width: int) -> None:
    page = opened(path, width=width).page
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.skipif(not AXE.is_file(), reason="needs the npm package axe-core: npm ci")
@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(opened: Any, path: str, scheme: str) -> None:
    page = opened(path, scheme=scheme).page
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert violations(page) == []


def violations(page: Any, within: str = "document") -> list[tuple[str, str, list[str]]]:
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate(f"axe.run({within}).then(r => r.violations)")
    return [(v["id"], v["impact"], [n["html"][:160] for n in v["nodes"]][:3]) for v in found]


def test_search_by_keyboard_alone(opened: Any) -> None:
    page = opened("guides/retries/index.html").page
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "find-text"
    page.keyboard.type("clean end of the response")
    page.wait_for_selector("#find-list li")
    assert page.get_attribute("#find-text", "aria-expanded") == "true"
    chosen = page.get_attribute("#find-text", "aria-activedescendant")
    assert "SSE-04" in page.inner_text(f"#{chosen}")
    assert "found" in page.inner_text("#find-count")
    page.keyboard.press("Enter")
    page.wait_for_url("**/requirements/SSE-04/index.html")


def test_the_arrows_choose_and_escape_clears(opened: Any) -> None:
    page = opened("index.html").page
    page.keyboard.press("/")
    page.keyboard.type("retry")
    page.wait_for_selector("#find-list li:nth-child(2)")
    page.keyboard.press("ArrowDown")
    assert page.get_attribute("#find-text", "aria-activedescendant") == "find-1"
    page.keyboard.press("Escape")
    assert page.input_value("#find-text") == ""
    assert page.is_hidden("#find-list")


def test_what_is_not_there_is_said(opened: Any) -> None:
    page = opened("index.html").page
    page.keyboard.press("/")
    page.keyboard.type("no such word anywhere")
    page.wait_for_function("document.getElementById('find-count').textContent === 'Nothing found'")


def test_tab_begins_at_the_skip_link(opened: Any) -> None:
    page = opened("requirements/SSE-04/index.html").page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.url.endswith("#content")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_the_catalogue_is_filtered(opened: Any) -> None:
    page = opened("requirements/index.html").page
    page.fill("#filter-text", "exactly once and as the last event")
    shown = "[...document.querySelectorAll('.entry')].filter(e => e.checkVisibility()).map(e => e.querySelector('a').textContent)"
    assert page.evaluate(shown) == ["SSE-04"]
    assert page.inner_text("#filter-count").startswith("1 of ")
    page.fill("#filter-text", "")
    page.select_option("#filter-capability", "estimation")
    assert all(i.startswith(("DOC-", "CTX-", "TRC-")) for i in page.evaluate(shown))
    page.uncheck("input[value=MUST]")
    page.fill("#filter-text", "no such word")
    page.click("#filter-reset")
    assert len(page.evaluate(shown)) > 300


def test_a_mutant_can_be_pointed_at(opened: Any) -> None:
    page = opened("proof/index.html#mutant-sse-no-done").page
    assert page.evaluate("document.querySelector('.entry:target').textContent.includes('sse-no-done')")
    assert page.evaluate("document.querySelector('.entry:target').getBoundingClientRect().top") < 844


@drawn
def test_the_reference_shows_the_events_of_a_stream(opened: Any) -> None:
    found = opened(f"{API}#tag/conversation/GET/chat/stream", scheme="dark")
    operation = found.page.locator('[id="api-1/tag/conversation/GET/chat/stream"]').first
    operation.get_by_role("button", name="200").first.click(timeout=DRAWN_S)
    operation.get_by_text("Stream item").first.wait_for()
    shown = operation.inner_text()
    assert "text/event-stream" in shown
    assert "One server-sent event" in shown
    assert "[DONE]" in shown
    assert found.said == []
    assert [url for url in found.asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert found.page.evaluate("document.documentElement.scrollWidth") <= 1280


@drawn
def test_the_reference_shows_webhooks(opened: Any) -> None:
    page = opened(f"{API}#tag/webhooks/webhook/POST/jobchanged").page
    page.get_by_role("heading", name="Tell what became of a job").first.wait_for(timeout=DRAWN_S)
    page.get_by_text("webhook-signature").first.wait_for()


@drawn
@pytest.mark.skipif(not AXE.is_file(), reason="needs the npm package axe-core: npm ci")
def test_axe_finds_nothing_serious_in_the_reference(opened: Any) -> None:
    page = opened(API).page
    page.get_by_role("heading", name="Operational contract").first.wait_for(timeout=DRAWN_S)
    assert [v for v in violations(page) if v[1] in ("serious", "critical")] == []


@drawn
def test_the_reference_can_be_tried_where_it_is_served(opened: Any, served: ReferenceServer) -> None:
    found = opened(API, origin=served.origin)
    found.page.wait_for_selector("text=Operational contract of an enterprise AI API", timeout=DRAWN_S)
    assert found.said == []
    assert [url for url in found.asked if not url.startswith((served.origin, "data:", "blob:"))] == []
    assert found.page.locator("text=Test Request").count() > 0


@drawn
def test_the_reference_fits_a_phone(opened: Any) -> None:
    page = opened(API, width=360).page
    page.wait_for_selector("text=Operational contract of an enterprise AI API", timeout=DRAWN_S)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("path", ["index.html", "requirements/SSE-04/index.html"])
def test_served_it_works_under_its_content_security_policy(
    opened: Any, served: ReferenceServer, path: str
) -> None:
    found = opened(path, origin=served.origin)
    found.page.keyboard.press("/")
    found.page.keyboard.type("RATE_LIMITED")
    found.page.wait_for_selector("#find-list li")
    assert found.said == []
    assert [url for url in found.asked if not url.startswith(served.origin)] == []


def test_docs_url_of_a_real_error_leads_a_browser_to_its_page(opened: Any, served: ReferenceServer) -> None:
    with served.client(None) as client:
        docs_url = client.get("/me").json()["error"]["docs_url"]
    page = opened("index.html", origin=served.origin).page
    page.goto(docs_url)
    assert page.url.endswith("/docs/errors/UNAUTHENTICATED/")
    assert page.inner_text("h1") == "UNAUTHENTICATED"
