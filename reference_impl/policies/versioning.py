"""The interface version: a date in `API-Version`, optional in a request, present in every response."""

from __future__ import annotations

from typing import Protocol

from reference_impl.exchange import RequestHeaders
from reference_impl.policies.errors import ContractError
from reference_impl.settings import API_VERSION


class Versioning(Protocol):
    """Chooses the interface version of a request."""

    def check(self, headers: RequestHeaders) -> None:
        """Refuse a version this server does not speak."""
        ...

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Response headers that name the version served."""
        ...


class DatedVersions:
    """One supported version; the absence of the header means that one."""

    supported = (API_VERSION,)

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

    def headers(self) -> list[tuple[bytes, bytes]]:
        """`API-Version`."""
        return [(b"api-version", self.supported[-1].encode())]
