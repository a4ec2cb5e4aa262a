"""Plots as inline SVG: lines over time and bars of a distribution. No script, no font, no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 14, 34
COLOURS = ("#2563eb", "#dc2626", "#059669", "#d97706")


@dataclass(frozen=True)
class Line:
    """One line of a plot; None leaves a hole."""

    name: str
    points: Sequence[tuple[float, float | None]]


def lines_plot(title: str, lines: Sequence[Line], x_name: str, y_name: str, dots: bool = False) -> str:
    """Lines (or dots) over a common pair of axes that begin at 0."""
    xs = [x for line in lines for x, y in line.points if y is not None]
    ys = [y for line in lines for _, y in line.points if y is not None]
    if not xs:
        return _empty(title)
    x_max, y_max = max(xs) or 1.0, (max(ys) or 1.0) * 1.05
    parts = [_axes(x_max, y_max, x_name, y_name)]
    for line, colour in zip(lines, COLOURS, strict=False):
        places = [None if y is None else (_x(x, 0.0, x_max), _y(y, y_max)) for x, y in line.points]
        parts.append(_dots(places, colour) if dots else _path(places, colour))
    return _frame(title, "".join(parts), [(n.name, c) for n, c in zip(lines, COLOURS, strict=False)])


def bars_plot(title: str, bars: Sequence[tuple[float, float, int]], x_name: str) -> str:
    """A distribution: ``(from, to, count)`` per bar."""
    if not bars or not any(n for _, _, n in bars):
        return _empty(title)
    low, high = bars[0][0], bars[-1][1]
    y_max = max(n for _, _, n in bars) * 1.05
    parts = [_axes(high, y_max, x_name, "count", low)]
    for start, end, n in bars:
        x, x2, y = _x(start, low, high), _x(end, low, high), _y(n, y_max)
        height = HEIGHT - BOTTOM - y
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0.5, x2 - x - 0.5):.1f}" height="{height:.1f}" '
            f'fill="{COLOURS[0]}"><title>{start:.4g} to {end:.4g}: {n}</title></rect>'
        )
    return _frame(title, "".join(parts), [])


def _path(places: Sequence[tuple[float, float] | None], colour: str) -> str:
    commands, pen = [], False
    for place in places:
        if place is None:
            pen = False
            continue
        commands.append(f"{'L' if pen else 'M'}{place[0]:.1f} {place[1]:.1f}")
        pen = True
    return f'<path d="{"".join(commands)}" fill="none" stroke="{colour}" stroke-width="1.6"/>'


def _dots(places: Sequence[tuple[float, float] | None], colour: str) -> str:
    return "".join(
        f'<circle cx="{p[0]:.1f}" cy="{p[1]:.1f}" r="3" fill="{colour}" fill-opacity="0.6"/>'
        for p in places
        if p is not None
    )


def _x(value: float, low: float, high: float) -> float:
    return LEFT + (value - low) / ((high - low) or 1.0) * (WIDTH - LEFT - RIGHT)


def _y(value: float, high: float) -> float:
    return HEIGHT - BOTTOM - value / high * (HEIGHT - TOP - BOTTOM)


def _axes(x_max: float, y_max: float, x_name: str, y_name: str, x_min: float = 0.0) -> str:
    parts = []
    for i in range(5):
        y = _y(y_max * i / 4, y_max)
        x = LEFT + (WIDTH - LEFT - RIGHT) * i / 4
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(y_max * i / 4)}</text>')
        value = x_min + (x_max - x_min) * i / 4
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 18}" text-anchor="middle">{_short(value)}</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 3}" text-anchor="middle">{escape(x_name)}</text>')
    parts.append(f'<text x="{LEFT}" y="10" text-anchor="start">{escape(y_name)}</text>')
    return "".join(parts)


def _frame(title: str, inner: str, legend: Sequence[tuple[str, str]]) -> str:
    named = "".join(f'<span><i style="background:{c}"></i>{escape(n)}</span>' for n, c in legend if n)
    return (
        f"<figure><figcaption>{escape(title)} {named}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{inner}</svg></figure>'
    )


def _empty(title: str) -> str:
    return f"<figure><figcaption>{escape(title)}</figcaption><p>nothing was measured</p></figure>"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
