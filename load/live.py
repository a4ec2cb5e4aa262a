"""The live dashboard: one block of lines, drawn anew each half second, on a terminal only."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

import gevent

from load.tally import Tally

if TYPE_CHECKING:
    from load.session import Session

EVERY = 0.5
BAR = 30


class Dashboard:
    """Progress, rate, latency and errors so far. Silent unless standard error is a terminal."""

    def __init__(self, session: Session, out: TextIO | None = None) -> None:
        self.session = session
        self.out = out or sys.stderr
        self.lines = 0

    def start(self) -> None:
        if self.out.isatty():
            gevent.spawn(self._run)

    def _run(self) -> None:
        while not self.session.ended:
            gevent.sleep(EVERY)
            if self.session.begun:
                self.draw()

    def draw(self) -> None:
        """Draw over what was drawn before."""
        lines = describe(self.session.tally(), self.session.elapsed, self.session.seconds_asked)
        up = f"\x1b[{self.lines}F" if self.lines else ""
        self.out.write(up + "".join(f"\x1b[2K{line}\n" for line in lines))
        self.out.flush()
        self.lines = len(lines)


def describe(tally: Tally, elapsed: float, asked: float | None) -> list[str]:
    """The dashboard as lines of text."""
    share = min(1.0, elapsed / asked) if asked else 0.0
    bar = "█" * int(share * BAR) + "░" * (BAR - int(share * BAR))
    of = f" of {asked:.0f}" if asked else ""
    lines = [f"{bar} {elapsed:5.0f}{of} s"]
    done = tally.total("requests")
    last = [tally.seconds[n] for n in sorted(tally.seconds)[-4:-1]]
    rate = sum(s.counts["done"] for s in last) / (len(last) * tally.width) if last else 0.0
    busy = last[-1].busy if last else 0
    broken = sum(1 for r in tally.ledger.records.values() if r.broken)
    lines.append(
        f"  {done:,} done, {rate:,.0f}/s, {busy:,} open, {tally.total('refused'):,} × 429, "
        f"{tally.total('failed') + tally.total('overloaded'):,} errors, {broken} requirements broken"
    )
    for name, operation in sorted(tally.operations.items()):
        parts = [f"  {name:<14}{operation.counts['requests']:>9,}"]
        for metric in ("ttft", "itl", "e2e"):
            histogram = operation.times[metric]
            if histogram.count:
                p50, p99 = (q * 1000 for q in histogram.quantiles((0.5, 0.99)))
                parts.append(f"{metric} p50 {p50:,.1f} p99 {p99:,.1f} ms")
        lines.append("   ".join(parts))
    return lines
