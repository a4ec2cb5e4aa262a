"""Servers in one process share what they read from the document, and nothing else."""

from __future__ import annotations

import asyncio
import json

import httpx

from reference_impl.app import create_app
from reference_impl.http.schema import compile_operations
from reference_impl.http.specification import specification
from reference_impl.settings import BASE_PATH, DEVELOPMENT, Settings, credential
from spec.document import load_document


def test_what_servers_share_is_compiled_once_and_stays_as_it_was() -> None:
    document = load_document()
    shared = specification(document, BASE_PATH)
    assert shared.raw is specification(document, BASE_PATH).raw
    assert compile_operations(document) is compile_operations(document)
    before = json.dumps(shared.raw)

    async def statuses(key: str) -> list[int]:
        settings = Settings(credentials=(credential(key, key, DEVELOPMENT),))
        app = create_app(settings)
        transport, headers = httpx.ASGITransport(app), {"Authorization": f"Bearer {key}"}
        async with (
            app.running(),
            httpx.AsyncClient(transport=transport, base_url="http://t/api/v1", headers=headers) as client,
        ):
            answers = [await client.get("/models") for _ in range(6)]
            answers.append(await client.get("/models", headers={"Authorization": "Bearer sk-demo"}))
        return [a.status_code for a in answers]

    async def both() -> list[list[int]]:
        return await asyncio.gather(statuses("sk-one"), statuses("sk-two"))

    # Each knows its own key only and counts for itself: five requests, and no more.
    assert asyncio.run(both()) == [[*[200] * 5, 429, 401]] * 2
    assert json.dumps(specification(document, BASE_PATH).raw) == before


def test_another_document_is_not_taken_for_the_known_one() -> None:
    document = load_document()
    document["info"]["title"] = "Another"
    assert specification(document, BASE_PATH).raw["info"]["title"] == "Another"
    assert specification(load_document(), BASE_PATH).raw["info"]["title"] != "Another"
    del document["paths"]["/chat"]
    assert "chat" not in compile_operations(document)
