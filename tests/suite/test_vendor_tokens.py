"""Access tokens judged on a server that is not ours: OpenAI's format, its own issuer, and faults of its own."""

from __future__ import annotations

import base64
import http.server
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

CLIENT, SECRET = "a-client", "a-client-secret-of-24-chars"
TOKENS = ("AUTH-04", "AUTH-26", "AUTH-27", "AUTH-40")


class Vendor:
    """``fault``: what is wrong with how it checks tokens; empty for nothing."""

    def __init__(self, fault: str = "", *, opaque: bool = False) -> None:
        self.fault, self.opaque = fault, opaque
        self.key = RSAKey.generate_key(2048, {"kid": "v1", "use": "sig"})
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.answer(*outer.get(self.path, self.headers.get("Authorization", "")))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.answer(*outer.post(self.path, self.headers.get("Authorization", ""), body))

            def answer(self, status: int, value: Any) -> None:
                content = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Cache-Control", "no-store")
                if status == 401:
                    self.send_header("WWW-Authenticate", "Bearer")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                return

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def get(self, path: str, credential: str) -> tuple[int, Any]:
        if path == "/.well-known/openid-configuration":
            return 200, {"issuer": self.origin, "jwks_uri": f"{self.origin}/keys"}
        if path == "/keys":
            return 200, {"keys": [self.key.as_dict(private=False)]}
        if path == "/v1/models" and self.known(credential):
            return 200, {"object": "list", "data": [{"id": "m-1", "object": "model"}]}
        return (401 if path.startswith("/v1") else 404), {
            "error": {"message": "no", "type": "x", "code": "no"}
        }

    def post(self, path: str, credential: str, _body: bytes) -> tuple[int, Any]:
        if path == "/token":
            expected = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
            if credential != f"Basic {expected}":
                return 401, {"error": "invalid_client"}
            return 200, {"access_token": self.issue(), "token_type": "Bearer", "expires_in": 3600}
        if not self.known(credential):
            return 401, {
                "error": {"message": "no", "type": "invalid_request_error", "code": "invalid_api_key"}
            }
        message = {"role": "assistant", "content": "Yes."}
        usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        return 200, {
            "id": "c-1",
            "object": "chat.completion",
            "model": "m-1",
            "choices": choices,
            "usage": usage,
        }

    def issue(self) -> str:
        if self.opaque:
            return "opaque-token-0123456789"
        claims = {"iss": self.origin, "sub": "s", "exp": int(time.time()) + 3600}
        return jwt.encode({"alg": "RS256", "kid": "v1"}, claims, self.key, algorithms=["RS256"])

    def known(self, credential: str) -> bool:
        token = credential.removeprefix("Bearer ")
        if token in ("sk-vendor", "opaque-token-0123456789"):
            return True
        if token.count(".") != 2:
            return False
        if self.fault == "unverified":
            return True
        header = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
        if self.fault == "none" and header["alg"].lower() == "none":
            return True
        try:
            jwt.decode(token, self.key, algorithms=["RS256"])
        except (JoseError, ValueError):
            return False
        return True


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Any]:
    vendors: list[Vendor] = []

    def judged(vendor: Vendor, *options: str) -> dict[str, Any]:
        vendors.append(vendor)
        report = tmp_path / "report.json"
        subprocess.run(
            [sys.executable, "-c", "from conformance.cli import main; main()", "check", f"{vendor.origin}/v1",
             "--dialect", "openai-chat", "--key", "sk-vendor", "--only", ",".join((*TOKENS, "AUTH-12", "AUTH-30")),
             "--out", str(tmp_path), "--json", str(report), *options],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        found = {v["id"]: v for v in json.loads(report.read_text())["verdicts"]}
        written = [p for p in tmp_path.rglob("*") if p.is_file()]
        for secret in (SECRET.encode(), b"eyJ", b"opaque-token-0123456789"):
            assert [str(p) for p in written if secret in p.read_bytes()] == []
        return found

    yield judged
    for vendor in vendors:
        vendor.server.shutdown()
        vendor.server.server_close()


def client(vendor: Vendor) -> list[str]:
    return ["--oauth-token-url", f"{vendor.origin}/token", "--client-id", CLIENT, "--client-secret", SECRET]


def test_a_vendor_that_checks_its_tokens_passes(run: Any) -> None:
    vendor = Vendor()
    verdicts = run(vendor, *client(vendor))
    assert {i: verdicts[i]["verdict"] for i in (*TOKENS, "AUTH-30")} == dict.fromkeys(
        (*TOKENS, "AUTH-30"), "PASS"
    )


@pytest.mark.parametrize(
    ("fault", "failed"),
    [("unverified", {"AUTH-04", "AUTH-26", "AUTH-27"}), ("none", {"AUTH-26"})],
)
def test_a_vendor_that_does_not_is_found(run: Any, fault: str, failed: set[str]) -> None:
    vendor = Vendor(fault)
    verdicts = run(vendor, *client(vendor))
    assert {i for i in TOKENS if verdicts[i]["verdict"] == "FAIL"} == failed


def test_opaque_tokens_are_not_forged(run: Any) -> None:
    vendor = Vendor(opaque=True)
    verdicts = run(vendor, *client(vendor))
    assert verdicts["AUTH-40"]["verdict"] == "PASS"
    for name in ("AUTH-04", "AUTH-26", "AUTH-27"):
        assert verdicts[name]["verdict"] == "NOT_TESTED"
        assert "no JWT" in verdicts[name]["detail"]


def test_without_a_client_nothing_about_tokens_is_claimed(run: Any) -> None:
    verdicts = run(Vendor())
    for name in (*TOKENS, "AUTH-12", "AUTH-30"):
        assert verdicts[name]["verdict"] == "NOT_TESTED", verdicts[name]
        assert "--client-id" in verdicts[name]["detail"]
