"""The documentation site, where it was built (``make docs``) or came with the package."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reference_impl.settings import BASE_PATH

SITE_PATH = "/docs"

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_REPORTS = f"{SITE_PATH}/reports/"
"""Their own policy names their script by its hash."""


def site_folder() -> Path | None:
    """The folder of the site: in the package, else what ``make docs`` wrote in this checkout, else None."""
    package = Path(__file__).parents[1]
    candidates = (package / "site", package.parent / "dist" / "site")
    return next((folder for folder in candidates if (folder / "index.html").is_file()), None)


class Site:
    """ASGI: the pages below ``/docs``. A person whose browser follows an error's ``docs_url`` is sent to the code's
    page; a program gets JSON there, as the contract says, since only browsers send ``Sec-Fetch-Mode: navigate``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: ASGIApp = Starlette(routes=[Mount(SITE_PATH, StaticFiles(directory=folder, html=True))])

    def serves(self, scope: Scope) -> bool:
        """Whether this request is for the site."""
        path = scope["path"]
        return path == SITE_PATH or path.startswith(SITE_PATH + "/") or self._page(scope) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        page = self._page(scope) or (f"{SITE_PATH}/" if scope["path"] == SITE_PATH else None)
        if page is not None:
            answer = RedirectResponse(scope.get("aiconform.prefix", "") + page, 303)
            answer.headers["Vary"] = "Sec-Fetch-Mode"
            answer.headers["Cache-Control"] = "no-store"
            await answer(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                if not scope["path"].startswith(_REPORTS):
                    headers["Content-Security-Policy"] = _POLICY
            await send(message)

        await self._files(scope, receive, sending)

    def _page(self, scope: Scope) -> str | None:
        """Where a browser that opens an address of the API finds a page about it."""
        if scope["method"] not in ("GET", "HEAD") or Headers(scope=scope).get("sec-fetch-mode") != "navigate":
            return None
        if scope["path"] == "/":
            return f"{SITE_PATH}/"
        code = scope["path"].removeprefix(f"{BASE_PATH}/errors/")
        known = code.isascii() and code.replace("_", "").isalnum()
        if known and (self._folder / "errors" / code / "index.html").is_file():
            return f"{SITE_PATH}/errors/{code}/"
        return None
