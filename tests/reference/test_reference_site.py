"""The documentation site below /docs, and where a browser lands that follows an error's docs_url."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from reference_server import ReferenceServer

from reference_impl.app import create_app
from reference_impl.http.site import site_folder
from reference_impl.settings import Settings

NAVIGATE = {"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("site")
    (folder / "errors" / "RATE_LIMITED").mkdir(parents=True)
    (folder / "index.html").write_text("<title>start</title>")
    (folder / "errors" / "RATE_LIMITED" / "index.html").write_text("<title>code</title>")
    (folder.parent / "secret.txt").write_text("secret")
    with (
        ReferenceServer(Settings(), site=folder) as running,
        httpx.Client(base_url=running.origin, verify=False, trust_env=False) as client,
    ):
        yield client


def test_the_site_is_at_docs(browser: httpx.Client) -> None:
    moved = browser.get("/docs")
    assert (moved.status_code, moved.headers["location"]) == (303, "/docs/")
    page = browser.get("/docs/")
    assert (page.status_code, page.text) == (200, "<title>start</title>")
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"


def test_a_browser_that_follows_docs_url_reads_a_page(browser: httpx.Client) -> None:
    address = "/api/v1/errors/RATE_LIMITED"
    moved = browser.get(address, headers=NAVIGATE)
    assert (moved.status_code, moved.headers["location"]) == (303, "/docs/errors/RATE_LIMITED/")
    assert moved.headers["vary"] == "Sec-Fetch-Mode"
    assert browser.get(moved.headers["location"]).text == "<title>code</title>"


def test_a_program_that_follows_docs_url_reads_json(browser: httpx.Client) -> None:
    answer = browser.get("/api/v1/errors/RATE_LIMITED")
    assert (answer.status_code, answer.json()["code"]) == (200, "RATE_LIMITED")
    # Accept alone changes nothing: the contract answers 406 there.
    assert browser.get("/api/v1/errors/RATE_LIMITED", headers={"Accept": "text/html"}).status_code == 406


def test_a_code_without_a_page_stays_json(browser: httpx.Client) -> None:
    for code in ("INTERNAL", "no-such", "..%2f..%2fsecret.txt"):
        assert browser.get(f"/api/v1/errors/{code}", headers=NAVIGATE).headers.get("location") is None


def test_nothing_outside_the_folder_is_served(browser: httpx.Client) -> None:
    for path in (
        "/docs/../secret.txt",
        "/docs/%2e%2e/secret.txt",
        "/docs/..%2fsecret.txt",
        "/docs//etc/passwd",
    ):
        answer = browser.get(path)
        assert answer.status_code == 404, path
        assert "secret" not in answer.text.replace("secret.txt", "")


def test_the_site_is_read_only(browser: httpx.Client) -> None:
    assert browser.post("/docs/").status_code == 405
    assert browser.head("/docs/").status_code == 200


def test_without_a_site_the_path_is_unknown() -> None:
    app = create_app(Settings())
    assert app._part({"type": "http", "method": "GET", "path": "/docs/", "headers": []}) is app._http


def test_a_folder_counts_only_with_a_first_page(tmp_path: Path) -> None:
    found = site_folder()
    assert found is None or (found / "index.html").is_file()
