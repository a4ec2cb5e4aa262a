"""Counts that were taken apart and put together again are the counts."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from load.ledger import Broken
from load.observation import Observation
from load.tally import MAX_INTERVALS, Tally

observations = st.builds(
    Observation,
    operation=st.sampled_from(["chat", "chat_stream"]),
    e2e=st.floats(0, 10),
    status=st.sampled_from([200, 429, 503, 500]),
    code=st.sampled_from(["", "RATE_LIMITED"]),
    ttft=st.one_of(st.none(), st.floats(0, 10)),
    gaps=st.lists(st.floats(0, 1), max_size=3),
    tokens_out=st.integers(0, 9),
    retry_after=st.one_of(st.none(), st.integers(1, 9)),
    judged=st.just(("SSE-04",)),
    broken=st.one_of(st.just([]), st.just([Broken("SSE-04", "an end", "none")])),
)
timed = st.lists(st.tuples(observations, st.integers(0, 2000)), max_size=30)


def tally_of(items: list[tuple[Observation, int]]) -> Tally:
    tally = Tally()
    for seen, at in items:
        tally.add(seen, at, True, "x")
    return tally


def comparable(tally: Tally) -> dict:
    plain = tally.plain()
    for operation in plain["operations"].values():
        for histogram in operation["times"].values():
            histogram["total"] = round(histogram["total"], 6)
    plain["seconds"] = [[n, s[0]] for n, s in plain["seconds"]]
    for record in plain["ledger"].values():
        record[4] = len(record[4])
    plain["operations"] = dict(sorted(plain["operations"].items()))
    return json.loads(json.dumps(plain, sort_keys=True))


@given(timed, timed)
def test_workers_merged_over_the_wire_are_one(one: list, two: list) -> None:
    merged = Tally()
    for part in (one, two):
        merged.merge(Tally.of_plain(json.loads(json.dumps(tally_of(part).plain()))))
    assert comparable(merged) == comparable(tally_of(one + two))


def test_a_long_run_has_wider_intervals_and_loses_nothing() -> None:
    tally = Tally()
    for at in range(3000):
        tally.add(Observation("chat", 0.1, status=200), at, True, "x")
    assert len(tally.seconds) <= MAX_INTERVALS
    assert tally.width == 16
    assert sum(s.counts["done"] for s in tally.seconds.values()) == 3000
    other = tally_of([(Observation("chat", 0.1, status=200), 7)])
    other.merge(tally)
    assert other.width == 16
    assert other.seconds[0].counts["done"] == 17


def test_open_requests_of_processes_add_up_and_of_one_do_not() -> None:
    tally = Tally()
    for process, most in (("0", 5), ("0", 3), ("1", 4)):
        part = Tally()
        part.second(0).note_busy(process, most)
        tally.merge(part)
    assert tally.second(0).busy == 9
