"""Keep credentials out of everything that is written: an allowlist for headers, a search for known secrets.

An allowlist, because a header nobody thought of is then hidden, not shown.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus

from conformance.evidence import Chunk, Evidence, Exchange, Failure, Frame, ProbeRecord, Sent
from conformance.wire.recode import encode_content

Headers = Iterable[tuple[str, str]]
S = TypeVar("S", str, bytes)

MIN_SECRET = 4
"""Shorter strings are not searched for: they would be found everywhere and are no secret."""

REPLACEMENT = "[redacted]"

# fmt: off
SAFE_HEADERS = frozenset({
    "accept", "accept-encoding", "accept-language", "accept-post", "age", "allow", "alt-svc",
    "anthropic-beta", "api-version", "cache-control", "cache-status", "cf-cache-status", "cf-ray",
    "connection", "content-disposition", "content-encoding", "content-language", "content-length",
    "content-location", "content-security-policy", "content-type", "date", "deprecation", "etag", "expect",
    "expires", "host",
    "idempotency-key", "idempotency-replayed", "idempotent-replayed", "keep-alive", "last-event-id",
    "last-modified", "link", "location", "openai-processing-ms", "operation-location", "origin", "pragma",
    "preference-applied", "prefer", "referrer-policy", "retry-after", "retry-after-ms", "server",
    "sec-websocket-extensions", "sec-websocket-protocol", "sec-websocket-version",
    "server-timing", "strict-transport-security", "sunset", "te", "traceparent", "traceresponse", "trailer",
    "transfer-encoding", "upgrade", "user-agent", "vary", "via", "warning", "www-authenticate",
    "x-accel-buffering", "x-content-type-options", "x-envoy-upstream-service-time", "x-frame-options",
    "x-ms-region", "x-ms-retry-after-ms", "x-powered-by", "x-process-time", "x-robots-tag", "x-runtime",
    "x-should-retry", "if-none-match",
})
# fmt: on
SAFE_NAME = re.compile(
    r"(x-|anthropic-)?rate-?limit(s|-[a-z-]+)?"
    r"|x-ratelimit-[a-z_]+-(limit|remaining)-[a-z_]+"
    r"|access-control-[a-z-]+"
    r"|([a-z]+-)*(request|correlation|trace)-?id"
    r"|([a-z]+-)*version"
    r"|x-(b3|stainless|vllm|litellm-(model|version|response|overhead|callback|attempted|call))[a-z-]*"
)
"""Families of names: rate limits, CORS, request ids, versions, tracing."""

_REDACTED = re.compile(r"([A-Za-z0-9]+ )?\[redacted \d+ chars\]")
_HEX = re.compile(r"(%|\\\\u00)([0-9a-fA-F]{2})")
_ESCAPE = re.compile(r"%[0-9a-fA-F]{2}|\\u00[0-9a-fA-F]{2}")
WITH_SCHEME = frozenset({"authorization", "proxy-authorization"})
CREDENTIAL_HEADERS = WITH_SCHEME | {"api-key", "x-api-key", "x-goog-api-key"}
SCHEMES = frozenset({"basic", "bearer", "digest", "dpop", "apikey", "token", "aws4-hmac-sha256"})
"""Only these are shown: a bare key with a space in it has no scheme."""


def redact_headers(headers: Headers, secrets: Collection[str] = ()) -> tuple[tuple[str, str], ...]:
    """The same names in the same order. Values of names that are not known to be safe become
    ``[redacted N chars]``; ``Authorization`` keeps its scheme; secrets in safe values are replaced."""
    return _redact_headers(headers, Scrubber(secrets))


def _redact_headers(headers: Headers, scrubber: Scrubber) -> tuple[tuple[str, str], ...]:
    return tuple((name, scrubber.scrub(redact_value(name, value))) for name, value in headers)


def redact_value(name: str, value: str) -> str:
    """What may be shown of one header's value."""
    lowered = name.lower()
    if lowered in SAFE_HEADERS or SAFE_NAME.fullmatch(lowered):
        return value
    if _REDACTED.fullmatch(value):  # in evidence that was saved before
        return value
    scheme, space, rest = value.partition(" ")
    if lowered in WITH_SCHEME and space and scheme.lower() in SCHEMES:
        return f"{scheme} [redacted {len(rest)} chars]"
    return f"[redacted {len(value)} chars]"


