"""Two pictures on a time axis: the arrival of a stream, and what a limit answered to a burst.

Geometry only; the template draws it as inline SVG. Coordinates are SVG user units, times are seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from conformance.reading import Reading
from conformance.replicas import ONE, Replicas
from conformance.report.model import counted

WIDTH = 920
LEFT = 118
RIGHT = 24
LANE = 26
TOP = 22
MAX_GAPS = 5
MAX_CALLS = 40
ROW = 15


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Lane:
    """Marks of one kind: ``path`` is an SVG path of strokes, ``label`` says of how many things."""

    label: str
    kind: str
    y: float
    path: str


@dataclass(frozen=True, slots=True)
class Gap:
    """A silence: no byte arrived."""

    x: float
    width: float
    label: str


@dataclass(frozen=True)
class StreamPicture:
    """``headers_x``: when the response head had arrived, ``end_x``: when the body ended; None: never."""

    caption: str
    height: float
    ticks: tuple[Tick, ...]
    lanes: tuple[Lane, ...]
    gaps: tuple[Gap, ...]
    headers_x: float | None
    end_x: float | None


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a burst: a bar from start to end, and the wait that its answer asked for.
    ``cut``: the wait goes on beyond the picture."""

    id: str
    kind: str
    label: str
    y: float
    x: float
    width: float
    wait_x: float = 0.0
    wait_width: float = 0.0
    wait_label: str = ""
    cut: bool = False

    @property
    def label_left(self) -> bool:
        """No room for the label on the right."""
        return self.x + self.width > WIDTH - RIGHT - (110 if self.wait_label else 40)


