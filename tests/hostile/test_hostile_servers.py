"""Against every hostile server an exchange ends in bounded time and memory, with the right reason."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import SERVERS

from conformance.evidence import Exchange, Sent
from conformance.target import Limits
from conformance.wire.http import Wire

HERE = Path(__file__).parent
LIMITS = Limits(connect=2.0, headers=0.6, total=1.2, body=512 * 1024)
SLACK = 1.5
"""Seconds over the deadline that a busy machine may take."""


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    command = [sys.executable, str(HERE / "servers.py"), "all", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()


def exchange_with(port: int, limits: Limits) -> Exchange:
    async def run() -> Exchange:
        async with Wire() as wire:
            authorization = (("Authorization", "Bearer s3cret"),)
            sent = Sent("POST", f"http://127.0.0.1:{port}/v1/chat", authorization, b"{}")
            recorded = await wire.send(sent, limits)
        response = recorded.response()
        return Exchange("x0001", "p", "r", "chat", "main", {}, recorded.sent, 0.0, **response)

    return asyncio.run(run())


@pytest.mark.parametrize("name", SERVERS)
def test_ends_in_time_with_the_right_reason(name: str, ports: dict[str, int]) -> None:
    started = time.perf_counter()
    exchange = exchange_with(ports[name], LIMITS)
    assert time.perf_counter() - started < LIMITS.total + SLACK
    kinds = {exchange.failure.kind} if exchange.failure else set()
    ends = SERVERS[name].ends
    assert kinds <= ends, exchange.failure
    assert kinds or not ends - {""} or "" in ends
    assert len(exchange.raw) <= LIMITS.body
    assert (exchange.t_end is None) == (exchange.failure is not None)
    if exchange.failure is not None:
        assert "\n" not in exchange.failure.detail
        assert "s3cret" not in exchange.failure.detail
    # What arrived can be read.
    assert len(exchange.content) <= 8 * 1024 * 1024
    assert exchange.sse.size == len(exchange.content)
    assert exchange.json is not None or name == "null_json"


def test_what_came_before_the_cut_is_kept(ports: dict[str, int]) -> None:
    for name in ("cut_between_chunks", "cut_in_chunk", "cut_in_chunk_size", "bad_chunk_size", "hang_in_body"):
        exchange = exchange_with(ports[name], LIMITS)
        assert exchange.status == 200
        assert exchange.raw == b'data: {"token":"a"}\n\n', name
        assert exchange.t_headers is not None
        assert exchange.chunks[0].t >= exchange.t_headers
    assert exchange_with(ports["short_body"], LIMITS).raw == b'{"half": '
    assert exchange_with(ports["reset_in_body"], LIMITS).raw == b'{"half": '


MEASURED = """
import sys
sys.path.insert(0, {here!r})
from test_hostile_servers import exchange_with
from conformance.target import Limits
exchange = exchange_with({port}, Limits(headers=5.0, total=8.0, body=4 * 1024 * 1024))
exchange.sse
status = open("/proc/self/status").read()
print(exchange.failure.kind, int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""


@pytest.mark.parametrize(
    "name",
    ["huge_body", "endless_stream", "endless_headers", "gzip_bomb", "gzip_in_gzip_bomb", "brotli_bomb"],
)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from Linux' /proc")
def test_memory_stays_bounded(name: str, ports: dict[str, int]) -> None:
    program = MEASURED.format(here=str(HERE), port=ports[name])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    kind, megabytes = done.stdout.split()
    assert kind in SERVERS[name].ends
    assert int(megabytes) < 300


def test_one_byte_chunks_do_not_become_a_million_objects(ports: dict[str, int]) -> None:
    exchange = exchange_with(ports["one_byte_chunks"], LIMITS)
    assert len(exchange.raw) > 1000
    assert len(exchange.chunks) < 25_000


@pytest.mark.parametrize("arguments", [[], ["nosuch", "0"], ["hang"], ["hang", "x"]])
def test_a_wrong_command_line_is_explained(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / "servers.py"), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("usage:")
