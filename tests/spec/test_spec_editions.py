"""The three editions: each valid by its own rules, equal in what they allow, and their losses written down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from bodies import bodies, stream_events
from connexion.apps.asynchronous import AsyncApp
from connexion.resolver import Resolver
from jsonschema import Draft202012Validator
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import validate
from starlette.responses import JSONResponse, Response

from spec.document import load_document, operations
from spec.editions import editions, losses_30, losses_31, main, to_30, to_31

DOCUMENT = load_document()
EDITIONS = editions()


@pytest.mark.parametrize("version", EDITIONS)
def test_every_edition_is_valid_openapi(version: str) -> None:
    assert EDITIONS[version]["openapi"] == version
    validate(EDITIONS[version])


@pytest.mark.parametrize("version", EDITIONS)
def test_every_edition_has_the_same_operations_and_answers(version: str) -> None:
    def outline(document: dict[str, Any]) -> list[tuple[str, str, str, list[str]]]:
        return [(p, m, o["operationId"], list(o["responses"])) for p, m, o in operations(document)]

    assert outline(EDITIONS[version]) == outline(DOCUMENT)


@pytest.mark.parametrize("project", [to_31, to_30])
def test_projecting_changes_nothing_but_the_copy(project: Any) -> None:
    project(DOCUMENT)
    assert load_document() == DOCUMENT


def test_a_stream_is_described_in_every_edition() -> None:
    def stream(document: dict[str, Any]) -> dict[str, Any]:
        content: dict[str, Any] = document["paths"]["/chat"]["post"]["responses"]["200"]["content"]
        media: dict[str, Any] = content["text/event-stream"]
        return media

    new, newer, old = (stream(EDITIONS[v]) for v in ("3.2.0", "3.1.2", "3.0.4"))
    assert new["itemSchema"] == newer["schema"]
    assert newer["x-itemSchema"] is True
    assert "itemSchema" not in newer
    assert old["schema"] == {"type": "string"}
    text = new["examples"]["answer"]["serializedValue"]
    assert newer["examples"]["answer"]["x-serializedValue"] == text
    assert old["examples"]["answer"]["value"] == text
    assert stream_events(text)


def test_every_loss_is_listed_with_a_place_in_the_document() -> None:
    def at(pointer: str) -> Any:
        node: Any = DOCUMENT
        for part in pointer.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            node = node[int(name)] if isinstance(node, list) else node[name]
        return node

    for loss in (*losses_31(DOCUMENT), *losses_30(DOCUMENT)):
        assert at(loss.pointer) is not None, loss
        assert loss.what
    assert {loss.pointer.rsplit("/", 1)[-1] for loss in losses_30(DOCUMENT)} == {
        "$self",
        "bearer",
        "contentMediaType",
        "contentSchema",
        "identifier",
        "if",
        "itemSchema",
        "mutualTLS",
        "oauth2MetadataUrl",
        "summary",
        "then",
        "webhooks",
    }


def _instances() -> Iterator[tuple[str, Any]]:
    """Good instances: the examples of the document, by the name of their component schema."""
    for body in bodies(DOCUMENT):
        reference = body.media.get("schema", {}).get("$ref", "")
        for example in body.examples(DOCUMENT).values():
            if reference:
                yield reference.rsplit("/", 1)[-1], example["value"]
            for event in stream_events(example["serializedValue"]) if "serializedValue" in example else ():
                if event["data"] != "[DONE]":
                    yield "StreamEvent", json.loads(event["data"])


def _spoiled(value: Any) -> Iterator[Any]:
    """Every instance that differs from a good one in one place: a member gone, new, or of another kind."""
    yield from (other for other in (None, "?", -1, 0.5, True, [], {}) if other != value)
    if isinstance(value, dict):
        yield {**value, "unknown": 1}
        for key, member in value.items():
            yield {k: v for k, v in value.items() if k != key}
            yield from ({**value, key: other} for other in _spoiled(member))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from ([*value[:index], other, *value[index + 1 :]] for other in _spoiled(member))


CORPUS = sorted({(name, json.dumps(value)) for name, value in _instances()})


@pytest.mark.parametrize(("name", "text"), CORPUS, ids=[f"{n}-{i}" for i, (n, _) in enumerate(CORPUS)])
def test_the_editions_agree_about_good_and_bad_instances(name: str, text: str) -> None:
    """Where they do not, 3.0 allows more, and only for want of a keyword that is listed as a loss."""
    newest, newer = (_validator(EDITIONS[v], name, Draft202012Validator) for v in ("3.2.0", "3.1.2"))
    oldest = _validator(EDITIONS["3.0.4"], name, OAS30Validator)
    lost = {loss.pointer.rsplit("/", 1)[-1] for loss in losses_30(DOCUMENT)}
    good = json.loads(text)
    assert newest.is_valid(good)
    assert newer.is_valid(good)
    assert oldest.is_valid(good)
    refused = 0
    for bad in _spoiled(good):
        verdict = newest.is_valid(bad)
        refused += not verdict
        assert newer.is_valid(bad) == verdict, bad
        if oldest.is_valid(bad) != verdict:
            assert not verdict, f"3.0 refuses {bad}"
            assert all(lost & set(e.absolute_schema_path) for e in newest.iter_errors(bad)), bad
    assert refused


def _validator(document: dict[str, Any], name: str, dialect: Any) -> Any:
    schemas = document["components"]["schemas"]
    return dialect({"allOf": [{"$ref": f"#/components/schemas/{name}"}], "components": {"schemas": schemas}})


def test_the_corpus_reaches_every_schema_of_a_body() -> None:
    named = {
        b.media["schema"]["$ref"].rsplit("/", 1)[-1]
        for b in bodies(DOCUMENT)
        if "$ref" in b.media.get("schema", {})
    }
    assert {name for name, _ in CORPUS} == named | {"StreamEvent"}


def test_what_only_some_editions_know_is_kept_as_extensions() -> None:
    document: dict[str, Any] = {
        "openapi": "3.2.0",
        "info": {"title": "t", "version": "1"},
        "webhooks": {"done": {"post": {"responses": {}}}},
        "paths": {
            "/a": {
                "query": {"operationId": "q"},
                "get": {"security": [{"mtls": []}, {"key": ["reader"]}, {"tokens": ["read"]}]},
            }
        },
        "components": {
            "securitySchemes": {
                "mtls": {"type": "mutualTLS"},
                "key": {"type": "http", "scheme": "bearer"},
                "tokens": {"type": "oauth2", "flows": {}, "oauth2MetadataUrl": "/.well-known/x"},
            }
        },
    }
    newer, old = to_31(document), to_30(document)
    assert "webhooks" in newer
    assert newer["paths"]["/a"]["x-query"] == {"operationId": "q"}
    assert old["x-webhooks"] == document["webhooks"]
    # What needs a certificate must not look open.
    assert old["paths"]["/a"]["get"]["security"] == [{"mtls": []}, {"key": []}, {"tokens": ["read"]}]
    assert newer["paths"]["/a"]["get"]["security"] == document["paths"]["/a"]["get"]["security"]
    for edition in (newer, old):
        assert "oauth2MetadataUrl" not in edition["components"]["securitySchemes"]["tokens"]
    assert old["components"]["securitySchemes"]["mtls"] == {"type": "http", "scheme": "x-mutualTLS"}
    assert {loss.pointer for loss in losses_30(document)} == {
        "/webhooks",
        "/paths/~1a/query",
        "/components/securitySchemes/mtls",
        "/components/securitySchemes/tokens/oauth2MetadataUrl",
        "/paths/~1a/get/security/1/key",
    }


def test_connexion_serves_the_oldest_edition() -> None:
    called: list[str] = []

    def handler(operation_id: str) -> Any:
        async def answer(**_parameters: Any) -> Response:
            called.append(operation_id)
            return JSONResponse({"operation": operation_id})

        return answer

    async def exchange() -> list[int]:
        app = AsyncApp(__name__)
        app.add_api(to_30(DOCUMENT), resolver=Resolver(handler))
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://contract.test") as client:
            known = await client.get("/api/v1/errors/RATE_LIMITED")
            unknown = await client.get("/api/v1/nothing")
            return [known.status_code, unknown.status_code]

    assert asyncio.run(exchange()) == [200, 404]
    assert called == ["getError"]


def test_the_command_writes_every_edition_twice(tmp_path: Path) -> None:
    assert main([str(tmp_path / "new" / "dist")]) == 0
    for version, document in EDITIONS.items():
        name = f"openapi-{version}"
        folder = tmp_path / "new" / "dist"
        assert json.loads((folder / f"{name}.json").read_text("utf-8")) == document
        assert yaml.safe_load((folder / f"{name}.yaml").read_text("utf-8")) == document


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("usage: python -m spec.editions DIR")
    assert main([str(tmp_path / "file")]) == 1
    assert "name a writable directory" in capsys.readouterr().err
