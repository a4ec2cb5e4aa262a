"""The AsyncAPI document: valid by its own schema, with the schemas of the OpenAPI document, with true examples."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from bodies import errors

from reference_impl.api import sockets as handler
from reference_impl.http import sockets
from reference_impl.policies.sockets import SUBPROTOCOL
from spec.asyncapi import VERSION, load_asyncapi
from spec.document import load_document

ASYNC = load_asyncapi()
OPEN = load_document()
OFFICIAL = Path(__file__).parents[2] / "node_modules" / "@asyncapi" / "specs" / "schemas" / f"{VERSION}.json"


@pytest.mark.skipif(not OFFICIAL.exists(), reason="@asyncapi/specs is not installed: run `npm ci`")
def test_it_is_valid_by_the_official_schema() -> None:
    validator = jsonschema_rs.Draft7Validator(json.loads(OFFICIAL.read_text("utf-8")))
    assert [f"{list(e.instance_path)}: {e.message}" for e in validator.iter_errors(ASYNC)] == []
    broken = {**ASYNC, "operations": {"x": {"action": "shout"}}}
    assert not validator.is_valid(broken)


def test_its_schemas_are_those_of_the_openapi_document() -> None:
    schemas = ASYNC["components"]["schemas"]
    assert {name: OPEN["components"]["schemas"][name] for name in schemas} == schemas
    assert {"ChatRequest", "TokenEvent", "Error", "Metadata"} <= schemas.keys()


def test_every_reference_leads_somewhere() -> None:
    for reference in _references(ASYNC):
        node: Any = ASYNC
        for token in reference.removeprefix("#/").split("/"):
            node = node[token]


@pytest.mark.parametrize("name", ASYNC["components"]["messages"])
def test_every_example_is_valid(name: str) -> None:
    message = ASYNC["components"]["messages"][name]
    assert message["examples"]
    for example in message["examples"]:
        assert example["payload"]["type"] == name
        assert errors(OPEN, message["payload"], example["payload"]) == []
        if "sequence_number" in example["payload"]:
            assert errors(OPEN, {"$ref": "#/components/schemas/SocketEvent"}, example["payload"]) == []


def test_every_message_belongs_to_an_operation() -> None:
    used = {r.rpartition("/")[2] for r in _references(ASYNC["operations"]) if "/messages/" in r}
    assert used == set(ASYNC["channels"]["chat"]["messages"])


def test_it_says_what_the_reference_does() -> None:
    channel = ASYNC["channels"]["chat"]
    assert channel["address"] == handler.PATH in OPEN["paths"]
    header = channel["bindings"]["ws"]["headers"]["properties"]["Sec-WebSocket-Protocol"]
    assert header["const"] == SUBPROTOCOL
    codes = (
        1000,  # the client's, when it has finished (RFC 6455 section 7.4.1)
        sockets.GOING_AWAY,
        sockets.POLICY,
        sockets.TOO_BIG,
        sockets.SERVER_ERROR,
        sockets.IDLE,
    )
    assert {int(code) for code in channel["x-close-codes"]} == set(codes)


def test_it_is_published_with_the_editions(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "spec.editions", str(tmp_path)], check=True)
    assert json.loads((tmp_path / f"asyncapi-{VERSION}.json").read_text("utf-8")) == ASYNC
    assert (tmp_path / f"asyncapi-{VERSION}.yaml").exists()


def _references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [r for item in node for r in _references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [r for value in node.values() for r in _references(value)]
