"""What the words of the catalogue mean, as the pages say it."""

from __future__ import annotations

from collections.abc import Mapping

KINDS: Mapping[str, str] = {
    "pattern": "Applies to any API, whatever its format.",
    "contract": "Applies to the contract's own wire format.",
}

METHODS: Mapping[str, str] = {
    "passive": "Read off answers that were asked for anyway.",
    "active": "A request of its own asks for it.",
    "provoked": "Needs something that triggers the behaviour.",
    "two-principals": "Needs a second credential.",
    "timed": "Rests on when bytes arrive.",
    "load": "Needs many requests at once.",
    "document": "Read in the API's own description.",
}

CAPABILITIES: Mapping[str, str] = {
    "core": "What every API must keep: HTTP, JSON, authentication, errors. It is not optional.",
    "agents": "Answers that take several steps, with tools, limits and the approval of a person.",
    "auth.api_key": "Callers identify themselves with a key.",
    "auth.jwt": "Access tokens in the form of RFC 9068, checked for signature, audience and time.",
    "auth.mtls": "Tokens that are bound to a client certificate.",
    "auth.oauth2": "An authorization server issues the tokens.",
    "classify": "A short text gets one of a few categories.",
    "confidence": "Answers say how sure they are, and which need a person.",
    "context": "Sessions, context windows, and what is left out when they are full.",
    "context.summarize": "What does not fit is summarised instead of cut.",
    "deprecation": "What will end says when, a year ahead.",
    "description": "The API serves its own OpenAPI document, and keeps it.",
    "estimation": "Tokens and cost of a request before it is made.",
    "idempotency": "A retry under the same key gets the first answer, and nothing happens twice.",
    "jobs": "Work that takes longer than a request should is accepted, followed and kept.",
    "models": "A list of models, with pinned versions and aliases.",
    "rate_limits": "Limits are told, enforced, and explained when they are hit.",
    "rate_limits.concurrency": "Only so many requests of a key at a time.",
    "rate_limits.cost": "A budget of money per window.",
    "rate_limits.tokens": "A limit of tokens per window.",
    "sandbox": "Rare behaviour can be asked for, so that clients can be tested.",
    "scopes": "A credential says which models, data and actions it is for.",
    "streaming": "Answers arrive as server-sent events, and show their end.",
    "streaming.turns": "A turn is posted first and streamed by GET, as a browser's EventSource needs it.",
    "tools": "Tools that a model may call, with honest failures.",
    "trace": "Every answer can be followed by its trace id.",
    "usage": "Tokens are counted in every answer.",
    "usage.query": "What was used can be asked for later, by trace.",
    "versioning": "The interface and the models have versions of their own.",
    "webhooks": "The completion of a job is pushed, signed, and tried again.",
    "websocket": "The same conversation over a WebSocket.",
}
