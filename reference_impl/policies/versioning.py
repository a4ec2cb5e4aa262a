"""Versions: of the interface, a date in `API-Version`; and the notices of what will be gone.

`Deprecation` as in RFC 9745, `Sunset` as in RFC 8594, links as in RFC 8288.
"""

from __future__ import annotations

from email.utils import format_datetime
from typing import Protocol

from reference_impl.exchange import Exchange, RequestHeaders
from reference_impl.policies.errors import ContractError
from reference_impl.settings import API_VERSIONS


class Versioning(Protocol):
    """Chooses the interface version of a request, and says what is deprecated."""

    def check(self, headers: RequestHeaders) -> None:
        """Refuse a version this server does not speak."""
        ...

    def headers(self, exchange: Exchange) -> list[tuple[bytes, bytes]]:
        """Response headers that name the version served and carry the exchange's notices."""
        ...


class DatedVersions:
    """The newest version, unless the request names an older one. All are served alike: the newer only add."""

    supported = API_VERSIONS

    def check(self, headers: RequestHeaders) -> None:
        """Raise UNSUPPORTED_API_VERSION, listing what is supported."""
        for wanted in headers.all("api-version"):
            if wanted not in self.supported:
                raise ContractError(
                    "UNSUPPORTED_API_VERSION",
                    f"This API version is not supported; send {self.supported[-1]} or leave the header out.",
                    param="API-Version",
                    details={"supported": list(self.supported)},
                )

    def headers(self, exchange: Exchange) -> list[tuple[bytes, bytes]]:
        """`API-Version`; with a notice also `Deprecation`, `Sunset` and `Link`."""
        wanted = exchange.headers.get("api-version")
        served = wanted if wanted in self.supported else self.supported[-1]
        return [(b"api-version", served.encode()), *self.notice(exchange)]

    def notice(self, exchange: Exchange) -> list[tuple[bytes, bytes]]:
        """Of several notices that of the earliest sunset: the one that needs attention first."""
        if not exchange.notices:
            return []
        notice = min(exchange.notices, key=lambda n: n.sunset_at)
        links = (
            f'<{exchange.link(notice.explained)}>; rel="deprecation"; type="application/json", '
            f'<{exchange.link(notice.successor)}>; rel="successor-version"'
        )
        return [
            (b"deprecation", b"@%d" % int(notice.deprecated_at.timestamp())),
            (b"sunset", format_datetime(notice.sunset_at, usegmt=True).encode()),
            (b"link", links.encode()),
        ]
