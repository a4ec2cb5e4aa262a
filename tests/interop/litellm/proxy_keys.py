"""LiteLLM's documented hook for keys without a database; it runs inside the proxy."""

from __future__ import annotations

from fastapi import Request
from litellm.proxy._types import ProxyException, UserAPIKeyAuth

LIMITS: dict[str, dict[str, int]] = {"sk-main": {}, "sk-other": {}, "sk-limited": {"rpm_limit": 3}}


async def user_api_key_auth(request: Request, api_key: str) -> UserAPIKeyAuth:
    """Who the key belongs to, as the proxy's own authentication would say."""
    if api_key not in LIMITS:
        raise ProxyException(
            message="Authentication Error, Invalid API key", type="auth_error", param="api_key", code=401
        )
    return UserAPIKeyAuth(api_key=api_key, **LIMITS[api_key])
