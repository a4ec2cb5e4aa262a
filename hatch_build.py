"""Puts the documentation site into the packages, where ``make docs`` has built it: ``aiconform serve`` has it at /docs.

A wheel that is built from the sdist finds it there as a part of ``reference_impl``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class SiteHook(BuildHookInterface[Any]):
    """Found by hatchling."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        site = Path(self.root) / "dist" / "site"
        if version != "editable" and site.is_dir():
            build_data["force_include"][str(site)] = "reference_impl/site"