class Scrubber:
    """Replaces known secrets wherever they occur: as they are, or escaped for JSON, a URL or HTML."""

    def __init__(self, secrets: Collection[str]) -> None:
        spellings = {s for secret in secrets if len(secret) >= MIN_SECRET for s in _spellings(secret)}
        # Longest first, or ``sk-demo`` would leave ``-other`` of ``sk-demo-other`` behind.
        pattern = "|".join(_pattern(s) for s in sorted(spellings, key=lambda s: (-len(s), s)))
        self._text = re.compile(pattern)
        self._bytes = re.compile(pattern.encode("utf-8", "surrogatepass"))
        self._signs = _signs(spellings)
        self._byte_signs = tuple(s.encode("utf-8", "surrogatepass") for s in self._signs)

    def scrub(self, value: S) -> S:
        """The text or bytes without any of the secrets."""
        if isinstance(value, str):
            return self._text.sub(REPLACEMENT, value) if any(s in value for s in self._signs) else value
        return self._bytes.sub(REPLACEMENT.encode(), value) if self._suspects(value) else value

    def _suspects(self, value: bytes) -> bool:
        """Whether a secret may be in there. A search for plain text is many times faster than one for a pattern,
        and nearly always finds nothing."""
        return any(s in value for s in self._byte_signs)

    def plain(self, value: Any) -> Any:
        """Plain JSON data with every string in it scrubbed, names included."""
        if isinstance(value, str):
            return self.scrub(value)
        if isinstance(value, Mapping):
            return {self.plain(k): self.plain(v) for k, v in value.items()}
        if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
            return [self.plain(v) for v in value]
        return value

    def chunks(self, chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
        """The same chunks of a body without secrets. Of one that lies across chunks, the replacement is in
        the chunk in which it ended."""
        body = b"".join(c.data for c in chunks)
        found = [m.span() for m in self._bytes.finditer(body)] if self._suspects(body) else []
        if not found:
            return chunks
        ends: list[int] = []
        end, shift, n = 0, 0, 0
        for chunk in chunks:
            end += len(chunk.data)
            while n < len(found) and found[n][1] <= end:
                shift += len(REPLACEMENT) - (found[n][1] - found[n][0])
                n += 1
            ends.append((found[n][0] if n < len(found) and found[n][0] < end else end) + shift)
        clean = self.scrub(body)
        starts = [0, *ends[:-1]]
        return tuple(Chunk(c.t, clean[start:end]) for c, start, end in zip(chunks, starts, ends, strict=True))


def _signs(spellings: Collection[str]) -> tuple[str, ...]:
    """What is in every text that holds one of the spellings: the longest part of each that has no escape in it, since
    those come in two cases. One that contains another adds nothing."""
    parts = {max(_ESCAPE.split(s), key=len) for s in spellings}
    return tuple(p for p in parts if not any(other in p for other in parts if other != p))


def _pattern(spelling: str) -> str:
    """Hexadecimal digits of an escape may be of either case."""
    return _HEX.sub(lambda m: f"{m[1]}(?i:{m[2]})", re.escape(spelling))


def _spellings(secret: str) -> set[str]:
    escaped = json.dumps(secret)[1:-1]
    return {
        secret,
        escaped,
        json.dumps(secret, ensure_ascii=False)[1:-1],
        escaped.replace("/", "\\/"),
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        html.escape(secret),
    }


def scrub(value: S, secrets: Collection[str]) -> S:
    """``value`` with each secret, in any usual spelling, replaced by ``[redacted]``."""
    return Scrubber(secrets).scrub(value)


def redact_exchange(exchange: Exchange, secrets: Collection[str]) -> Exchange:
    """The exchange as it may be written. Doing it twice changes nothing more."""
    return _redact_exchange(exchange, Scrubber(secrets))


def _redact_exchange(exchange: Exchange, scrubber: Scrubber) -> Exchange:
    sent, failure = exchange.sent, exchange.failure
    return replace(
        exchange,
        params=scrubber.plain(exchange.params),
        sent=Sent(
            sent.method,
            scrubber.scrub(sent.url),
            _redact_headers(sent.headers, scrubber),
            scrubber.scrub(sent.body),
        ),
        headers=_redact_headers(exchange.headers, scrubber),
        chunks=_redact_body(exchange, scrubber),
        failure=failure and Failure(failure.kind, scrubber.scrub(failure.detail), failure.t),
        redirects=tuple(scrubber.scrub(r) for r in exchange.redirects),
        frames=_redact_frames(exchange.frames, scrubber),
    )


def _redact_frames(frames: tuple[Frame, ...], scrubber: Scrubber) -> tuple[Frame, ...]:
    """Each message without secrets, also where one lies across the frames of a message."""
    clean = list(frames)
    for sender in ("client", "server"):
        message: list[int] = []
        for n, frame in enumerate(frames):
            if frame.sender != sender:
                continue
            if frame.opcode not in ("text", "binary"):
                clean[n] = replace(frame, payload=scrubber.scrub(frame.payload))
                continue
            message.append(n)
            if frame.fin:
                _redact_message(message, clean, scrubber)
                message = []
        _redact_message(message, clean, scrubber)
    return tuple(clean)


def _redact_message(places: list[int], frames: list[Frame], scrubber: Scrubber) -> None:
    chunks = scrubber.chunks(tuple(Chunk(frames[n].t, frames[n].payload) for n in places))
    for n, chunk in zip(places, chunks, strict=True):
        frames[n] = replace(frames[n], payload=chunk.data)


def _redact_body(exchange: Exchange, scrubber: Scrubber) -> tuple[Chunk, ...]:
    """A compressed body is opened to look for secrets, and compressed anew only if there is one."""
    content = exchange.content
    clean = scrubber.scrub(content)
    coding = exchange.header("content-encoding")
    if clean == content or content == exchange.raw:
        return scrubber.chunks(exchange.chunks)
    coded = encode_content(clean, coding)
    old = len(exchange.raw)
    ends, end = [], 0
    for chunk in exchange.chunks:
        end += len(chunk.data)
        ends.append(end * len(coded) // old)
    starts = [0, *ends[:-1]]
    return tuple(
        Chunk(c.t, coded[start:end]) for c, start, end in zip(exchange.chunks, starts, ends, strict=True)
    )


class Redactor:
    """Redacts evidence that grows: each exchange once, until another secret becomes known."""

    def __init__(self) -> None:
        self._scrubber = Scrubber(())
        self._secrets: frozenset[str] = frozenset()
        self._clean: dict[int, tuple[Exchange, Exchange]] = {}

    def evidence(self, evidence: Evidence, secrets: Collection[str]) -> Evidence:
        """The whole run as it may be written."""
        if self._secrets != (known := frozenset(secrets)):
            self._scrubber, self._secrets, self._clean = Scrubber(known), known, {}
        scrubber, clean = self._scrubber, self._clean
        for exchange in evidence.exchanges:
            if id(exchange) not in clean:
                # The exchange is kept as well: no other can come to have its identity meanwhile.
                clean[id(exchange)] = exchange, _redact_exchange(exchange, scrubber)
        return replace(
            evidence,
            target=scrubber.plain(evidence.target),
            probes={
                name: ProbeRecord(
                    p.name, p.outcome, scrubber.scrub(p.reason), scrubber.plain(p.notes), p.shared
                )
                for name, p in evidence.probes.items()
            },
            exchanges=tuple(clean[id(e)][1] for e in evidence.exchanges),
        )


def redact_evidence(evidence: Evidence, secrets: Collection[str]) -> Evidence:
    """The whole run as it may be written."""
    return Redactor().evidence(evidence, secrets)
