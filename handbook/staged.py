"""Servers for examples that a key alone does not show: the API's own document is needed, or mutual TLS."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from conformance.cli.local_server import local_server
from conformance.target import ClientCertificate, OAuth, Target

DOCUMENTED: Mapping[str, tuple[str, ...]] = {
    "crash-on-invalid-field": ("GEN-05",),
    "invalid-taken": ("GEN-06",),
    "schema-broken": ("GEN-07",),
    "hidden-rule": ("GEN-08",),
}
"""Mutants that also break these requirements, where the tester gives the contract's own document as the API's."""

UNBOUND = "reference_impl.mutants.unbound"
_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class OverTls:
    """The reference and the mutant that is one only over mutual TLS, as targets with a client certificate."""

    reference: Target
    unbound: Target


@contextmanager
def over_tls() -> Iterator[OverTls]:
    """Both, started; they ask for a certificate and do without."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aiconform-tls-")))
        _certificates(folder)
        options = (
            "--db", ":memory:", "--tls-cert", str(folder / "server.pem"), "--tls-key", str(folder / "server.key"),
            "--client-ca", str(folder / "ca.pem"), "--client-cert", "optional",
        )  # fmt: skip
        kept, broken = (stack.enter_context(local_server(m, *options)) for m in ("reference_impl", UNBOUND))
        yield OverTls(_target(kept, folder), _target(broken, folder))


def _target(url: str, folder: Path) -> Target:
    return Target(
        url,
        "contract",
        keys={"main": "sk-demo"},
        ca_bundle=str(folder / "ca.pem"),
        certificate=ClientCertificate(str(folder / "client.pem"), str(folder / "client.key")),
        oauth=OAuth(url.removesuffix("/api/v1") + "/oauth/token", "demo-service", "demo-service-secret"),
    )


def _certificates(folder: Path) -> None:
    """An authority, and a server's and a client's certificate of it."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    openssl("req", "-x509", *_CURVE, "-subj", "/CN=ca", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n", "utf-8")
    for name in ("server", "client"):
        openssl("req", *_CURVE, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", "names", "-out", f"{name}.pem")  # fmt: skip
