"""OpenTelemetry: a server span for each request and, below it, one for each generation (`gen_ai.*`).

Off unless an OTLP endpoint is configured. Names follow the semantic conventions for HTTP and generative AI; the
latter are still in development, so they stand here and nowhere else.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from reference_impl.exchange import Exchange, Trace

_PROVIDER = "aiconform"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


@dataclass(frozen=True)
class Generation:
    """One run of a model. `outcome` is a finish reason, or the code of an error."""

    operation: str
    requested_model: str
    model: str
    input_tokens: int
    output_tokens: int
    outcome: str


class Telemetry(Protocol):
    """Is told what happened."""

    def generated(self, exchange: Exchange, generation: Generation) -> None:
        """A model has run, from the start of the exchange until now."""
        ...

    def answered(self, exchange: Exchange, status: int, code: str | None) -> None:
        """The exchange ended with this status; `code` is that of the error it was answered with, if any."""
        ...

    def close(self) -> None:
        """Export what is pending. Blocks."""
        ...


class NoTelemetry:
    """Nobody listens."""

    def generated(self, exchange: Exchange, generation: Generation) -> None:
        """Nothing."""

    def answered(self, exchange: Exchange, status: int, code: str | None) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def telemetry_from(environment: Mapping[str, str]) -> Telemetry:
    """Spans over OTLP/HTTP if `OTEL_EXPORTER_OTLP_ENDPOINT` (or the one for traces) is set, else none.

    The SDK's other variables (headers, timeouts, sampling, resource attributes) work as its documents say.
    """
    if not any(environment.get(name) for name in _ENDPOINTS):
        return NoTelemetry()
    return _spans()


def _spans() -> Telemetry:
    # Imported only when wanted: the exporter takes longer to load than the server to start.
    from opentelemetry import trace as api
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    promised: ContextVar[Trace | None] = ContextVar("promised", default=None)

    class Promised(RandomIdGenerator):
        """The ids that the answer has already told its caller."""

        def generate_trace_id(self) -> int:
            trace = promised.get()
            return super().generate_trace_id() if trace is None else int(trace.trace_id, 16)

        def generate_span_id(self) -> int:
            trace = promised.get()
            return super().generate_span_id() if trace is None else int(trace.span_id, 16)

    class Spans:
        def __init__(self) -> None:
            resource = Resource.create({SERVICE_NAME: "aiconform-reference"})
            self._provider = TracerProvider(resource=resource, id_generator=Promised())
            self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
            self._tracer = self._provider.get_tracer("aiconform.reference")

        def generated(self, exchange: Exchange, generation: Generation) -> None:
            failed = generation.outcome.isupper()
            attributes: dict[str, Any] = {
                "gen_ai.operation.name": generation.operation,
                "gen_ai.provider.name": _PROVIDER,
                "gen_ai.request.model": generation.requested_model,
                "gen_ai.response.model": generation.model,
                "gen_ai.usage.input_tokens": generation.input_tokens,
                "gen_ai.usage.output_tokens": generation.output_tokens,
            }
            if failed:
                attributes["error.type"] = generation.outcome
            else:
                attributes["gen_ai.response.finish_reasons"] = [generation.outcome]
            name = f"{generation.operation} {generation.requested_model}"
            parent = self._context(exchange.trace, exchange.trace.span_id)
            self._span(name, api.SpanKind.INTERNAL, parent, attributes, exchange, failed)

        def answered(self, exchange: Exchange, status: int, code: str | None) -> None:
            trace = exchange.trace
            attributes: dict[str, Any] = {
                "http.request.method": exchange.method,
                "url.path": exchange.path,
                "http.response.status_code": status,
                "aiconform.request_id": exchange.request_id,
            }
            if code is not None:
                attributes["error.type"] = code
            parent = None if trace.parent_id is None else self._context(trace, trace.parent_id)
            token = promised.set(trace)
            try:
                # Without a route the path is anybody's choice, and a name must not be.
                name = f"{exchange.method} {exchange.route or ''}".strip()
                self._span(name, api.SpanKind.SERVER, parent, attributes, exchange, status >= 500)
            finally:
                promised.reset(token)

        def close(self) -> None:
            self._provider.shutdown()

        @staticmethod
        def _context(trace: Trace, span_id: str) -> Any:
            flags = api.TraceFlags(api.TraceFlags.SAMPLED if trace.sampled else api.TraceFlags.DEFAULT)
            known = api.SpanContext(
                int(trace.trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=flags
            )
            return api.set_span_in_context(api.NonRecordingSpan(known))

        def _span(
            self,
            name: str,
            kind: Any,
            parent: Any,
            attributes: dict[str, Any],
            exchange: Exchange,
            failed: bool,
        ) -> None:
            now = time.time_ns()
            span = self._tracer.start_span(
                name,
                # An empty context, so that no span of the process around is taken for the parent.
                context=parent if parent is not None else api.set_span_in_context(api.INVALID_SPAN),
                kind=kind,
                attributes=attributes,
                start_time=now - exchange.elapsed_ms * 1_000_000,
            )
            if failed:
                span.set_status(api.StatusCode.ERROR)
            span.end(end_time=now)

    return Spans()
