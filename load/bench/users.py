"""Locust's own clients, reading the stream line by line, as most locustfiles do: for comparison only.

The class is chosen by its name on the command line.
"""

from __future__ import annotations

import json
import os
from time import perf_counter
from typing import Any

from locust import FastHttpUser, HttpUser, events, task

BODY = {"messages": [{"role": "user", "content": "hello"}], "stream": True}
HEADERS = {"Accept": "text/event-stream"}
_firsts: list[float] = []
_gaps: list[float] = []
_done: list[float] = []
_begun = perf_counter()
_WARMUP = float(os.environ.get("BENCH_WARMUP", "2"))


def _lines(lines: Any, sent: float) -> None:
    last = 0.0
    for line in lines:
        if b'"token":' not in (line if isinstance(line, bytes) else line.encode()):
            continue
        now = perf_counter()
        if sent - _begun > _WARMUP:
            (_gaps.append(now - last) if last else _firsts.append(now - sent))
        last = now
    if sent - _begun > _WARMUP:
        _done.append(perf_counter())


class RequestsUser(HttpUser):
    """Locust's HttpUser (requests) with ``iter_lines``."""

    @task
    def stream(self) -> None:
        sent = perf_counter()
        with self.client.post(
            "/chat", json=BODY, headers=HEADERS, stream=True, catch_response=True
        ) as response:
            _lines(response.iter_lines(), sent)


class FastUser(FastHttpUser):
    """Locust's FastHttpUser (geventhttpclient) with ``iter_lines``."""

    @task
    def stream(self) -> None:
        sent = perf_counter()
        _lines(self.client.iter_lines("/chat", "POST", json=BODY, headers=HEADERS), sent)


@events.quitting.add_listener
def _write(**_: object) -> None:
    span = (_done[-1] - _done[0]) if len(_done) > 1 else 1.0
    result = {"streams_per_second": len(_done) / span, "firsts": _firsts, "gaps": _gaps}
    with open(os.environ["BENCH_OUT"], "w", encoding="utf-8") as out:  # noqa: PTH123 - a plain write
        json.dump(result, out)
