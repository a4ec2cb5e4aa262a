"""Read one YAML file without YAML's traps, and lay an extending dialect over its base."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path as FilePath
from typing import Any

import yaml


class YamlProblem(ValueError):  # noqa: N818 - becomes a DialectError
    """The file cannot be read as YAML; one line that says where."""


class _Loader(yaml.SafeLoader):
    """YAML whose dates stay text and whose mappings name a key only once."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    seen: set[Hashable] = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue  # `<<`: what it brings may be overridden
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise _problem(f"the key {key!r} must be quoted: keys are text", key_node.start_mark)
        if key in seen:
            raise _problem(f"the key '{key}' is there twice", key_node.start_mark)
        seen.add(key)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def read_yaml(path: FilePath) -> Any:
    """The document in a file.

    Raises:
        YamlProblem: unreadable, not UTF-8, not YAML, a key given twice, or a key that is not text.
    """
    try:
        return yaml.load(path.read_text("utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise YamlProblem(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise YamlProblem(f"byte {error.start} is not UTF-8") from None
    except yaml.MarkedYAMLError as error:
        raise _problem(error.problem or "not YAML", error.problem_mark) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise YamlProblem(f"is not YAML: {' '.join(str(error).split())[:200]}") from None


def merge_patch(base: Any, patch: Any) -> Any:
    """JSON Merge Patch (RFC 7396 section 2): objects merge, null removes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(base) if isinstance(base, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def _problem(what: str, mark: Any) -> YamlProblem:
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    return YamlProblem(place + " ".join(what.split()))
