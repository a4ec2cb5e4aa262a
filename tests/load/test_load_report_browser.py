"""The load report in headless Chromium: quiet, offline, accessible, and on a phone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running import LAX, load, truth

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the PATH")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run with everything in it: two operations, refusals, violations, a price."""
    options = (
        "--first-ms=5",
        "--token-ms=2",
        "--tokens=8",
        "--limit=30",
        "--window=1",
        "--defect=no_terminal",
    )
    with truth(*options, "--share=0.5") as url:
        run = load(
            tmp_path_factory.mktemp("shown"), url, "--mix=chat_stream=3,classify", "--users=4", "--duration=20",
            "--max-calls=60", "--price=1:2", *LAX,
        )  # fmt: skip
    return run.folder / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


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


def test_it_is_quiet_and_asks_for_nothing(browser: Any, report: Path) -> None:
    page, said, asked = opened(browser, report)
    page.mouse.wheel(0, 20_000)
    assert said == []
    assert asked == [report.as_uri()]
    assert page.locator("svg").count() > 0
    page.context.close()


def test_it_fits_a_phone(browser: Any, report: Path) -> None:
    page, _, _ = opened(browser, report, width=360)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_violation(browser: Any, report: Path, scheme: str) -> None:
    if not AXE.is_file():
        pytest.skip("needs the npm package axe-core: npm ci")
    page, _, _ = opened(browser, report, scheme=scheme)
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("axe.run().then(r => r.violations)")
    told = [(v["id"], v["impact"], [n["html"][:160] for n in v["nodes"]][:3]) for v in found]
    assert [t for t in told if t[1] in ("serious", "critical")] == []
    page.context.close()
