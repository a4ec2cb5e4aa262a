"""Traffic that the suite never sent: a HAR 1.2 file of a browser or a proxy, read as evidence.

Only what a HAR can prove becomes evidence. Its bodies are decoded text without the arrival of each chunk, its headers
are often normalized; so nothing here says when a byte came, and only passive requirements are judged on it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from conformance.dialects.model import Dialect
from conformance.evidence import Chunk, Evidence, Exchange, ProbeRecord, Sent
from conformance.gather import SECRETS, leaking
from conformance.wire.redact import CREDENTIAL_HEADERS, redact_evidence
from conformance.wire.shape import seconds
from conformance.wire.store import EvidenceError

PROBE = "recorded"
"""The only probe of such evidence: none of the suite's own was run."""

LARGEST = 256 * 1024 * 1024
LEAST_COOKIE = 16
"""Characters of a cookie's value that may be a session; a shorter one (a language, a theme) is in many texts."""

_IN_QUERY = r"key|api[-_]?key|token|access_token|sig|signature|code"
_USER = re.compile(r"(?<=://)[^/?#]*@")
_GONE = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Response headers that do not describe the decoded body that a HAR holds."""


def read_har(path: Path, dialect: Dialect) -> Evidence:
    """The exchanges of the file that speak the dialect, redacted: the credential of the dialect is taken out of
    headers, query and bodies. An exchange of another host or path than the API's is left out.

    Raises:
        EvidenceError: unreadable, no HAR, or nothing in it is a call of this dialect.
    """
    entries = _entries(path)
    found = [_exchange(f"h{i:04}", entry, dialect) for i, entry in enumerate(entries, 1)]
    exchanges = tuple(e for e in found if e is not None)
    if not exchanges:
        raise EvidenceError(
            f"{path}: none of its {len(entries)} entries is a call in the dialect {dialect.name}"
        )
    secrets = tuple({s for entry in entries for s in _secrets(entry, dialect)})
    sessions = tuple({s for entry in entries for s in _sessions(entry)})
    leaks = ProbeRecord(SECRETS, "done", notes={"leaks": leaking(exchanges, secrets, ())})
    started = min(e.started_at for e in exchanges)
    ended = max(e.started_at + (e.t_end or 0.0) for e in exchanges)
    bases = sorted({_base(e, dialect) for e in exchanges})
    evidence = Evidence(
        target={
            "base_url": bases[0],
            "dialect": dialect.name,
            "model": None,
            "principals": ["main"] if secrets else [],
            "recorded": {"file": path.name, "entries": len(entries), "calls": len(exchanges), "bases": bases},
        },
        dialect=dialect.name,
        started_at=started,
        duration=max(0.0, ended - started),
        probes={PROBE: ProbeRecord(PROBE, "done"), SECRETS: leaks},
        exchanges=exchanges,
    )
    return redact_evidence(evidence, (*secrets, *sessions))


def is_har(path: Path) -> bool:
    """Whether a path is meant as a HAR file."""
    return path.is_file() and path.suffix.lower() in (".har", ".json")


def _entries(path: Path) -> list[Mapping[str, Any]]:
    try:
        if path.stat().st_size > LARGEST:
            raise EvidenceError(f"{path} is larger than {LARGEST // 2**20} MB: export fewer requests")
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise EvidenceError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise EvidenceError(f"{path} is not JSON: export the recording as HAR 1.2") from None
    log = document.get("log") if isinstance(document, dict) else None
    entries = log.get("entries") if isinstance(log, dict) else None
    if not isinstance(entries, list):
        raise EvidenceError(f"{path} has no log.entries: export the recording as HAR 1.2")
    return [e for e in entries if isinstance(e, dict)]


def _exchange(identity: str, entry: Mapping[str, Any], dialect: Dialect) -> Exchange | None:
    """One entry as an exchange; None if it is no call of the dialect, comes from a cache, or has no whole response."""
    if entry.get("_fromCache") or entry.get("_error"):
        return None
    try:
        request, response = entry["request"], entry["response"]
        operation = _operation(str(request["method"]), str(request["url"]), request, dialect)
        status = int(response["status"])
        if response.get("_error") or operation is None or not 100 <= status <= 599:
            return None
        content = response.get("content") or {}
        body = _body(content)
        headers = tuple(h for h in _headers(response) if h[0].lower() not in _GONE)
        total = max(0.0, float(entry.get("time") or 0.0)) / 1000
        sent = Sent(
            str(request["method"]),
            _USER.sub("", _secret_query(dialect).sub(r"\1[redacted]", str(request["url"]))),
            _headers(request),
            str((request.get("postData") or {}).get("text") or "").encode("utf-8", "surrogatepass"),
        )
        started = datetime.fromisoformat(str(entry["startedDateTime"])).timestamp()
        if not (seconds(started) and seconds(total)):
            return None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None
    if body is None:
        return None
    return Exchange(
        id=identity,
        probe=PROBE,
        role=operation,
        operation=operation,
        principal="main",
        params={},
        sent=sent,
        started_at=started,
        status=status,
        http_version=str(response.get("httpVersion") or ""),
        headers=headers,
        t_headers=total,
        chunks=(Chunk(total, body),) if body else (),
        t_end=total,
    )


def _headers(side: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """As recorded, without the pseudo-headers of HTTP/2."""
    return tuple(
        (str(h["name"]), str(h["value"]))
        for h in side.get("headers", ())
        if not str(h["name"]).startswith(":")
    )


def _body(content: Mapping[str, Any]) -> bytes | None:
    """The decoded body; None if the recording left it out although there was one."""
    text = content.get("text")
    if text is None:
        return None if int(content.get("size") or 0) > 0 else b""
    if content.get("encoding") == "base64":
        try:
            return base64.b64decode(str(text), validate=True)
        except binascii.Error:
            return None
    return str(text).encode("utf-8", "surrogatepass")


def _operation(method: str, url: str, request: Mapping[str, Any], dialect: Dialect) -> str | None:
    """The abstract operation that a recorded request is, by method and the end of its path."""
    path = urlsplit(url).path
    matching = [
        (len(op.path), name)
        for name, op in dialect.operations.items()
        if op.method == method and _path_pattern(op.path).search(path)
    ]
    if not matching:
        return None
    names = [name for length, name in matching if length == max(matching)[0]]
    streamed = [n for n in names if "stream" in n]
    wants_stream = bool(
        re.search(r'"stream"\s*:\s*true', str((request.get("postData") or {}).get("text") or ""))
    )
    if streamed and wants_stream:
        return streamed[0]
    return next((n for n in names if n not in streamed), names[0])


def _path_pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{[^}]*\}", template.partition("?")[0])
    return re.compile("[^/]+".join(re.escape(p) for p in parts) + "$")


def _base(exchange: Exchange, dialect: Dialect) -> str:
    parts = urlsplit(exchange.sent.url)
    path = _path_pattern(dialect.operations[exchange.operation].path).sub("", parts.path)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"


def _secret_query(dialect: Dialect) -> re.Pattern[str]:
    """Query parameters that carry a credential, the dialect's own among them."""
    own = f"|{re.escape(dialect.auth.query)}" if dialect.auth.query else ""
    return re.compile(rf"(?i)([?&](?:{_IN_QUERY}{own})=)[^&#]+")


