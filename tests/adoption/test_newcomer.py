"""The way of a person who has never seen the project: clone, the README's commands, the wheel, the report in a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from distribution import ROOT, UNREACHABLE, Installation, plain_environment, run

pytestmark = pytest.mark.installs

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
README_CHECK = "make check"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone: what is committed, and nothing else."""
    folder = tmp_path_factory.mktemp("newcomer") / "aiconform"
    command = ["git", "clone", "--quiet", "--depth", "1", ROOT.as_uri(), str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return folder


def test_the_readme_leads_to_a_report_in_the_browser(clone: Path, tmp_path: Path) -> None:
    first, second = re.findall(r"```sh\n(make check.*?)\n```", (clone / "README.md").read_text("utf-8"))
    assert first == README_CHECK
    # 1. The first command, verbatim. It makes its own .venv.
    done = run(["bash", "-ec", first], clone, 900, {"MAKEFLAGS": ""})
    if done.returncode and UNREACHABLE.search(done.stderr):
        pytest.skip("the package index cannot be reached, so make cannot set itself up")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "gate passed" in done.stdout
    shown(clone / "aiconform-report" / "report.html", "The gate passes")
    shutil.rmtree(clone / "aiconform-report")

    # 2. The second, on an API of a format that others have too: the reference's OpenAI-compatible side.
    with serving(clone) as url:
        vendor = url.replace("/api/v1", "/openai/v1")
        command = second.replace("https://api.example.com/v1", vendor).replace("sk-...", "sk-demo")
        done = run(["bash", "-ec", command], clone, 300, {"MAKEFLAGS": ""})
        assert done.returncode == 0, done.stdout + done.stderr
        shown(clone / "aiconform-report" / "report.html", vendor)

        # 3. What a release has, installed elsewhere, on the same server.
        done = run(["make", "dist"], clone, 300, {"MAKEFLAGS": ""})
        assert done.returncode == 0, done.stdout + done.stderr
        installation = Installation(tmp_path)
        installation.install(next((clone / "dist").glob("*.whl")))
        done = installation.run("aiconform", "check", url, "--key", "sk-demo")
        assert done.returncode == 0, done.stdout + done.stderr
    shown(tmp_path / "aiconform-report" / "report.html", "The gate passes")


@contextmanager
def serving(clone: Path) -> Iterator[str]:
    """The reference as ``make serve`` runs it, on a free port."""
    command = [str(clone / ".venv" / "bin" / "aiconform"), "serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=clone, stdout=subprocess.PIPE, text=True, env=plain_environment()
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip().removeprefix("ready ")
        finally:
            process.terminate()
            process.wait(20)


def shown(report: Path, text: str) -> None:
    """Open the report offline; it must say the text, without an error on the console or a request elsewhere."""
    assert report.is_file()
    if CHROMIUM is None:
        pytest.skip(f"{report} was made, but there is no Chromium on the PATH to open it")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(offline=True).new_page()
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(report.as_uri())
        assert text in page.inner_text("body")
        assert said == []
        assert asked == [report.as_uri()]
        browser.close()
