"""What a probe recorded: exchanges with their raw bytes and a timestamp per chunk.

Everything here is plain data. Derived views (decoded content, JSON, the parsed stream) are computed from the
bytes on first use, so evidence read back from disk gives exactly what the live run gave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from conformance.wire.decode import Decoded, decode_content
from conformance.wire.sse import SseTranscript, parse_sse
from conformance.wire.strict_json import NOT_JSON, parse_json

__all__ = ["NOT_JSON", "Chunk", "Evidence", "Exchange", "Failure", "Frame", "ProbeRecord", "Sent"]

Principal = Literal["main", "other", "limited", "narrow", "budget", "none"]
AUTHORIZATION_SERVER = "authorization_server"
"""The operation of exchanges that are not with the API; checks of all exchanges do not see them."""

FailureKind = Literal[
    "connect",  # no TCP connection
    "tls",  # TLS handshake or certificate
    "timeout_headers",  # no complete response head before the deadline
    "timeout_body",  # the head came, the body did not end before the deadline
    "reset",  # the peer closed or reset before the response was complete
    "protocol",  # not valid HTTP
    "too_large",  # byte cap reached (raw body, or after decompression)
    "header_too_large",
    "redirect_loop",
    "redirect_refused",  # to another origin: credentials do not follow
]
Outcome = Literal["done", "skipped", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Body bytes that arrived together; ``t`` is seconds since the request was started (monotonic clock)."""

    t: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Frame:
    """One WebSocket frame (RFC 6455 section 5.2); ``t`` is seconds since the upgrade request was started.

    ``payload`` are the bytes as the application means them, unmasked. A message may come in several frames, of
    which the last has ``fin``; parts of one frame that arrived at different times are kept apart as well.
    """

    t: float
    sender: Literal["client", "server"]
    opcode: Literal["text", "binary", "ping", "pong", "close"]
    payload: bytes
    fin: bool = True


@dataclass(frozen=True, slots=True)
class Sent:
    """The request as put on the wire; headers in the order and case they were sent."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an exchange is not a complete HTTP response. ``detail`` is one line without secrets."""

    kind: FailureKind
    detail: str
    t: float


@dataclass(frozen=True)
class Exchange:
    """One request and what came back, as bytes.

    ``status`` is ``None`` when no response head arrived. ``headers`` are as received (order, case, repeats).
    ``chunks`` hold the body as received, before any Content-Encoding is undone.
    ``left_at`` is set when the probe itself hung up early (seconds since start).
    ``lag`` is the worst stall in seconds of our own event loop meanwhile: timing claims need it small.
    ``frames`` are what was spoken after an upgrade to a WebSocket (status 101), in both directions, in order.
    """

    id: str
    probe: str
    role: str
    operation: str
    principal: Principal
    params: Mapping[str, Any]
    sent: Sent
    started_at: float
    status: int | None = None
    http_version: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    t_headers: float | None = None
    chunks: tuple[Chunk, ...] = ()
    t_end: float | None = None
    failure: Failure | None = None
    left_at: float | None = None
    redirects: tuple[str, ...] = ()
    lag: float = 0.0
    frames: tuple[Frame, ...] = ()

    def header(self, name: str) -> str | None:
        """All values of a response header joined by ``", "`` (RFC 9110 section 5.3), or None."""
        values = self.header_values(name)
        return ", ".join(values) if values else None

    def header_values(self, name: str) -> list[str]:
        return [v for k, v in self.headers if k.lower() == name.lower()]

    def sent_header(self, name: str) -> str | None:
        return next((v for k, v in self.sent.headers if k.lower() == name.lower()), None)

    @cached_property
    def raw(self) -> bytes:
        """The body as received."""
        return b"".join(c.data for c in self.chunks)

    @cached_property
    def decoded(self) -> Decoded:
        """The body with Content-Encoding undone, bounded in size."""
        return decode_content(self.raw, self.header("content-encoding"))

    @property
    def content(self) -> bytes:
        return self.decoded.data

    @property
    def media_type(self) -> str:
        """Lower-case type/subtype without parameters; empty if there is no Content-Type."""
        return (self.header("content-type") or "").split(";", 1)[0].strip().lower()

    @cached_property
    def json(self) -> Any:
        """The parsed JSON body, or the sentinel ``NOT_JSON``."""
        return parse_json(self.content)

    @property
    def is_sse(self) -> bool:
        return self.media_type == "text/event-stream"

    @cached_property
    def sse(self) -> SseTranscript:
        """The body parsed as ``text/event-stream``; event times come from the chunk that completed them."""
        if self.header("content-encoding") in (None, "", "identity"):
            return parse_sse((c.t, c.data) for c in self.chunks)
        last = self.chunks[-1].t if self.chunks else 0.0
        return parse_sse([(last, self.content)])


@dataclass(frozen=True)
class ProbeRecord:
    """What became of one probe. ``notes`` are plain JSON facts that are not exchanges (for instance findings
    of another tool). ``reason`` says why it was skipped, stopped (budget, target down) or failed. ``shared`` names, by
    role, exchanges that another probe sent and that are evidence of this one too."""

    name: str
    outcome: Outcome
    reason: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)
    shared: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """All that one run recorded about one target."""

    target: Mapping[str, Any]  # public description: base_url, dialect, models, which keys were given
    dialect: str
    started_at: float
    duration: float
    probes: Mapping[str, ProbeRecord]
    exchanges: tuple[Exchange, ...]
    suite_version: str = ""
    contract_version: str = ""
