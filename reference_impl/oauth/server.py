"""The authorization server: token endpoint, authorization endpoint, metadata. For demonstration and tests.

RFC 6749 (client credentials, authorization code), 7636 (PKCE), 8414 and 9728 (metadata), 8707 (resource), 9207
(issuer in the response), 8705 (bound tokens). Why no library: docs/decisions/0006-authentication.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from reference_impl.exchange import Exchange
from reference_impl.http.body import read_body
from reference_impl.identity import SCOPES, OAuthClient
from reference_impl.oauth.answers import NO_STORE, OAuthError, back_to_client, token_error
from reference_impl.oauth.consent import AuthorizationRequest, consent_page, refusal_page
from reference_impl.oauth.forms import Form, basic_credentials, read_form
from reference_impl.oauth.issuing import Order, access_token, grantable
from reference_impl.oauth.keys import KeyRing
from reference_impl.outages import RETRY_S, OutageError
from reference_impl.policies.auth import ApiKeys
from reference_impl.policies.challenges import (
    RESOURCE_METADATA,
    SERVER_METADATA,
    issuer_of,
    resource_of,
)
from reference_impl.policies.errors import ContractError
from reference_impl.policies.grants import GrantRules
from reference_impl.settings import BASE_PATH, Settings
from reference_impl.store.codes import Codes, Grant

AUTHORIZE, TOKEN, JWKS = "/oauth/authorize", "/oauth/token", "/oauth/jwks"
_PATHS = frozenset((SERVER_METADATA, f"{RESOURCE_METADATA}{BASE_PATH}", JWKS, TOKEN, AUTHORIZE))
_LARGEST_FORM = 16_384
_ONCE = ("client_credentials", "authorization_code")


@dataclass(frozen=True)
class AuthorizationServer:
    """ASGI, beside the API and not below its base path."""

    settings: Settings
    keys: KeyRing
    api_keys: ApiKeys
    grants: GrantRules
    codes: Codes
    open_exchange: Callable[[Scope], Exchange]

    def serves(self, path: str) -> bool:
        """Whether a path is one of this server's."""
        return path in _PATHS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        exchange = self.open_exchange(scope)
        methods = self._routes()[scope["path"]]
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        if method not in methods:
            response: Response = Response(status_code=405, headers={"Allow": ", ".join(methods)})
        else:
            try:
                body = await read_body(receive, _LARGEST_FORM) if method == "POST" else b""
                response = await methods[method](exchange, scope, body)
            except ContractError:
                response = token_error(OAuthError("invalid_request", "The form is too large.", 413))
            except OutageError:
                # RFC 6749 section 4.1.2.1 has the code; at the token endpoint no other says as much.
                response = token_error(
                    OAuthError("temporarily_unavailable", "The server cannot reach its database.", 503)
                )
                response.headers["Retry-After"] = str(RETRY_S)
        await response(scope, receive, send)

    def _routes(self) -> Mapping[str, Mapping[str, Callable[[Exchange, Scope, bytes], Awaitable[Response]]]]:
        return {
            SERVER_METADATA: {"GET": self._server_metadata},
            f"{RESOURCE_METADATA}{BASE_PATH}": {"GET": self._resource_metadata},
            JWKS: {"GET": self._jwks},
            TOKEN: {"POST": self._token},
            AUTHORIZE: {"GET": self._ask, "POST": self._decide},
        }

    # ---- what clients read first

    async def _server_metadata(self, exchange: Exchange, _scope: Scope, _body: bytes) -> Response:
        issuer = issuer_of(exchange)
        return JSONResponse(
            {
                "issuer": issuer,
                "authorization_endpoint": issuer + AUTHORIZE,
                "token_endpoint": issuer + TOKEN,
                "jwks_uri": issuer + JWKS,
                "scopes_supported": list(SCOPES),
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": list(_ONCE),
                "token_endpoint_auth_methods_supported": [
                    "client_secret_basic",
                    "client_secret_post",
                    "none",
                ],
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": True,
                "tls_client_certificate_bound_access_tokens": self.settings.auth.mutual_tls,
            }
        )

    async def _resource_metadata(self, exchange: Exchange, _scope: Scope, _body: bytes) -> Response:
        trusted = [known.issuer for known in self.settings.auth.trusted_issuers]
        return JSONResponse(
            {
                "resource": resource_of(exchange),
                "authorization_servers": [issuer_of(exchange), *trusted],
                "jwks_uri": issuer_of(exchange) + JWKS,
                "scopes_supported": list(SCOPES),
                "bearer_methods_supported": ["header"],
                "resource_documentation": exchange.url("/openapi.json"),
                "tls_client_certificate_bound_access_tokens": self.settings.auth.mutual_tls,
            }
        )

    async def _jwks(self, _exchange: Exchange, _scope: Scope, _body: bytes) -> Response:
        return JSONResponse(self.keys.published(), media_type="application/jwk-set+json")

    # ---- the token endpoint

    async def _token(self, exchange: Exchange, _scope: Scope, body: bytes) -> Response:
        try:
            form = read_form(exchange, body)
            client = self._client(exchange, form)
            order = await self._order(exchange, form, client)
        except OAuthError as problem:
            return token_error(problem)
        answer = {
            "access_token": access_token(self.keys, order),
            "token_type": "Bearer",
            "expires_in": order.seconds,
            "scope": order.scope,
        }
        return JSONResponse(answer, headers=NO_STORE)

    def _client(self, exchange: Exchange, form: Form) -> OAuthClient:
        """Client authentication (RFC 6749 section 2.3). An unknown client and a wrong secret are one error."""
        basic = basic_credentials(exchange)
        if basic is not None and "client_secret" in form:
            raise OAuthError("invalid_request", "Authenticate in the header or in the form, not in both.")
        client_id, secret = basic or (form.get("client_id", ""), form.get("client_secret"))
        client = self.grants.client(self.settings.auth.clients, client_id, secret)
        if client is None or form.get("client_id", client_id) != client_id:
            raise OAuthError("invalid_client", "Client authentication failed.", 401)
        return client

    async def _order(self, exchange: Exchange, form: Form, client: OAuthClient) -> Order:
        kind = form.get("grant_type")
        if kind is None:
            raise OAuthError("invalid_request", "grant_type is missing.")
        if kind not in _ONCE:
            raise OAuthError("unsupported_grant_type", "Use client_credentials or authorization_code.")
        if kind not in client.grants:
            raise OAuthError("unauthorized_client", "This client may not use this grant.")
        if kind == "authorization_code":
            grant = await self._redeemed(form, client)
            subject, scope, resource = grant.principal, grant.scope, form.get("resource", grant.resource)
            if resource != grant.resource:
                raise OAuthError("invalid_target", "The code is for another resource.")
        else:
            if client.secret_sha256 is None:
                raise OAuthError("unauthorized_client", "A public client has no credentials of its own.")
            subject, scope = client.principal, " ".join(self._scopes(form, client))
            resource = self._resource(exchange, form)
        return Order(
            issuer_of(exchange), resource, subject, client.client_id, scope, self._seconds(form),
            exchange.client_certificate,
        )  # fmt: skip

    async def _redeemed(self, form: Form, client: OAuthClient) -> Grant:
        """The grant behind a code. A code is used up by the attempt, also by one that fails."""
        grant = await self.grants.take(self.codes, form.get("code", ""))
        if (
            grant is None
            or grant.client_id != client.client_id
            or grant.redirect_uri != form.get("redirect_uri")
            or not self.grants.verifier_fits(grant.challenge, form.get("code_verifier"))
        ):
            raise OAuthError(
                "invalid_grant", "The code is not valid for this client, redirect_uri and verifier."
            )
        return grant

    def _scopes(self, form: Form, client: OAuthClient) -> list[str]:
        asked = form["scope"].split() if form.get("scope") else sorted(client.scopes)
        granted = grantable(client.scopes, asked)
        if len(granted) < len(asked):
            raise OAuthError("invalid_scope", "The client may not have all of these scopes.")
        return granted

    def _resource(self, exchange: Exchange, form: Form) -> str:
        resource = form.get("resource", resource_of(exchange))
        if resource not in (resource_of(exchange), *self.settings.auth.other_resources):
            raise OAuthError("invalid_target", "There is no such resource.")
        return resource

    def _seconds(self, form: Form) -> int:
        """How long the token will live: never longer than configured, shorter if the client asks for it."""
        text = form.get("expires_in", str(self.settings.auth.token_seconds))
        if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) > 0):
            raise OAuthError("invalid_request", "expires_in is a number of seconds above 0.")
        return min(int(text), self.settings.auth.token_seconds)

    # ---- the authorization endpoint

    async def _ask(self, exchange: Exchange, scope: Scope, _body: bytes) -> Response:
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        request = self._request(exchange, pairs)
        return consent_page(request) if isinstance(request, AuthorizationRequest) else request

    async def _decide(self, exchange: Exchange, _scope: Scope, body: bytes) -> Response:
        """The resource owner signs in with an API key in the same form: no cookie, so nothing to forge."""
        pairs = parse_qsl(body.decode("latin-1"), keep_blank_values=True)
        request = self._request(exchange, pairs)
        if not isinstance(request, AuthorizationRequest):
            return request
        issuer, form = issuer_of(exchange), dict(pairs)
        if form.get("decision") != "allow":
            return back_to_client(request.redirect_uri, issuer, request.state, error="access_denied")
        owner = self.api_keys.find(form.get("api_key", ""))
        if owner is None:
            return consent_page(request, "This key is not valid.")
        granted = grantable(owner.scopes, request.scopes)
        if not granted:
            return back_to_client(request.redirect_uri, issuer, request.state, error="access_denied")
        grant = Grant(
            request.client.client_id, owner.name, " ".join(granted), request.redirect_uri, request.challenge,
            request.resource,
        )  # fmt: skip
        code = await self.codes.add(grant, self.settings.auth.code_seconds)
        return back_to_client(request.redirect_uri, issuer, request.state, code=code)

    def _request(self, exchange: Exchange, pairs: list[tuple[str, str]]) -> AuthorizationRequest | Response:
        """A request that may be shown to the resource owner, or the answer that ends it.

        Until client and redirect URI are known to belong together, nothing is sent anywhere.
        """
        given = dict(pairs)
        client = next((c for c in self.settings.auth.clients if c.client_id == given.get("client_id")), None)
        redirect_uri = given.get("redirect_uri", "")
        if (
            len(given) < len(pairs)
            or client is None
            or not self.grants.redirect_allowed(client, redirect_uri)
        ):
            return refusal_page("The request does not come from a client that is known here.")
        try:
            return self._checked(exchange, given, client, redirect_uri)
        except OAuthError as problem:
            return back_to_client(
                redirect_uri, issuer_of(exchange), given.get("state"),
                error=problem.error, error_description=problem.description,
            )  # fmt: skip

    def _checked(
        self, exchange: Exchange, given: Form, client: OAuthClient, redirect_uri: str
    ) -> AuthorizationRequest:
        if given.get("response_type") != "code":
            raise OAuthError("unsupported_response_type", "Only response_type=code is supported.")
        if "authorization_code" not in client.grants:
            raise OAuthError("unauthorized_client", "This client may not use this grant.")
        challenge = given.get("code_challenge")
        if not self.grants.challenge_allowed(challenge, given.get("code_challenge_method")):
            raise OAuthError("invalid_request", "PKCE is required: code_challenge with the method S256.")
        return AuthorizationRequest(
            client=client,
            redirect_uri=redirect_uri,
            scopes=tuple(self._scopes(given, client)),
            state=given.get("state"),
            challenge=challenge or "",
            resource=self._resource(exchange, given),
            given={name: value for name, value in given.items() if name not in ("api_key", "decision")},
        )
