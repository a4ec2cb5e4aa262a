"""Errors and answers of the authorization server, in the forms of RFC 6749 and not of the API's envelope."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit, urlunsplit

from starlette.responses import JSONResponse, RedirectResponse, Response

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class OAuthError(Exception):
    """An error of RFC 6749 section 5.2 or 4.1.2.1."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(error, description)
        self.error, self.description, self.status = error, description, status


def token_error(problem: OAuthError) -> Response:
    """The answer of the token endpoint (RFC 6749 section 5.2)."""
    headers = dict(NO_STORE)
    if problem.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="aiconform-token"'
    body = {"error": problem.error, "error_description": problem.description}
    return JSONResponse(body, problem.status, headers)


def back_to_client(redirect_uri: str, issuer: str, state: str | None, **parameters: str) -> Response:
    """The redirect with the outcome of an authorization request, and who answered (RFC 9207)."""
    given = {**parameters, **({} if state is None else {"state": state}), "iss": issuer}
    parts = urlsplit(redirect_uri)
    query = "&".join(text for text in (parts.query, urlencode(given)) if text)
    target = urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))
    return RedirectResponse(target, 303, {**NO_STORE, "Referrer-Policy": "no-referrer"})
