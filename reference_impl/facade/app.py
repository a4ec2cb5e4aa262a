"""The facade as an ASGI application: the same entry, Connexion wiring and policies, another document."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from starlette.types import ASGIApp

from reference_impl.facade.handlers import operations
from reference_impl.facade.shapes import CompletionErrors
from reference_impl.http.entry import Entry
from reference_impl.http.schema import path_methods
from reference_impl.http.wiring import connexion_app
from reference_impl.services import Services

FACADE_PATH = "/openai/v1"


def facade_app(services: Services) -> ASGIApp:
    """Answers below `/openai/v1` with the policies of `services`; only errors and events look different."""
    policies = replace(services.policies, errors=CompletionErrors())
    document = _document()
    handlers = operations(replace(services, policies=policies))
    inner = connexion_app(document, policies, services.settings, handlers, FACADE_PATH)
    return Entry(inner, policies, path_methods(document), FACADE_PATH, services.settings.auth.public_url)


@cache
def _document() -> dict[str, Any]:
    text = files("reference_impl.facade").joinpath("openapi.yaml").read_text("utf-8")
    document: dict[str, Any] = yaml.safe_load(text)
    return document
