"""Which WebSockets may be opened, and what is spoken on them."""

from __future__ import annotations

from typing import Protocol

from reference_impl.exchange import RequestHeaders
from reference_impl.policies.errors import ContractError

SUBPROTOCOL = "enterprise-ai.v1"


class SocketPolicy(Protocol):
    """Decides over an upgrade request of a known caller."""

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins whose pages may open one; `*` for all, empty for none."""
        ...

    def subprotocol(self, headers: RequestHeaders) -> str:
        """The subprotocol to speak; raises INVALID_REQUEST if the client offers none that is known."""
        ...

    def check_origin(self, headers: RequestHeaders) -> None:
        """Raise ORIGIN_NOT_ALLOWED for a page that may not."""
        ...


class OneSubprotocol:
    """Speaks one subprotocol, to clients that are no page, and to pages of one origin."""

    def __init__(self, origin: str | None) -> None:
        self.origins = () if origin is None else (origin,)

    def subprotocol(self, headers: RequestHeaders) -> str:
        """RFC 6455 section 4.2.2: the server picks one of those that the client offers."""
        offered = [
            name.strip() for value in headers.all("sec-websocket-protocol") for name in value.split(",")
        ]
        if SUBPROTOCOL in offered:
            return SUBPROTOCOL
        message = f"offer the subprotocol {SUBPROTOCOL}"
        raise ContractError(
            "INVALID_REQUEST",
            f"The Sec-WebSocket-Protocol header does not offer a known subprotocol: {message}.",
            param="Sec-WebSocket-Protocol",
            details={"errors": [{"pointer": "", "message": message}]},
        )

    def check_origin(self, headers: RequestHeaders) -> None:
        """RFC 6455 section 10.2; a client that is no browser sends no Origin."""
        origin = headers.get("origin")
        if origin is not None and "*" not in self.origins and origin not in self.origins:
            raise ContractError(
                "ORIGIN_NOT_ALLOWED", "Pages of this origin may not open a WebSocket.", param="Origin"
            )
