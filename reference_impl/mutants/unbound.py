"""``python -m reference_impl.mutants.unbound``: a mutant that shows only over mutual TLS, and so has a command of its own.

It takes the options of ``python -m reference_impl``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from reference_impl.__main__ import main
from reference_impl.app import ReferenceApp, create_app
from reference_impl.exchange import Exchange
from reference_impl.policies import default_policies
from reference_impl.policies.tokens import AccessTokens
from reference_impl.settings import Settings

VIOLATES = ("AUTH-14",)
STORY = "takes a token that is bound to a certificate over a connection that shows none"


@dataclass(frozen=True)
class _Unbound(AccessTokens):
    def bound_here(self, exchange: Exchange, claims: Mapping[str, Any]) -> bool:
        return True


def create(settings: Settings, **more: Any) -> ReferenceApp:
    """The reference that takes such tokens."""
    policies = default_policies(settings)
    auth: Any = policies.auth
    tokens = _Unbound(**vars(auth.tokens))
    return create_app(settings, replace(policies, auth=replace(auth, tokens=tokens)), **more)


if __name__ == "__main__":
    sys.exit(main(create=create))
