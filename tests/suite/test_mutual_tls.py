"""A whole run over mutual TLS, on the reference and on one that ignores to which certificate a token is bound."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and a server's and a client's certificate of it, made with openssl."""
    folder = tmp_path_factory.mktemp("mtls")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *curve, "-subj", "/CN=ca", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl("req", *curve, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", "names", "-out", f"{name}.pem")  # fmt: skip
    return folder


def judged(files: Path, out: Path, server: tuple[str, ...], demand: str) -> dict[str, Any]:
    command = [
        sys.executable, *server, "--port", "0", "--db", ":memory:", "--tls-cert", str(files / "server.pem"),
        "--tls-key", str(files / "server.key"), "--client-ca", str(files / "ca.pem"), "--client-cert", demand,
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as running:
        try:
            assert running.stdout is not None
            url = running.stdout.readline().split()[1]
            check = [
                "check", url, "--key", "sk-demo", "--only", "AUTH-14,AUTH-40", "--ca-bundle", str(files / "ca.pem"),
                "--client-cert", str(files / "client.pem"), "--client-cert-key", str(files / "client.key"),
                "--oauth-token-url", url.removesuffix("/api/v1") + "/oauth/token", "--client-id", "demo-service",
                "--client-secret", "demo-service-secret", "--out", str(out), "--json", str(out / "report.json"),
            ]  # fmt: skip
            suite = [sys.executable, "-c", "from conformance.cli import main; main()", *check]
            done = subprocess.run(suite, capture_output=True, text=True, timeout=120, check=False)
        finally:
            running.terminate()
    assert (out / "report.json").exists(), done.stdout + done.stderr
    return {v["id"]: v for v in json.loads((out / "report.json").read_text())["verdicts"]}


@pytest.mark.parametrize(
    ("demand", "detail"), [("optional", "answered 401"), ("required", "no connection without a certificate")]
)
def test_a_bound_token_is_judged_bound(files: Path, tmp_path: Path, demand: str, detail: str) -> None:
    verdicts = judged(files, tmp_path, ("-m", "reference_impl"), demand)
    assert (verdicts["AUTH-40"]["verdict"], verdicts["AUTH-14"]["verdict"]) == ("PASS", "PASS")
    assert verdicts["AUTH-14"]["detail"] == detail


def test_a_server_that_ignores_the_binding_is_found(files: Path, tmp_path: Path) -> None:
    verdicts = judged(files, tmp_path, ("-m", "reference_impl.mutants.unbound"), "optional")
    assert (verdicts["AUTH-40"]["verdict"], verdicts["AUTH-14"]["verdict"]) == ("PASS", "WARN")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--client-cert", "x.pem"], "give both --client-cert and --client-cert-key"),
        (["--client-cert", "/no/c.pem", "--client-cert-key", "/no/c.key"], "cannot be used"),
    ],
)
def test_a_certificate_that_cannot_be_shown_is_one_line(
    options: list[str], says: str, tmp_path: Path
) -> None:
    suite = [
        sys.executable,
        "-c",
        "from conformance.cli import main; main()",
        "check",
        "https://127.0.0.1:1/v1",
    ]
    done = subprocess.run(
        [*suite, *options, "--out", str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
