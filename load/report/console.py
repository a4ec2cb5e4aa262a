"""The summary on the terminal, with the definitions of what it says."""

from __future__ import annotations

from typing import Any

from load.errors import RUN_ENDED
from load.report.document import DEFINITIONS


def summary(document: dict[str, Any], out: str) -> str:
    """The end of a run as text."""
    client, load = document["client"], document["load"]
    lines = [
        (
            f"{document['target']['base_url']} ({document['dialect']}), {document['duration_seconds']:.1f} s, "
            f"{load['processes']} process{'es' if load['processes'] > 1 else ''}"
        ),
        load["label"],
        "",
    ]
    for name, o in document["operations"].items():
        lines.append(
            f"{name}: {o['requests']:,} requests, {o['ok']:,} ok ({o['per_second']:,.1f}/s), "
            f"goodput {o['goodput']:.1%}, {o['refused']:,} × 429 ({o['refused_share']:.1%})"
        )
        lines += [_times(metric, t) for metric, t in o["times"].items()]
        if o["errors"]:
            lines.append("  errors     " + ", ".join(f"{code} × {n:,}" for code, n in o["errors"].items()))
        if o["tokens_out"]:
            lines.append(
                f"  tokens     in {o['tokens_in_per_second']:,.0f}/s, out {o['tokens_out_per_second']:,.0f}/s"
            )
        if o["times"].get("ttft"):
            lines.append(
                f"  streams    {o['truncated']:,} truncated, {o['stalls']:,} stalls, "
                f"{o['coalesced']:,} of {o['coalesced'] + o['gaps']:,} gaps unknown (coalesced)"
            )
    for step in document["steps"]:
        mark = "kept" if step["kept"] else "beyond the knee"
        lines.append(
            f"step {step['rate']:g}/s: {step['ok_per_second']:g}/s done, p95 {step['e2e_p95']:.1f} ms, {mark}"
        )
    if document["steps"]:
        lines.append(_knee(document["steps"]))
    lines += ["", _client(client)]
    lines += [f"INVALID: {doubt}" for doubt in client["doubts"]]
    lines += ["", _contract(document["contract"])]
    lines += [
        f"  {v['verdict']} {v['id']}: {v['detail']}"
        for v in document["contract"]["verdicts"]
        if v["verdict"] in ("FAIL", "WARN")
    ]
    for objective in document["objectives"]:
        seen = (
            "nothing measured" if objective["seen"] is None else f"{objective['seen']:.4g}{objective['unit']}"
        )
        lines.append(
            f"  {'met   ' if objective['met'] else 'MISSED'} {objective['name']} {objective['relation']} "
            f"{objective['bound']:g}{objective['unit']}: {seen}"
        )
    lines += ["", *(f"  {name}: {text}" for name, text in _used(document))]
    lines += ["", *document["reasons"]]
    state = {0: "passed", 1: "FAILED", 3: "UNREACHABLE", 4: "INVALID"}[document["exit_code"]]
    if load["stopped"] not in ("", RUN_ENDED):
        lines.append(f"stopped early: {load['stopped']}")
    lines.append(f"{state}; report: {out}/report.html")
    return "\n".join(lines)


def _times(metric: str, t: dict[str, float]) -> str:
    return (
        f"  {metric:<10} p50 {t['p50']:>9,.2f}  p95 {t['p95']:>9,.2f}  p99 {t['p99']:>9,.2f}  "
        f"max {t['max']:>9,.2f} ms"
    )


def _client(client: dict[str, Any]) -> str:
    asked = f"{client['requested_per_second']:,.1f} asked, {client['started_per_second']:,.1f} begun, " if (
        client["started_per_second"] is not None
    ) else ""  # fmt: skip
    again = f", {client['resent']:,} sent again as a kept connection was closed" if client["resent"] else ""
    return (
        f"client: {asked}{client['completed_per_second']:,.1f} completed/s, at most {client['busiest']:,} open, "
        f"loop lag p99 {client['loop_lag']['p99']:.2f} ms (budget {client['error_budget_ms']:g}), "
        f"CPU {client['cpu']:.0%} of a core, {client['connections']:,} connections{again}"
    )


def _knee(steps: list[dict[str, Any]]) -> str:
    """Between which of the steps the knee lies, as far as the plan went."""
    kept = [s["rate"] for s in steps if s["kept"]]
    beyond = [s["rate"] for s in steps if not s["kept"]]
    if not beyond:
        return f"knee: not reached; {kept[-1]:g}/s was kept"
    return f"knee: between {kept[-1]:g}/s and {beyond[0]:g}/s" if kept else f"knee: below {beyond[0]:g}/s"


def _contract(report: dict[str, Any]) -> str:
    counts = report["summary"]["verdicts"]
    shown = ", ".join(f"{n} {name}" for name, n in counts.items() if n)
    return f"contract under load: {shown or 'nothing judged'}"


def _used(document: dict[str, Any]) -> list[tuple[str, str]]:
    metrics = {m for o in document["operations"].values() for m in o["times"]}
    always = {"intended start", "goodput", "loop lag"}
    streams = {"stall", "truncated"} if "ttft" in metrics else set()
    return [(name, text) for name, text in DEFINITIONS.items() if name in metrics | always | streams]
