"""HAR 1.2 (HTTP Archive), the form that browsers, proxies and their tools read and write.

What HAR has no place for is kept in fields of our own, whose names start with an underscore as the format asks: the
arrival of each chunk, the probe and role of an exchange, why it is incomplete.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from conformance.evidence import Evidence, Exchange
from conformance.replicas import Naming
from conformance.report.write import write_bytes


def write_har(evidence: Evidence, path: Path) -> None:
    """Write the exchanges of a run. The evidence is redacted already.

    Raises:
        ReportError: the path cannot be written.
    """
    text = json.dumps(har_of(evidence), ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def har_of(evidence: Evidence) -> dict[str, Any]:
    """The archive as plain data."""
    creator = {"name": "aiconform", "version": evidence.suite_version or "0"}
    ordered = sorted(evidence.exchanges, key=lambda e: e.started_at)
    naming, entries = Naming(evidence), [_entry(e) for e in ordered]
    for exchange, entry in zip(ordered, entries, strict=True):
        if replica := naming.replica(exchange.id):
            entry["_aiconform"]["replica"] = replica
    return {"log": {"version": "1.2", "creator": creator, "entries": entries}}


def _entry(exchange: Exchange) -> dict[str, Any]:
    end = exchange.t_end or (exchange.chunks[-1].t if exchange.chunks else exchange.t_headers or 0.0)
    head = exchange.t_headers if exchange.t_headers is not None else end
    entry: dict[str, Any] = {
        "startedDateTime": datetime.fromtimestamp(exchange.started_at, UTC).isoformat(
            timespec="milliseconds"
        ),
        "time": _ms(end),
        "request": _request(exchange),
        "response": _response(exchange),
        "cache": {},
        "timings": {"send": 0, "wait": _ms(head), "receive": max(0.0, round(_ms(end) - _ms(head), 3))},
        "_aiconform": {
            "id": exchange.id,
            "probe": exchange.probe,
            "role": exchange.role,
            "operation": exchange.operation,
            "principal": exchange.principal,
            "chunks": [[round(c.t, 6), len(c.data)] for c in exchange.chunks],
        },
    }
    if exchange.failure:
        entry["response"]["_error"] = f"{exchange.failure.kind}: {exchange.failure.detail}"
    return entry


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _pairs(headers: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in headers]


def _request(exchange: Exchange) -> dict[str, Any]:
    sent = exchange.sent
    request: dict[str, Any] = {
        "method": sent.method,
        "url": sent.url,
        "httpVersion": exchange.http_version or "HTTP/1.1",
        "cookies": [],
        "headers": _pairs(sent.headers),
        "queryString": [
            {"name": k, "value": v} for k, v in parse_qsl(urlsplit(sent.url).query, keep_blank_values=True)
        ],
        "headersSize": -1,
        "bodySize": len(sent.body),
    }
    if sent.body:
        text, encoding = _text(sent.body)
        request["postData"] = {
            "mimeType": exchange.sent_header("content-type") or "",
            "text": text,
            **({"_encoding": encoding} if encoding else {}),
        }
    return request


def _response(exchange: Exchange) -> dict[str, Any]:
    status = exchange.status or 0
    text, encoding = _text(exchange.content)
    return {
        "status": status,
        "statusText": HTTPStatus(status).phrase if status in set(HTTPStatus) else "",
        "httpVersion": exchange.http_version,
        "cookies": [],
        "headers": _pairs(exchange.headers),
        "content": {
            "size": len(exchange.content),
            "mimeType": exchange.header("content-type") or "",
            "text": text,
            **({"encoding": encoding} if encoding else {}),
        },
        "redirectURL": exchange.header("location") or "",
        "headersSize": -1,
        "bodySize": len(exchange.raw),
    }


def _text(body: bytes) -> tuple[str, str]:
    """A body as HAR holds it: text, or base64 where it is no UTF-8."""
    try:
        return body.decode("utf-8"), ""
    except UnicodeDecodeError:
        return base64.b64encode(body).decode("ascii"), "base64"
