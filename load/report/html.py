"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

from html import escape
from typing import Any

from load.histogram import Histogram
from load.report.svg import Line, bars_plot, lines_plot

STYLE = """
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
.wide{overflow-x:auto;margin:.5rem 0 1.5rem}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
body{overflow-wrap:anywhere}td,th{overflow-wrap:normal}
th,td{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #8884}th:first-child,td:first-child{text-align:left}
figure{margin:1.2rem 0}figcaption{font-weight:600}figcaption span{font-weight:400;margin-left:1rem}
figcaption i{display:inline-block;width:.8em;height:.8em;margin-right:.3em;border-radius:2px}
svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:currentColor}.grid{stroke:#8884}
.bad{color:light-dark(#a31919,#ff9a92);font-weight:600}.good{color:light-dark(#06603f,#6fdcaa)}
body{background:light-dark(#fff,#11161d);color:light-dark(#16202c,#e6ebf1)}
.state{padding:.6rem 1rem;border-radius:.4rem;background:#8882}
pre{white-space:pre-wrap;background:#8882;padding:.5rem;overflow-wrap:anywhere}dt{font-weight:600}
"""
STATES = {
    0: ("good", "passed"),
    1: ("bad", "failed"),
    3: ("bad", "unreachable"),
    4: ("bad", "INVALID: these times are not the server's"),
}
COLUMNS = ("p50", "p90", "p95", "p99", "p99.9", "max", "mean")


def page(document: dict[str, Any]) -> str:
    """The whole page."""
    kind, state = STATES.get(document["exit_code"], ("bad", "failed"))
    base = escape(document["target"]["base_url"])
    parts = [
        f"<h1>Load on {base}</h1>",
        (
            f"<p>{escape(document['load']['label'])}. {document['started_at'][:19]}Z, "
            f"{document['duration_seconds']:.1f} s, {document['load']['processes']} process(es), "
            f"dialect {escape(document['dialect'])}.</p>"
        ),
        f'<p class="state {kind}">{state}</p>',
        _list([*document["client"]["doubts"], *document["reasons"]]),
        "<h2>Operations</h2>",
        *(_operation(name, o) for name, o in document["operations"].items()),
        "<h2>Over time</h2>",
        *_over_time(document),
        "<h2>Distributions</h2>",
        *_distributions(document),
        _steps(document["steps"]),
        "<h2>Objectives</h2>",
        _objectives(document["objectives"]),
        "<h2>Contract under load</h2>",
        _verdicts(document),
        "<h2>The client itself</h2>",
        _client(document["client"]),
        "<h2>What the words mean</h2>",
        "<dl>"
        + "".join(f"<dt>{escape(n)}</dt><dd>{escape(t)}</dd>" for n, t in document["definitions"].items()),
        "</dl>",
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width,initial-scale=1"><title>Load on {base}</title><style>{STYLE}</style></head>'
        "<body><main>" + "\n".join(parts) + "</main></body></html>\n"
    )


def _operation(name: str, o: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{metric}</td>"
        + "".join(f"<td>{t[c]:,.2f}</td>" for c in COLUMNS)
        + f"<td>{t['count']:,}</td></tr>"
        for metric, t in o["times"].items()
    )
    head = "".join(f"<th>{c}</th>" for c in COLUMNS)
    errors = ", ".join(f"{escape(code)} × {n:,}" for code, n in o["errors"].items()) or "none"
    return (
        f"<h3>{escape(name)}</h3><p>{o['requests']:,} requests, {o['ok']:,} ok ({o['per_second']:,.1f}/s), goodput "
        f"{o['goodput']:.2%}, 429 share {o['refused_share']:.2%}, {o['truncated']:,} truncated streams, "
        f"{o['stalls']:,} stalls, tokens in {o['tokens_in_per_second']:,.0f}/s, out "
        f"{o['tokens_out_per_second']:,.0f}/s. Errors: {errors}. {o['coalesced']:,} gaps unknown (coalesced).</p>"
        + _table(f"Times of {name}", f"<tr><th>ms</th>{head}<th>count</th></tr>{rows}")
    )


def _over_time(document: dict[str, Any]) -> list[str]:
    seconds = document["seconds"]

    def line(name: str, key: str) -> Line:
        return Line(name, [(s["second"], s[key] or None) for s in seconds])

    def rate(name: str, key: str) -> Line:
        return Line(name, [(s["second"], s[key] / s["seconds"]) for s in seconds])

    return [
        lines_plot("End-to-end latency", [line("p50", "e2e_p50"), line("p99", "e2e_p99")], "second", "ms"),
        lines_plot("Time to first token", [line("p50", "ttft_p50"), line("p99", "ttft_p99")], "second", "ms"),
        lines_plot(
            "Throughput",
            [rate("ok", "ok"), rate("429", "refused"), rate("failed", "failed")],
            "second",
            "per second",
        ),
        lines_plot(
            "Throughput against concurrency",
            [Line("one dot per second", [(s["busy"], s["ok"] / s["seconds"]) for s in seconds])],
            "requests open at once",
            "ok per second",
            dots=True,
        ),
        lines_plot(
            "429 and Retry-After",
            [rate("429 per second", "refused"), line("longest Retry-After (s)", "retry_after")],
            "second",
            "count, seconds",
        ),
    ]


