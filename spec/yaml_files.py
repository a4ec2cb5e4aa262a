"""Reading the YAML files that ship with this package."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import yaml

# libyaml reads five times as fast, which every start of a command feels. It is for our own files only: on input
# that is nested some ten thousand deep it overruns the C stack where the pure loader raises RecursionError.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(name: str) -> Any:
    """The document in a file of the package; ``name`` is its path below ``spec/``."""
    return yaml.load(files("spec").joinpath(name).read_text("utf-8"), _LOADER)  # noqa: S506 - a safe loader


def read_folder(folder: str) -> dict[str, Any]:
    """The documents of all YAML files of a folder of the package by file name, in the order of the names."""
    names = sorted(entry.name for entry in files("spec").joinpath(folder).iterdir())
    return {name: read_yaml(f"{folder}/{name}") for name in names if name.endswith(".yaml")}
