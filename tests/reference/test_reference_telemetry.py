"""OpenTelemetry: what a real receiver on OTLP/HTTP gets from a real server process."""

from __future__ import annotations

import gzip
import http.server
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from reference_server import KEY, WAIT_S, ReferenceServer, chat

from reference_impl.telemetry import NoTelemetry, telemetry_from

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Receiver:
    """An OTLP/HTTP receiver on a free port; ``spans`` are what came."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.path == "/v1/traces"
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    receiver.services |= {
                        a.value.string_value for a in resource.resource.attributes if a.key == "service.name"
                    }
                    receiver.spans += [span for scope in resource.scope_spans for span in scope.spans]
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def exporting(endpoint: str) -> Iterator[str]:
    """The base URL of a server process that exports to this endpoint; at the end it has been stopped cleanly."""
    command = [sys.executable, "-m", "reference_impl", "--port", "0", "--db", ":memory:"]
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip().removeprefix("ready ")
        finally:
            process.terminate()
            assert process.wait(WAIT_S * 2) == 0


def attributes(span: Any) -> dict[str, Any]:
    def value(of: Any) -> Any:
        kind = of.WhichOneof("value")
        return [value(v) for v in of.array_value.values] if kind == "array_value" else getattr(of, kind)

    return {a.key: value(a.value) for a in span.attributes}


def test_spans_continue_the_callers_trace_and_carry_gen_ai_attributes() -> None:
    with Receiver() as receiver:
        with exporting(receiver.url) as url:
            client = httpx.Client(
                base_url=url, headers={"Authorization": f"Bearer {KEY}"}, trust_env=False, timeout=WAIT_S
            )
            parent = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            plain = client.post("/chat", json=chat(model="atlas-1"), headers=parent)
            alone = client.post("/chat", json=chat(stream=True))
            broken = client.post("/chat", json=chat(sandbox={"scenario": "fault_midstream"}))
            unsampled = client.post(
                "/chat", json=chat(), headers={"traceparent": f"00-{'b' * 32}-{PARENT}-00"}
            )
            client.get("/nowhere")
            client.close()
        spans = receiver.spans
    assert receiver.services == {"aiconform-reference"}
    ours = {s.name: s for s in spans if s.trace_id.hex() == TRACE}
    server, model = ours["POST /chat"], ours["chat atlas-1"]
    assert server.parent_span_id.hex() == PARENT
    assert model.parent_span_id == server.span_id
    assert f"-{server.span_id.hex()}-" in plain.headers["server-timing"]
    metadata = plain.json()["metadata"]
    assert attributes(model) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "aiconform",
        "gen_ai.request.model": "atlas-1",
        "gen_ai.response.model": metadata["model_version"],
        "gen_ai.usage.input_tokens": metadata["tokens_used"]["input"],
        "gen_ai.usage.output_tokens": metadata["tokens_used"]["output"],
        "gen_ai.response.finish_reasons": ["stop"],
    }
    told = attributes(server)
    assert (told["http.response.status_code"], told["aiconform.request_id"]) == (200, metadata["request_id"])
    assert 0 <= server.end_time_unix_nano - server.start_time_unix_nano < 30e9

    own = alone.headers["server-timing"].split("-")[1:3]
    roots = [s for s in spans if s.trace_id.hex() == own[0] and not s.parent_span_id]
    assert [s.span_id.hex() for s in roots] == [own[1]]

    assert broken.status_code == 502
    failed = [s for s in spans if attributes(s).get("error.type") == "UPSTREAM_ERROR"]
    assert {s.name for s in failed} == {"POST /chat", "chat atlas-1-2026-06-01"}
    assert all(s.status.code == s.status.STATUS_CODE_ERROR for s in failed)
    lost = next(s for s in spans if attributes(s).get("error.type") == "NOT_FOUND")
    assert lost.name == "GET"
    assert unsampled.status_code == 200
    assert not [s for s in spans if s.trace_id.hex() == "b" * 32]


def test_a_receiver_that_is_not_there_disturbs_nobody() -> None:
    with exporting("http://127.0.0.1:9") as url:
        started = time.monotonic()
        answer = httpx.post(
            url + "/chat", json=chat(), headers={"Authorization": f"Bearer {KEY}"}, trust_env=False
        )
        assert answer.status_code == 200
        assert time.monotonic() - started < WAIT_S


def test_nothing_is_exported_unless_asked_for(reference: ReferenceServer) -> None:
    assert isinstance(telemetry_from({}), NoTelemetry)
    assert isinstance(telemetry_from({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}), NoTelemetry)
    assert isinstance(reference.app.services.telemetry, NoTelemetry)


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_either_variable_switches_it_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    telemetry = telemetry_from({name: "http://127.0.0.1:9"})
    assert not isinstance(telemetry, NoTelemetry)
    telemetry.close()