def _distributions(document: dict[str, Any]) -> list[str]:
    plots = []
    for name, o in document["operations"].items():
        for metric, title in (
            ("ttft", "time to first token"),
            ("itl", "inter-token latency"),
            ("e2e", "end to end"),
        ):
            plain = o["histograms"].get(metric)
            if plain:
                bars = [(a * 1000, b * 1000, n) for a, b, n in Histogram.of_plain(plain).bars(60)]
                plots.append(bars_plot(f"{name}: {title}", bars, "ms"))
    return plots


def _steps(steps: list[dict[str, Any]]) -> str:
    if not steps:
        return ""
    rows = "".join(
        f"<tr><td>{s['rate']:g}/s</td><td>{s['ok_per_second']:g}/s</td><td>{s['e2e_p95']:.1f}</td>"
        f"<td>{'kept' if s['kept'] else '<span class=bad>beyond the knee</span>'}</td></tr>"
        for s in steps
    )
    head = "<tr><th>asked</th><th>done</th><th>p95 ms</th><th>knee</th></tr>"
    return "<h2>Steps</h2>" + _table("Steps", head + rows)


def _objectives(objectives: list[dict[str, Any]]) -> str:
    if not objectives:
        return "<p>none given</p>"
    rows = ""
    for o in objectives:
        seen = "nothing measured" if o["seen"] is None else f"{o['seen']:.4g} {escape(o['unit'])}"
        mark = '<span class="good">met</span>' if o["met"] else '<span class="bad">missed</span>'
        rows += (
            f"<tr><td>{escape(o['name'])}</td><td>{o['relation']} {o['bound']:g} {escape(o['unit'])}</td>"
            f"<td>{seen}</td><td>{mark}</td></tr>"
        )
    head = "<tr><th>objective</th><th>bound</th><th>seen</th><th>verdict</th></tr>"
    return _table("Objectives", head + rows)


def _verdicts(document: dict[str, Any]) -> str:
    rows = ""
    for v in document["contract"]["verdicts"]:
        kind = {"FAIL": "bad", "WARN": "bad", "PASS": "good"}.get(v["verdict"], "")
        rows += (
            f'<tr><td>{v["id"]}</td><td class="{kind}">{v["verdict"]}</td>'
            f'<td style="text-align:left">{escape(v["text"])}<br><small>{escape(v["detail"])}</small>'
        )
        if v["why"]:
            rows += f"<br><small>Why: {escape(v['why'])} Fix: {escape(v['fix'])}</small>"
        if v["verdict"] in ("FAIL", "WARN"):
            for sample in document["samples"].get(v["id"], ()):
                if sample.get("excerpt"):
                    rows += f"<pre>{escape(sample['where'])}\n{escape(sample['excerpt'])}</pre>"
        rows += "</td></tr>"
    return _table("Contract under load", rows) if rows else "<p>nothing was judged</p>"


def _client(client: dict[str, Any]) -> str:
    rows = [
        ("loop lag p99", f"{client['loop_lag']['p99']:.2f} ms of a budget of {client['error_budget_ms']:g}"),
        ("start lag p99", f"{client['lag']['p99']:.2f} ms"),
        ("CPU of a core", f"{client['cpu']:.0%}"),
        ("most requests open", f"{client['busiest']:,}"),
        (
            "asked per second",
            f"{client['requested_per_second']:,.2f}" if client["requested_per_second"] else "closed loop",
        ),
        (
            "begun per second",
            "" if client["started_per_second"] is None else f"{client['started_per_second']:,.2f}",
        ),
        ("completed per second", f"{client['completed_per_second']:,.2f}"),
        ("sent again, as a kept connection was closed", f"{client['resent']:,}"),
        ("arrivals not sent", f"{client['not_sent']:,}"),
        ("calls cut at the end", f"{client['unfinished']:,}"),
        ("lost workers", ", ".join(client["lost_workers"]) or "none"),
    ]
    cells = "".join(f"<tr><td>{escape(n)}</td><td>{escape(v)}</td></tr>" for n, v in rows if v)
    return _table("The client itself", cells)


def _table(label: str, rows: str) -> str:
    """A table that scrolls by itself where the page is narrow, also by keyboard."""
    named = f'role="region" aria-label="{escape(label)}" tabindex="0"'
    return f'<div class="wide" {named}><table>{rows}</table></div>'


def _list(lines: list[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>" if lines else ""
