"""A receiver of webhooks on this machine, for tests of the sender."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from reference_impl.settings import Settings

LOCAL = ("127.0.0.0/8",)
SETTINGS = Settings(webhook_networks=LOCAL, webhook_delays_s=(0.05, 0.1, 0.2), webhook_timeout_s=1.0)
WAIT_S = 10.0


@dataclass
class Inbox:
    """A receiver whose n-th answer to a message is the n-th of `statuses`, then the last."""

    statuses: Sequence[int] = (200,)
    headers: Mapping[str, str] = field(default_factory=dict)
    received: list[tuple[str, dict[str, str], bytes, float]] = field(default_factory=list)
    url: str = ""

    def about(self, job_id: str) -> list[tuple[str, dict[str, str], bytes, float]]:
        return [r for r in self.received if job_id.encode() in r[2]]

    def wait(self, job_id: str, count: int) -> list[tuple[str, dict[str, str], bytes, float]]:
        deadline = time.monotonic() + WAIT_S
        while len(self.about(job_id)) < count:
            assert time.monotonic() < deadline, f"{len(self.about(job_id))} of {count} messages came"
            time.sleep(0.01)
        return self.about(job_id)


@contextmanager
def open_inbox() -> Iterator[Inbox]:
    """A receiver on a free port."""
    box = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {k.lower(): v for k, v in self.headers.items()}
            box.received.append((self.path, headers, body, time.time()))
            tries = sum(h.get("webhook-id") == headers.get("webhook-id") for _, h, _, _ in box.received)
            self.send_response(box.statuses[min(tries, len(box.statuses)) - 1])
            for name, value in box.headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    box.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield box
    server.shutdown()
    server.server_close()
