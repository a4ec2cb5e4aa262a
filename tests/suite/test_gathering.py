"""In which steps a run goes, and when it may end."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from conformance.dialects.model import load_dialect
from conformance.evidence import Evidence, Exchange
from conformance.gather import BASELINE, EXHAUSTING, gather, plan
from conformance.registry import CHECKS, PROBES, load_all, selected_checks
from conformance.target import Target

load_all()
CONTRACT = load_dialect("contract")
EVERYTHING = plan(CHECKS.values(), CONTRACT, Target("http://127.0.0.1:1", "contract"))


@pytest.fixture
def empty_answers() -> Iterator[str]:
    class Empty(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.do_GET()

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_probe_that_computes_disturbs_no_other() -> None:
    steps = list(EVERYTHING.steps())
    assert [p.name for p in steps[0]] == ["baseline"]
    alone = next(i for i, step in enumerate(steps) if "generated" in {p.name for p in step})
    assert all(p.computes for p in steps[alone])
    assert {p.phase for step in steps[: alone + 1] for p in step} == {BASELINE, 1}
    assert [len(step) for step in steps[alone + 1 :]] == [1] * (len(steps) - alone - 1)
    assert {p.phase for step in steps[alone + 1 :] for p in step} == {EXHAUSTING}


@pytest.mark.parametrize("abreast", [1, 8, 500])
def test_small_steps_hold_the_same_probes_and_keep_the_phases(abreast: int) -> None:
    planned = EVERYTHING.cheapest_first(abreast)
    steps = list(planned.steps())
    ran = [p for step in steps for p in step]
    assert sorted(p.name for p in ran) == sorted(p.name for p in EVERYTHING.probes)
    assert [p.phase for p in ran] == sorted(p.phase for p in ran)
    assert max(len(step) for step in steps) <= abreast
    assert all(len({(p.phase, p.computes) for p in step}) == 1 for step in steps)
    side_by_side = [p.calls for p in ran if p.phase == 1 and not p.computes]
    assert side_by_side == sorted(side_by_side)


def test_a_run_ends_when_there_is_enough(empty_answers: str) -> None:
    shown: list[Evidence] = []

    async def enough(exchanges: Sequence[Exchange], so_far: Callable[[], Evidence]) -> bool:
        shown.append(so_far())
        assert [e.id for e in shown[-1].exchanges] == sorted(e.id for e in exchanges)
        return len(shown) == 2

    checks = selected_checks(["SYNC-06", "RATE-05"])
    planned = plan(checks.values(), CONTRACT, Target(empty_answers, "contract")).cheapest_first(1)
    assert len(list(planned.steps())) == 3
    evidence = asyncio.run(gather(Target(empty_answers, "contract"), CONTRACT, planned, enough=enough))
    assert evidence.exchanges == shown[1].exchanges
    outcomes = {name: record.outcome for name, record in evidence.probes.items() if name in PROBES}
    assert outcomes == {"baseline": "done", "output_limit": "done", "limit_burst": "stopped"}
    assert evidence.probes["limit_burst"].reason == "not needed any more"
    assert {e.probe for e in evidence.exchanges} == {"baseline", "output_limit"}
