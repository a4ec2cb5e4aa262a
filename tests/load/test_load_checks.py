"""Each byte-level check under load, on a stream that keeps it and on one that breaks it."""

from __future__ import annotations

import pytest

from conformance.dialects.model import load_dialect
from load.streams.checks import judge_stream
from load.streams.plan import StreamPlan
from load.streams.reader import read_record
from load.transport.exchange import Reply

META = 'event: metadata\ndata: {"type":"metadata","id":"c1","model_version":"m"}\n\n'
ONE = 'data: {"type":"token","token":"a ","index":0}\n\n'
TWO = 'data: {"type":"token","token":"b","index":1}\n\n'
DONE = (
    'event: done\ndata: {"type":"done","id":"c1","finish_reason":"stop","text":"a b",'
    '"metadata":{"tokens_used":{"input":3,"output":2}}}\n\n'
)
END = "data: [DONE]\n\n"
ERROR = 'event: error\ndata: {"type":"error","error":{"code":"UPSTREAM_ERROR","message":"failed"}}\n\n'
GOOD = META + ONE + TWO + DONE + END


def judged(
    body: str | bytes,
    *,
    failure: str | None = None,
    ended: float = 0.0,
    silent: float = 0.0,
    lag: float = 0.0,
) -> tuple[set[str], set[str]]:
    """``(judged, broken)`` of a contract stream, an event per receive and 10 ms."""
    raw = body.encode() if isinstance(body, str) else body
    reply = Reply()
    reply.status, reply.failure, reply.detail = 200, failure, failure or ""
    blocks = [b + b"\n\n" for b in raw.split(b"\n\n")[:-1]]
    tail = raw.split(b"\n\n")[-1]
    parts = [*blocks, tail] if tail else blocks
    reply.pieces = [(1.0 + i / 100 + (silent if i > 1 else 0.0), part) for i, part in enumerate(parts)]
    reply.size = len(raw)
    reply.t_end = reply.pieces[-1][0] + ended
    plan = StreamPlan(load_dialect("contract"))
    names, broken = judge_stream(plan, reply, read_record(plan, reply.pieces), True, lag)
    return set(names), {b.requirement for b in broken}


def test_a_good_stream_breaks_nothing_and_is_judged_by_all() -> None:
    names, broken = judged(GOOD)
    assert broken == set()
    assert names == {
        "SSE-02", "SSE-03", "SSE-04", "SSE-05", "SSE-06", "SSE-07", "SSE-09", "SSE-10", "SSE-11", "SSE-12", "SSE-13",
        "SSE-25", "SSE-34", "SSE-35", "SSE-36", "SSE-38",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("requirement", "body"),
    [
        ("SSE-02", META + ONE + 'data: {"type":\n\n' + TWO + DONE + END),
        ("SSE-03", META + ONE + DONE + END),
        ("SSE-03", META + TWO + ONE + DONE + END),
        ("SSE-04", META + ONE + TWO + DONE),
        ("SSE-04", GOOD + END),
        ("SSE-04", META + ONE + TWO + END + DONE),
        ("SSE-06", META + ONE + TWO + DONE.replace("stop", "") .replace('"finish_reason":"",', "") + END),
        ("SSE-07", META + ONE + TWO + DONE.replace('"output":2', '"x":2') + END),
        ("SSE-09", GOOD.encode().replace(b'"a ', b'"a\xff')),
        ("SSE-10", b"\xef\xbb\xbf" + GOOD.encode()),
        ("SSE-11", GOOD.replace("\n\n", "\r\n\r\n", 1)),
        ("SSE-12", GOOD.replace("data: {", "data:{", 1)),
        ("SSE-13", META + "event: ping\n\n" + ONE + TWO + DONE + END),
        ("SSE-20", META + ONE + ERROR + TWO),
        ("SSE-20", META + ONE + ERROR.replace('"code":"UPSTREAM_ERROR",', "")),
        ("SSE-25", META + ONE + TWO + DONE.replace("c1", "c2") + END),
        ("SSE-38", GOOD[:-1]),
        ("SSE-40", META + ONE + ERROR + END),
    ],
)  # fmt: skip
def test_a_broken_stream_is_caught(requirement: str, body: str | bytes) -> None:
    names, broken = judged(body)
    assert requirement in broken
    assert requirement in names


def test_an_error_event_is_a_clean_end() -> None:
    names, broken = judged(META + ONE + ERROR)
    assert broken == set()
    assert {"SSE-20", "SSE-22", "SSE-40"} <= names
    assert "SSE-04" not in names


def test_a_terminal_without_its_blank_line_is_not_a_missing_one() -> None:
    assert judged(GOOD[:-1])[1] == {"SSE-38"}


def test_a_cut_stream_breaks_off() -> None:
    assert judged(META + ONE, failure="reset")[1] == {"SSE-34"}
    assert judged(META + ONE + ERROR, failure="reset")[1] == set()


def test_a_stream_that_falls_silent() -> None:
    assert judged(META + ONE, failure="timeout_body", ended=20.0)[1] == {"SSE-36"}
    assert judged(META + ONE, failure="timeout_body", ended=5.0)[1] == set()
    assert judged(META, failure="timeout_body", ended=20.0)[1] == set()
    assert judged(META + ONE, failure="timeout_body", ended=20.0, lag=6.0)[1] == set()  # we were not looking


def test_a_response_that_stays_open_after_its_end() -> None:
    assert judged(GOOD, ended=1.9)[1] == set()
    assert judged(GOOD, ended=2.1)[1] == {"SSE-05"}
    assert judged(META + ONE + ERROR, ended=2.1)[1] == {"SSE-22"}


def test_a_pause_in_the_text() -> None:
    tokens = "".join(f'data: {{"type":"token","token":"w","index":{i}}}\n\n' for i in range(9))
    whole = META + tokens + DONE.replace('"a b"', '"wwwwwwwww"') + END
    assert judged(whole)[1] == set()
    assert judged(whole, silent=6.0)[1] == {"SSE-35"}
