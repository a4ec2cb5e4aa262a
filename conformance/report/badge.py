"""A badge for a README: as SVG, and as the JSON that shields.io's endpoint badge reads (schema version 1)."""

from __future__ import annotations

import json
from xml.sax.saxutils import escape, quoteattr

from conformance.report.model import Report

LABEL = "AI API contract"
_COLOURS = {0: ("brightgreen", "#2c7a2c"), 1: ("red", "#b02a2a"), 3: ("lightgrey", "#5f6368")}
_WIDTH = 6.6
_PADDING = 12


def badge_text(report: Report) -> str:
    """What the badge says: how many of the requirements that were judged are kept, and how many apply."""
    if report.gate.exit_code == 3:
        return "no result"
    word = "passed" if report.gate.passed else "failed"
    return f"{word}, {report.judged} of {report.applicable} judged"


def render_badge_json(report: Report) -> bytes:
    """For ``https://img.shields.io/endpoint?url=…``."""
    colour, _ = _COLOURS[report.gate.exit_code]
    found = {
        "schemaVersion": 1,
        "label": LABEL,
        "message": badge_text(report),
        "color": colour,
        "isError": report.gate.exit_code == 3,
    }
    return (json.dumps(found, indent=2) + "\n").encode()


def render_badge_svg(report: Report) -> bytes:
    """A picture that needs no font of its own and no server."""
    message = badge_text(report)
    _, colour = _COLOURS[report.gate.exit_code]
    left, right = (round(len(text) * _WIDTH + _PADDING) for text in (LABEL, message))
    title = escape(f"{LABEL}: {message}")
    svg = f"""<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" \
aria-label={quoteattr(f"{LABEL}: {message}")}>
<title>{title}</title>
<clipPath id="r"><rect width="{left + right}" height="20" rx="3"/></clipPath>
<g clip-path="url(#r)"><rect width="{left}" height="20" fill="#444"/>\
<rect x="{left}" width="{right}" height="20" fill="{colour}"/></g>
<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">
<text x="{left / 2}" y="14" textLength="{left - _PADDING}" lengthAdjust="spacingAndGlyphs">{escape(LABEL)}</text>
<text x="{left + right / 2}" y="14" textLength="{right - _PADDING}" lengthAdjust="spacingAndGlyphs">\
{escape(message)}</text>
</g>
</svg>
"""
    return svg.encode()
