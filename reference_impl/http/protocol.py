"""uvicorn's protocols, with the contract's envelope for requests that are no HTTP at all."""

from __future__ import annotations

import secrets
from http import HTTPStatus

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from reference_impl.http.answers import encode
from reference_impl.settings import API_VERSION, BASE_PATH
from spec.errors import ERRORS


class EnvelopeProtocol(HttpToolsProtocol):
    """Differs from uvicorn's in one answer: a malformed request gets INVALID_REQUEST, not plain text."""

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
