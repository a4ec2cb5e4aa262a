"""TLS at the server itself: its certificate, and the authority whose client certificates it takes."""

from __future__ import annotations

import base64
import hashlib
import ssl
from dataclasses import dataclass
from typing import Any


class TlsFilesError(Exception):
    """A certificate or key cannot be used; the message says which and what to do."""


@dataclass(frozen=True)
class Tls:
    """PEM files. With `client_ca`, clients may show a certificate of that authority, and must if `required`."""

    certificate: str
    key: str
    client_ca: str | None = None
    required: bool = True

    def for_uvicorn(self) -> dict[str, Any]:
        """The options of `uvicorn.Config`; Python's defaults refuse everything below TLS 1.2."""
        demanded = ssl.CERT_REQUIRED if self.required else ssl.CERT_OPTIONAL
        return {
            "ssl_certfile": self.certificate,
            "ssl_keyfile": self.key,
            "ssl_ca_certs": self.client_ca,
            "ssl_cert_reqs": ssl.CERT_NONE if self.client_ca is None else demanded,
        }

    def check(self) -> None:
        """Raise TlsFilesError for files with which no server could start."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.certificate, self.key)
        except OSError as problem:
            raise TlsFilesError(
                f"--tls-cert {self.certificate} and --tls-key {self.key} cannot be used: {_reason(problem)}; "
                "give a PEM certificate and its private key"
            ) from None
        if self.client_ca is not None:
            try:
                context.load_verify_locations(self.client_ca)
            except OSError as problem:
                raise TlsFilesError(
                    f"--client-ca {self.client_ca} cannot be used: {_reason(problem)}; give PEM certificates"
                ) from None


def thumbprint(transport: Any) -> str | None:
    """`x5t#S256` (RFC 8705 section 3.1) of the certificate that a connection's client has shown, if it did."""
    connection = transport.get_extra_info("ssl_object")
    shown = None if connection is None else connection.getpeercert(binary_form=True)
    if not shown:
        return None
    return base64.urlsafe_b64encode(hashlib.sha256(shown).digest()).rstrip(b"=").decode()


def _reason(problem: OSError) -> str:
    # ssl.SSLError is an OSError whose strerror is empty or a code; its reason is a word.
    return getattr(problem, "reason", None) or problem.strerror or str(problem)
