"""TLS at the server, over real sockets: client certificates, and tokens that are bound to one."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from auth_material import Authority, Pair
from reference_server import ReferenceServer

from reference_impl.exchange import Exchange
from reference_impl.identity import AuthSettings
from reference_impl.policies import Policies, default_policies
from reference_impl.policies.auth import BearerCredentials
from reference_impl.policies.tokens import AccessTokens
from reference_impl.settings import Settings
from reference_impl.tls import Tls

ROOT = Path(__file__).parents[2]
SETTINGS = Settings(auth=AuthSettings(mutual_tls=True))


class Pki:
    """Our authority with a server and two clients, and a stranger with a client of its own."""

    def __init__(self, folder: Path) -> None:
        self.ours, strangers = Authority(folder, "ours"), Authority(folder, "strangers")
        self.server = self.ours.issue("server")
        self.alice, self.bob = self.ours.issue("alice"), self.ours.issue("bob")
        self.mallory = strangers.issue("mallory")

    def tls(self, *, required: bool) -> Tls:
        return Tls(str(self.server.certificate), str(self.server.key), str(self.ours.certificate), required)

    def context(self, shown: Pair | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ours.certificate))
        if shown is not None:
            context.load_cert_chain(shown.certificate, shown.key)
        return context

    def client(
        self, server: ReferenceServer, shown: Pair | None = None, token: str | None = None
    ) -> httpx.Client:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.Client(
            base_url=server.origin, verify=self.context(shown), headers=headers, trust_env=False
        )

    def token(self, server: ReferenceServer, shown: Pair | None) -> str:
        with self.client(server, shown) as client:
            answer = client.post(
                "/oauth/token",
                data={"grant_type": "client_credentials"},
                auth=("demo-service", "demo-service-secret"),
            )
        token: str = answer.json()["access_token"]
        return token

    def me(self, server: ReferenceServer, shown: Pair | None, token: str) -> httpx.Response:
        with self.client(server, shown, token) as client:
            return client.get("/api/v1/me")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def optional(pki: Pki) -> Iterator[ReferenceServer]:
    with ReferenceServer(SETTINGS, tls=pki.tls(required=False)) as running:
        yield running


@pytest.fixture(scope="module")
def strict(pki: Pki) -> Iterator[ReferenceServer]:
    with ReferenceServer(SETTINGS, tls=pki.tls(required=True)) as running:
        yield running


def test_without_a_certificate_there_is_no_connection(pki: Pki, strict: ReferenceServer) -> None:
    assert pki.me(strict, pki.alice, "sk-demo").status_code == 200
    with pytest.raises(httpx.TransportError):
        pki.me(strict, None, "sk-demo")


@pytest.mark.parametrize("which", ["strict", "optional"])
def test_a_certificate_of_another_authority_is_refused(
    pki: Pki, which: str, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(httpx.TransportError):
        pki.me(request.getfixturevalue(which), pki.mallory, "sk-demo")


def test_a_bound_token_works_with_its_certificate_only(pki: Pki, optional: ReferenceServer) -> None:
    token = pki.token(optional, pki.alice)
    assert pki.me(optional, pki.alice, token).status_code == 200
    for shown in (pki.bob, None):
        refused = pki.me(optional, shown, token)
        assert refused.status_code == 401
        assert 'error="invalid_token"' in refused.headers["www-authenticate"]


def test_a_token_that_was_issued_without_a_certificate_is_not_bound(
    pki: Pki, optional: ReferenceServer
) -> None:
    token = pki.token(optional, None)
    assert pki.me(optional, None, token).status_code == 200
    assert pki.me(optional, pki.bob, token).status_code == 200


@pytest.mark.parametrize(
    "name", ["Client-Cert", "X-Client-Cert", "aiconform.certificate", "X-SSL-Client-Cert"]
)
def test_no_header_stands_for_a_certificate(pki: Pki, optional: ReferenceServer, name: str) -> None:
    token = pki.token(optional, pki.alice)
    shown = pki.alice.certificate.read_text().replace("\n", "")
    with pki.client(optional, None, token) as client:
        assert client.get("/api/v1/me", headers={name: shown}).status_code == 401


def test_every_request_of_a_connection_has_its_certificate(pki: Pki, optional: ReferenceServer) -> None:
    token = pki.token(optional, pki.alice)
    with pki.client(optional, pki.alice, token) as client:
        assert [client.get("/api/v1/me").status_code for _ in range(3)] == [200, 200, 200]


def test_metadata_and_capabilities_say_so(pki: Pki, optional: ReferenceServer) -> None:
    with pki.client(optional) as client:
        metadata = client.get("/.well-known/oauth-authorization-server").json()
        assert metadata["tls_client_certificate_bound_access_tokens"] is True
        assert metadata["issuer"] == optional.origin
        assert optional.origin.startswith("https://")
        offered = client.get("/api/v1/capabilities").json()["capabilities"]["auth"]
    assert offered["mtls"] == {"bound_tokens": True}


def test_old_tls_and_plain_http_are_refused(pki: Pki, optional: ReferenceServer) -> None:
    context = pki.context(None)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with (
        socket.create_connection(("127.0.0.1", optional.port), 5) as plain,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(plain, server_hostname="127.0.0.1")
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{optional.port}/api/v1/me", trust_env=False)


class _Unbound(AccessTokens):
    def bound_here(self, exchange: Exchange, claims: Any) -> bool:
        return True


def test_a_server_that_ignores_the_binding_is_seen_by_the_same_requests(pki: Pki) -> None:
    """The tests above can fail: a defect in the one policy changes what they look at."""
    policies: Policies = default_policies(SETTINGS)
    auth = policies.auth
    assert isinstance(auth, BearerCredentials)
    assert isinstance(auth.tokens, AccessTokens)
    broken = replace(policies, auth=replace(auth, tokens=_Unbound(**vars(auth.tokens))))
    with ReferenceServer(SETTINGS, broken, tls=pki.tls(required=False)) as server:
        assert pki.me(server, pki.bob, pki.token(server, pki.alice)).status_code == 200


def test_the_command_serves_tls(pki: Pki) -> None:
    options = [
        "--tls-cert",
        pki.server.certificate,
        "--tls-key",
        pki.server.key,
        "--client-ca",
        pki.ours.certificate,
    ]
    command = [sys.executable, "-m", "reference_impl", "--port", "0", "--db", ":memory:", *map(str, options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as running:
        try:
            assert running.stdout is not None
            url = running.stdout.readline().split()[1]
            assert url.startswith("https://127.0.0.1:")
            with httpx.Client(verify=pki.context(pki.alice), trust_env=False) as client:
                assert client.get(f"{url}/health").status_code == 200
        finally:
            running.terminate()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--tls-cert", "x.pem"], "give both --tls-cert and --tls-key"),
        (["--client-ca", "x.pem"], "--client-ca needs"),
        (["--tls-cert", "/no/such.pem", "--tls-key", "/no/such.key"], "cannot be used"),
        (["--jwt-issuer", "https://x"], "give all of"),
        (["--jwt-leeway-s", "61"], "from 0 to 60"),
        (["--public-url", "ai.example"], "is an origin"),
        (["--public-url", "https://ai.example/api"], "is an origin"),
        (["--signing-keys", "/no/such.json"], "cannot be read"),
    ],
)
def test_options_that_cannot_work_are_one_clear_line(options: list[str], says: str) -> None:
    command = [sys.executable, "-m", "reference_impl", "--port", "0", "--db", ":memory:", *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=ROOT, check=False)
    assert ended.returncode == 2
    assert says in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