def _sent(entry: Mapping[str, Any], names: Collection[str]) -> Iterator[str]:
    """The values of the request headers of these names."""
    request = entry.get("request")
    for header in (request.get("headers") or ()) if isinstance(request, dict) else ():
        if isinstance(header, dict) and str(header.get("name", "")).lower() in names:
            yield str(header.get("value", ""))


def _secrets(entry: Mapping[str, Any], dialect: Dialect) -> Iterator[str]:
    """Credentials of one entry, to be searched for in everything."""
    for value in _sent(entry, CREDENTIAL_HEADERS | {"cookie", (dialect.auth.header or "").lower()}):
        yield from {value, value.rpartition(" ")[2]} - {""}
    request = entry.get("request")
    url = str(request.get("url", "")) if isinstance(request, dict) else ""
    for match in _secret_query(dialect).finditer(url):
        yield match[0].partition("=")[2]
    if (user := _USER.search(url)) and (password := user[0][:-1].partition(":")[2]):
        yield unquote(password)


def _sessions(entry: Mapping[str, Any]) -> Iterator[str]:
    """Values of cookies, which are not written. That an API repeats one need not be a leak: it may be no session."""
    for cookies in _sent(entry, ("cookie",)):
        for cookie in cookies.split(";"):
            value = cookie.partition("=")[2].strip()
            if len(value) >= LEAST_COOKIE:
                yield value
