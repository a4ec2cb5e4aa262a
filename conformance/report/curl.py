"""The command line that sends a recorded request again, from inside the evidence folder."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress

from conformance.evidence import Exchange
from conformance.wire.redact import CREDENTIAL_HEADERS

_IMPLIED = {"host", "content-length", "user-agent", "accept-encoding", "connection"}
_KEYS = {
    "main": "AICONFORM_KEY",
    "other": "AICONFORM_OTHER_KEY",
    "limited": "AICONFORM_LIMITED_KEY",
    "narrow": "AICONFORM_NARROW_KEY",
    "budget": "AICONFORM_BUDGET_KEY",
}
_REDACTED = re.compile(r"([A-Za-z0-9-]+ )?\[redacted \d+ chars\]")
_LONGEST = 2000


def curl_line(exchange: Exchange) -> str:
    """A printable shell command (bash, zsh, ksh) for one exchange. Its credential is a variable, such as
    ``$AICONFORM_KEY`` or ``$AICONFORM_LIMITED_KEY``."""
    sent = exchange.sent
    words = ["curl", "-isS", *_options(exchange)]
    names = {name.lower() for name, _ in sent.headers}
    for name, value in sent.headers:
        if name.lower() not in _IMPLIED:
            words += ["-H", _header(exchange, name, value)]
    # What curl would add by itself and was not sent.
    if "accept" not in names:
        words += ["-H", "Accept:"]
    if sent.body and "content-type" not in names:
        words += ["-H", "Content-Type:"]
    if sent.body:
        words += _body(exchange)
    return " ".join([*words, _quote(sent.url)])


def _options(exchange: Exchange) -> list[str]:
    sent = exchange.sent
    options: list[str] = []
    if exchange.is_sse:
        options.append("-N")
    if exchange.header("content-encoding"):
        options.append("--compressed")
    if re.search(r"[\[\]{}]", sent.url):
        options.append("-g")
    if re.search(r"/\.\.?(/|$)", sent.url.partition("?")[0]):
        options.append("--path-as-is")
    if exchange.left_at is not None:
        options += ["-m", f"{max(exchange.left_at, 0.1):.1f}"]
    if sent.method == "HEAD":
        options.append("-I")
    elif sent.method != "GET" or sent.body:
        options += ["-X", _quote(sent.method)]
    return options


def _header(exchange: Exchange, name: str, value: str) -> str:
    redacted = _REDACTED.fullmatch(value)
    if not redacted:
        return _quote(f"{name}: {value}" if value else f"{name};")
    variable = re.sub(r"\W", "_", name).upper()
    if name.lower() in CREDENTIAL_HEADERS:
        variable = _KEYS.get(exchange.principal, "AICONFORM_WRONG_KEY")
    return _quote(f"{name}: {redacted[1] or ''}") + f'"${variable}"'


def _body(exchange: Exchange) -> list[str]:
    body = exchange.sent.body
    if len(body) <= _LONGEST and b"\0" not in body:
        with suppress(UnicodeDecodeError):
            return ["--data-raw", _quote(body.decode("utf-8"))]  # raw: a leading @ names no file
    return ["--data-binary", f"@exchanges/{exchange.id}.request"]


def _quote(text: str) -> str:
    if text.isprintable():
        return shlex.quote(text)
    return "$'" + "".join(_escape(c) for c in text) + "'"


def _escape(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))
