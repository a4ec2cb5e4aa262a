"""The page on which a resource owner allows or denies a client: a plain HTML form, no script, no cookie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from starlette.responses import HTMLResponse, Response

from reference_impl.identity import SCOPES, OAuthClient

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_STYLE = (
    "body{font:1rem/1.5 system-ui;max-width:34rem;margin:3rem auto;padding:0 1rem}button{margin-right:1rem}"
)


@dataclass(frozen=True)
class AuthorizationRequest:
    """A request of a known client with a redirect URI that is its own. `given` are its parameters as sent."""

    client: OAuthClient
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str | None
    challenge: str
    resource: str
    given: Mapping[str, str]


def consent_page(request: AuthorizationRequest, problem: str = "") -> Response:
    """Who asks for what; the form repeats the request, so that the server keeps nothing until it is allowed."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in request.given.items()
    )
    rows = "".join(
        f"<li><code>{escape(scope)}</code> {escape(SCOPES.get(scope, ''))}</li>" for scope in request.scopes
    )
    alert = f'<p role="alert"><strong>{escape(problem)}</strong></p>' if problem else ""
    body = (
        f"<h1>Allow access?</h1><p><strong>{escape(request.client.client_id)}</strong> asks to act for you at "
        f"<code>{escape(request.resource)}</code>:</p><ul>{rows}</ul>{alert}"
        f'<form method="post">{hidden}<p><label for="key">Your API key</label><br>'
        '<input id="key" type="password" name="api_key" autocomplete="off" size="40"></p>'
        '<p><button name="decision" value="allow">Allow</button>'
        '<button name="decision" value="deny">Deny</button></p></form>'
        f"<p>You will be sent to <code>{escape(request.redirect_uri)}</code>.</p>"
    )
    return _page("Allow access?", body, 403 if problem else 200)


def refusal_page(reason: str) -> Response:
    """An end without a redirect."""
    return _page("Not possible", f"<h1>Not possible</h1><p>{escape(reason)}</p>", 400)


def _page(title: str, body: str, status: int) -> Response:
    document = (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><main>{body}</main></body></html>"
    )
    return HTMLResponse(document, status, _HEADERS)
