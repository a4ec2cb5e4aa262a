"""What a run will send: exact enough that a vendor's default budget holds all of it."""

from __future__ import annotations

from pathlib import Path

from conformance.cli.check import MAX_CALLS
from conformance.dialects.model import Dialect, load_dialect
from conformance.gather import Plan, plan
from conformance.registry import CHECKS, load_all
from conformance.target import Target

EXTENSION = """\
extends: openai-chat
title: With a provocation
provocations: {fault_midstream: {prompt: break off}}
"""


def planned(dialect: Dialect) -> Plan:
    load_all()
    return plan(CHECKS.values(), dialect, Target("http://127.0.0.1:1", dialect.name))


def test_the_baseline_is_part_of_every_plan() -> None:
    """It settles the model; all its calls are shared, which must not read as none."""
    for name in ("contract", "openai-chat", "anthropic-messages-2026"):
        assert "baseline" in [probe.name for probe in planned(load_dialect(name)).probes]


def test_the_whole_plan_for_a_vendor_fits_into_its_budget() -> None:
    assert planned(load_dialect("openai-chat")).calls <= MAX_CALLS


def test_what_only_the_contract_has_costs_a_vendor_nothing() -> None:
    assert "lineage" in {p.name for p in planned(load_dialect("contract")).probes}
    vendors = {r.name: r.reason for r in planned(load_dialect("openai-chat")).skipped}
    assert vendors["lineage"] == "only the contract's own format has this"


def test_a_probe_without_its_provocation_is_left_out(tmp_path: Path) -> None:
    reasons = {r.name: r.reason for r in planned(load_dialect("openai-chat")).skipped}
    assert "'fault_midstream'" in reasons["stream_fault"]
    extension = tmp_path / "with.yaml"
    extension.write_text(EXTENSION)
    assert "stream_fault" in {p.name for p in planned(load_dialect(str(extension))).probes}
