"""``python tests/docs/picture.py``: the report shown in the README, from a real run on a server that cuts streams off.

Needs Chromium on the PATH. What lies between the headline and the first finding is left out of the picture.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "report.png"
MUTANT = "oai-truncated"
WIDTH, SCALE, COLOURS, GAP = 960, 1.25, 64, 28


def report(folder: Path) -> Path:
    """Judge the mutant; gives the report."""
    aiconform = [sys.executable, "-m", "conformance.cli"]
    server = [*aiconform, "serve", "--mutant", MUTANT, "--port", "8000"]
    with subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip().removeprefix("ready ").replace("/api/v1", "/openai/v1")
            keys = ["--key", "sk-demo", "--limited-key", "sk-demo-limited"]
            check = [*aiconform, "check", url, "--dialect", "openai-chat", *keys, "--out", str(folder)]
            subprocess.run(check, check=False, capture_output=True, timeout=120)
        finally:
            process.terminate()
    return folder / "report.html"


def shots(page_file: Path) -> list[Image.Image]:
    """The headline, and the first finding with its evidence."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 800}, device_scale_factor=SCALE)
        page.goto(page_file.as_uri())
        top = page.evaluate("document.querySelector('nav').getBoundingClientRect().top")
        start, end = page.evaluate(
            "[...document.querySelectorAll('#findings h2, #findings h3')].slice(0, 3).map("
            "e => e.getBoundingClientRect().top).filter((_, i) => i != 1)"
        )
        areas = ((0, top), (start - 12, min(end - 40, start + 730)))
        taken = [
            page.screenshot(full_page=True, clip={"x": 0, "y": y, "width": WIDTH, "height": below - y})
            for y, below in areas
        ]
        browser.close()
    return [Image.open(BytesIO(data)).convert("RGB") for data in taken]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        parts = shots(report(Path(folder) / "report"))
    whole = Image.new("RGB", (parts[0].width, sum(p.height for p in parts) + GAP), "white")
    whole.paste(parts[0], (0, 0))
    whole.paste(parts[1], (0, parts[0].height + GAP))
    whole.quantize(COLOURS).save(PICTURE, optimize=True)
    sys.stdout.write(f"{PICTURE} {PICTURE.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
