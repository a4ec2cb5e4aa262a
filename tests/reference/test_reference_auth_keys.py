"""Where public keys come from: rotation by key id, withdrawn keys, places that fail, the server's own key file."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from auth_material import ec_key, rsa_key, write_jwks
from joserfc.jwk import ECKey, Key, KeySet, OctKey

from reference_impl.oauth import keys as module
from reference_impl.oauth.keys import KeyRing, PublishedKeys, SigningKeysError


class JwksServer:
    """Publishes whatever keys it is given, and counts."""

    def __init__(self) -> None:
        self.document, self.status, self.asked = b"{}", 200, 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.document)))
                self.end_headers()
                self.wfile.write(outer.document)

            def log_message(self, *_: object) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/jwks"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def publish(self, *keys: Key) -> None:
        self.document = json.dumps(KeySet(list(keys)).as_dict(private=False)).encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def jwks() -> Iterator[JwksServer]:
    running = JwksServer()
    yield running
    running.close()


def kid_of(key: Key | None) -> str | None:
    return None if key is None else str(key.kid)


def test_a_new_key_id_makes_the_keys_be_read_again(jwks: JwksServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0.0)

    async def story() -> None:
        source = PublishedKeys(jwks.url)
        jwks.publish(ec_key("one"))
        assert kid_of(await source.find("one")) == "one"
        assert kid_of(await source.find("one")) == "one"
        assert jwks.asked == 1
        jwks.publish(ec_key("two"), rsa_key("three"))
        assert kid_of(await source.find("two")) == "two"
        assert kid_of(await source.find("three")) == "three"
        assert jwks.asked == 2
        # The first key was withdrawn with the same reading.
        assert await source.find("one") is None

    asyncio.run(story())


def test_invented_key_ids_cause_no_flood(jwks: JwksServer) -> None:
    jwks.publish(ec_key("one"))
    source = PublishedKeys(jwks.url)

    async def story() -> None:
        found = await asyncio.gather(*(source.find(f"invented-{n}") for n in range(50)))
        assert set(found) == {None}

    asyncio.run(story())
    assert jwks.asked == 1


def test_a_withdrawn_key_stops_working_when_its_set_is_old(
    jwks: JwksServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    jwks.publish(ec_key("one"))
    source = PublishedKeys(jwks.url)
    assert asyncio.run(source.find("one")) is not None
    jwks.publish(ec_key("two"))
    monkeypatch.setattr(module, "FRESH_S", 0.0)
    assert asyncio.run(source.find("one")) is None


@pytest.mark.parametrize("fault", ["status", "not json", "no keys", "too large", "down"])
def test_a_place_that_fails_leaves_the_known_keys(
    jwks: JwksServer, fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    jwks.publish(ec_key("one"))
    source = PublishedKeys(jwks.url)
    assert asyncio.run(source.find("one")) is not None
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    if fault == "status":
        jwks.status = 503
    elif fault == "down":
        jwks.close()
    else:
        jwks.document = {"not json": b"<html>", "no keys": b'{"keys": []}', "too large": b" " * 300_000}[
            fault
        ]
    assert asyncio.run(source.find("two")) is None
    assert asyncio.run(source.find("one")) is not None
    assert "cannot be read" in caplog.text


def test_only_keys_for_the_two_algorithms_are_taken(tmp_path: Path) -> None:
    p384 = ECKey.generate_key("P-384", {"kid": "p384"})
    secret = OctKey.generate_key(256, {"kid": "oct"})
    encrypting = ECKey.generate_key("P-256", {"kid": "enc", "use": "enc"})
    path = write_jwks(tmp_path / "mixed.json", p384, encrypting, ec_key("good"))
    document = json.loads(path.read_text())
    document["keys"].append(secret.as_dict(private=True))
    path.write_text(json.dumps(document))
    source = PublishedKeys(str(path))
    found = {kid: asyncio.run(source.find(kid)) is not None for kid in ("p384", "oct", "enc", "good")}
    assert found == {"p384": False, "oct": False, "enc": False, "good": True}


def test_the_first_key_of_the_file_signs_and_all_are_published(tmp_path: Path) -> None:
    ring = KeyRing.load(str(write_jwks(tmp_path / "keys.json", ec_key("new"), rsa_key("old"), private=True)))
    assert ring.signing.kid == "new"
    assert [key["kid"] for key in ring.published()["keys"]] == ["new", "old"]
    assert not any(key.keys() & {"d", "p", "q", "k"} for key in ring.published()["keys"])
    assert (
        KeyRing.load(str(write_jwks(tmp_path / "rsa.json", rsa_key("r"), private=True))).algorithm.name
        == "RS256"
    )


@pytest.mark.parametrize("fault", ["missing", "not json", "public", "wrong curve"])
def test_signing_keys_that_cannot_sign_are_one_line(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "keys.json"
    if fault == "not json":
        path.write_text("-----BEGIN PRIVATE KEY-----")
    elif fault == "public":
        write_jwks(path, ec_key("one"))
    elif fault == "wrong curve":
        write_jwks(path, ECKey.generate_key("P-384", {"kid": "x"}), private=True)
    with pytest.raises(SigningKeysError) as problem:
        KeyRing.load(str(path))
    assert str(path) in str(problem.value)
    assert "\n" not in str(problem.value)
