"""The curl line means exactly the request that was recorded, in a real shell."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace

import pytest
import report_samples as samples

from conformance.evidence import Exchange, Sent
from conformance.report.curl import curl_line

BASH = shutil.which("bash")


def sent(*headers: tuple[str, str], body: bytes = b"", method: str = "POST", path: str = "/chat") -> Exchange:
    return samples.exchange("x0001", sent=Sent(method, samples.BASE + path, headers, body))


def words(exchange: Exchange) -> list[str]:
    """The arguments that a shell makes of the line."""
    assert BASH is not None
    line = curl_line(exchange)
    assert line.isprintable()
    script = f"curl() {{ printf '%s\\0' \"$@\"; }}; {line}"
    keys = {"AICONFORM_KEY": "the key", "AICONFORM_LIMITED_KEY": "limited key", "X_TENANT": "tenant"}
    done = subprocess.run([BASH, "-c", script], capture_output=True, check=True, env=keys)
    return done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]


@pytest.mark.parametrize(
    "body",
    [
        '{"a":"it\'s $HOME `id` \\n"}',
        "@/etc/hostname",
        "line\nline\ttab \x1b[31m \u202e é",
        "\\' $(id) \"",
        "-X",
    ],
)
def test_any_body_reaches_curl_byte_for_byte(body: str) -> None:
    found = words(sent(("Content-Type", "text/plain"), ("Accept", "*/*"), body=body.encode()))
    assert found[found.index("--data-raw") + 1] == body


@pytest.mark.parametrize("body", [b"a\0b", b"\xff\xfe", b"x" * 5000])
def test_a_body_that_is_no_argument_comes_from_the_evidence(body: bytes) -> None:
    found = words(sent(body=body))
    assert found[found.index("--data-binary") + 1] == "@exchanges/x0001.request"


def test_the_credential_is_a_variable_of_its_principal() -> None:
    exchange = sent(("Authorization", "Bearer [redacted 7 chars]"), ("X-Tenant", "[redacted 4 chars]"))
    found = words(exchange)
    assert "Authorization: Bearer the key" in found
    assert "X-Tenant: tenant" in found
    assert "Authorization: Bearer limited key" in words(replace(exchange, principal="limited"))


def test_curl_adds_no_header_that_was_not_sent() -> None:
    assert {"Accept:", "Content-Type:"} <= set(words(sent(body=b"x")))
    found = words(sent(("accept", "*/*"), ("X-Empty", ""), ("User-Agent", "aiconform"), body=b""))
    assert "Accept:" not in found
    assert "X-Empty;" in found
    assert not any(w.startswith(("User-Agent", "Content-Type")) for w in found)


def test_options_follow_the_exchange() -> None:
    stream = samples.stream("x0002", (0.1, b"data: x\n\n"), left_at=1.25)
    assert {"-N", "-m", "1.2"} <= set(words(stream))
    assert "-g" in words(sent(path="/models/[a]"))
    assert "--path-as-is" in words(sent(path="/models/../keys"))
    assert "-I" in words(sent(method="HEAD"))
    assert "-X" not in words(sent(method="GET"))
    assert "--compressed" in words(samples.exchange("x0001", headers=(("Content-Encoding", "gzip"),)))
