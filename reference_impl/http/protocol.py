"""uvicorn's protocols, with two things it lacks: the contract's envelope for requests that are no HTTP at all,
and the client's certificate in the ASGI scope.
"""

from __future__ import annotations

import asyncio
import secrets
from http import HTTPStatus
from typing import Any, cast

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from reference_impl.http.answers import encode
from reference_impl.settings import API_VERSION, BASE_PATH
from reference_impl.tls import thumbprint
from spec.errors import ERRORS


class EnvelopeProtocol(HttpToolsProtocol):
    """A malformed request gets INVALID_REQUEST, not plain text.

    `scope["aiconform.certificate"]` is the thumbprint of the certificate that the client of a mutual TLS connection
    has shown and TLS has verified. It comes from the connection; no header can set it.
    """

    _certificate: str | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The handshake is over: whoever is there has shown what they have."""
        self._certificate = thumbprint(transport)
        super().connection_made(transport)

    def on_message_begin(self) -> None:
        """Every request of the connection carries its certificate."""
        super().on_message_begin()
        cast(dict[str, Any], self.scope)["aiconform.certificate"] = self._certificate

    def send_400_response(self, msg: str) -> None:
        """Answer and close: where the next request would begin, nobody can know."""
        entry, request_id = ERRORS["INVALID_REQUEST"], f"req_{secrets.token_hex(16)}"
        error = {
            "code": entry.code,
            "message": "This is not a valid HTTP/1.1 request.",
            "details": {"errors": [{"pointer": "", "message": "the request line or a header is malformed"}]},
            "type": entry.type,
            "param": None,
            "retryable": entry.retryable,
            "request_id": request_id,
            "docs_url": f"{self._origin()}{BASE_PATH}/errors/{entry.code}",
        }
        body = encode({"error": error})
        head = [
            f"HTTP/1.1 {entry.status} {HTTPStatus(entry.status).phrase}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            "connection: close",
            "cache-control: no-store",
            f"x-request-id: {request_id}",
            f"api-version: {API_VERSION}",
            f'server-timing: trace;desc="00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"',
        ]
        self.transport.write("\r\n".join([*head, "", ""]).encode() + body)
        self.transport.close()

    def _origin(self) -> str:
        name, port = self.server or ("localhost", None)
        return f"{self.scheme}://{name}" + (f":{port}" if port else "")


class DenyingSockets(WebSocketsSansIOProtocol):
    """Differs from uvicorn's in the log: an upgrade that was refused in HTTP is no handshake left incomplete."""

    async def send(self, message: ASGISendEvent) -> None:
        """Send, and take a whole denial response for the end of the handshake."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True