@dataclass(frozen=True)
class LimitPicture:
    title: str
    caption: str
    height: float
    ticks: tuple[Tick, ...]
    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear scale from 0 to ``span`` seconds."""

    span: float

    def x(self, t: float) -> float:
        inner = WIDTH - LEFT - RIGHT
        return round(LEFT + inner * min(max(t, 0.0), self.span) / self.span, 1)

    def ticks(self) -> tuple[Tick, ...]:
        """About six, at round times."""
        size = 10.0 ** _floor_log10(self.span / 6)
        step = next(size * f for f in (1, 2, 5, 10) if size * f * 6.5 >= self.span)
        return tuple(
            Tick(self.x(i * step), seconds(i * step)) for i in range(int(self.span / step + 1e-9) + 1)
        )


def seconds(t: float) -> str:
    """A time as a reader says it: ``0``, ``80 ms``, ``1.2 s``."""
    if t == 0:
        return "0"
    return f"{t * 1000:.3g} ms" if t < 0.9995 else f"{t:.3g} s"


def stream_picture(reading: Reading) -> StreamPicture | None:
    """How a stream arrived, or None if no byte of a body did."""
    exchange = reading.exchange
    if not exchange.chunks or not exchange.is_sse:
        return None
    last = max(exchange.t_end or 0.0, exchange.chunks[-1].t)
    axis = Axis(max(last, 0.001))
    lanes = _lanes(reading, axis)
    return StreamPicture(
        caption=_caption(reading),
        height=TOP + LANE * len(lanes) + 24,
        ticks=axis.ticks(),
        lanes=lanes,
        gaps=_gaps(reading, axis),
        headers_x=None if exchange.t_headers is None else axis.x(exchange.t_headers),
        end_x=None if exchange.t_end is None or exchange.failure else axis.x(exchange.t_end),
    )


def _lanes(reading: Reading, axis: Axis) -> tuple[Lane, ...]:
    sse, stream = reading.exchange.sse, reading.stream
    tokens = {p.event for p in stream.deltas}
    errors = {index for index, _ in stream.errors} | {index for index, _ in stream.invalid}
    terminals = set(stream.terminals)
    kinds: dict[str, list[float]] = {"token": [], "control": [], "error": [], "terminal": []}
    for index, event in enumerate(sse.events):
        if index in errors:
            kind = "error"
        elif index in terminals:
            kind = "terminal"
        else:
            kind = "token" if index in tokens else "control"
        kinds[kind].append(event.t)
    rows = [
        ("chunk", "chunk", [c.t for c in reading.exchange.chunks]),
        ("token", "token", kinds["token"]),
        ("control event", "control", kinds["control"]),
        ("comment", "comment", [c.t for c in sse.comments]),
        ("error", "error", kinds["error"]),
        ("terminal", "terminal", kinds["terminal"]),
    ]
    shown = [r for r in rows if r[2] or r[1] in ("chunk", "token", "terminal")]
    return tuple(
        Lane(counted(len(times), noun), kind, TOP + LANE * i, _strokes(axis, times, TOP + LANE * i))
        for i, (noun, kind, times) in enumerate(shown)
    )


def _strokes(axis: Axis, times: Iterable[float], y: float) -> str:
    columns = sorted({round(axis.x(t) / 2) * 2 for t in times})  # a stroke is two units wide
    return "".join(f"M{x} {y + 4}v{LANE - 8}" for x in columns)


def _gaps(reading: Reading, axis: Axis) -> tuple[Gap, ...]:
    times = [c.t for c in reading.exchange.chunks]
    least = max(0.2, 0.15 * axis.span)
    silences = sorted(((b - a, a, b) for a, b in pairwise(times) if b - a >= least), reverse=True)[:MAX_GAPS]
    return tuple(Gap(axis.x(a), round(axis.x(b) - axis.x(a), 1), seconds(d)) for d, a, b in silences)


def _caption(reading: Reading) -> str:
    exchange, sse, stream = reading.exchange, reading.exchange.sse, reading.stream
    first = min((p.t for p in stream.deltas), default=None)
    parts = [
        f"{counted(len(sse.events), 'event')} in {counted(len(exchange.chunks), 'chunk')}",
        f"first byte after {seconds(exchange.chunks[0].t)}",
        "no token" if first is None else f"first token after {seconds(first)}",
        f"last byte after {seconds(exchange.chunks[-1].t)}",
    ]
    if len(exchange.chunks) > 1:
        silence = max(b.t - a.t for a, b in pairwise(exchange.chunks))
        parts.append(f"longest silence {seconds(silence)}")
    if exchange.failure:
        parts.append(f"no complete body: {exchange.failure.kind}")
    if exchange.left_at is not None:
        parts.append(f"the probe hung up after {seconds(exchange.left_at)}")
    return ", ".join(parts) + "."


def limit_pictures(
    readings: Sequence[Reading], replicas: Replicas = ONE, most: int = 3
) -> tuple[LimitPicture, ...]:
    """One picture per probe and principal that met a limit, those with most refusals first."""
    groups: dict[tuple[str, str], list[Reading]] = {}
    for reading in readings:
        groups.setdefault((reading.exchange.probe, reading.exchange.principal), []).append(reading)
    met = [g for g in groups.values() if len(g) >= 3 and any(r.status == 429 for r in g)]
    met.sort(key=lambda g: -sum(r.status == 429 for r in g))
    return tuple(_limit_picture(sorted(g, key=lambda r: r.exchange.started_at), replicas) for g in met[:most])


def _limit_picture(burst: Sequence[Reading], replicas: Replicas) -> LimitPicture:
    drawn = burst[:MAX_CALLS]
    zero = drawn[0].exchange.started_at
    ends = [r.exchange.started_at - zero + (r.exchange.t_end or 0.0) for r in drawn]
    asked = [_wait(r) for r in drawn]
    waits_end = max((e + w for e, w in zip(ends, asked, strict=True) if w), default=0.0)
    # A wait of a minute must not flatten a burst of a second.
    axis = Axis(max(0.05, max(ends), min(waits_end, 4 * max(ends))))
    first, refused = burst[0].exchange, sum(r.status == 429 for r in burst)
    waits = sorted({f"{w:g} s" for w in map(_wait, burst) if w})
    caption = f"{counted(len(burst), 'request')}, {refused} refused with 429. " + (
        f"Asked to wait: {', '.join(waits[:6])}." if waits else "No answer said how long to wait."
    )
    if len(burst) > len(drawn):
        caption += f" The first {len(drawn)} are drawn."
    return LimitPicture(
        title=f"Probe {first.probe}, principal {first.principal}",
        caption=caption,
        height=TOP + ROW * len(drawn) + 24,
        ticks=axis.ticks(),
        calls=tuple(
            _call(r, axis, zero, wait, TOP + ROW * i, replicas)
            for i, (r, wait) in enumerate(zip(drawn, asked, strict=True))
        ),
    )


def _call(reading: Reading, axis: Axis, zero: float, wait: float, y: float, replicas: Replicas) -> Call:
    exchange = reading.exchange
    start = exchange.started_at - zero
    end = start + (exchange.t_end or 0.0)
    x = axis.x(start)
    status = str(exchange.status) if exchange.status is not None else "none"
    if replicas.several and (number := replicas.number(exchange.sent.url)):
        status += f", replica {number}"
    call = Call(exchange.id, _kind(exchange.status), status, y, x, round(max(3.0, axis.x(end) - x), 1))
    if not wait:
        return call
    left, right = axis.x(end), axis.x(end + wait)
    return Call(
        call.id, call.kind, call.label, y, x, call.width,
        wait_x=left, wait_width=round(max(0.0, right - left), 1), wait_label=f"wait {wait:g} s",
        cut=end + wait > axis.span + 1e-6,
    )  # fmt: skip


def _kind(status: int | None) -> str:
    if status is None:
        return "none"
    if status == 429:
        return "limited"
    return "good" if 200 <= status < 300 else "other"


def _wait(reading: Reading) -> float:
    """What the answer asks a refused caller to wait; 0 if it was not refused or does not say."""
    value = reading.facts["retry_after"].value if reading.status == 429 else None
    known = isinstance(value, int | float) and 0 < value < 1e7
    return float(value) if known and value is not None else 0.0


def _floor_log10(value: float) -> int:
    return int(f"{value:e}".partition("e")[2])
