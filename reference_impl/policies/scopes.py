"""What a caller may do: the one place where scopes are compared, for operations, models, data and tools alike."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from reference_impl.engine.models import Model
from reference_impl.exchange import Exchange
from reference_impl.policies.challenges import challenge
from reference_impl.policies.errors import ContractError


class ScopeRules(Protocol):
    """Decides whether the caller of an exchange has a right."""

    def require(self, exchange: Exchange, scope: str, *alternatives: str) -> None:
        """Raise INSUFFICIENT_SCOPE, naming `scope`, unless the caller has it or one of `alternatives`."""
        ...


class HeldScopes:
    """A right is one that the credential was given, or a family of which it was given all."""

    def require(self, exchange: Exchange, scope: str, *alternatives: str) -> None:
        """Call it right before the thing is done, whoever asked for it."""
        require_scope(exchange, scope, *alternatives)


def require_scope(exchange: Exchange, scope: str, *alternatives: str) -> None:
    """Raise INSUFFICIENT_SCOPE, naming `scope`, unless the exchange's caller has it or one of `alternatives`."""
    if not any(grants(exchange.caller.scopes, wanted) for wanted in (scope, *alternatives)):
        raise ContractError(
            "INSUFFICIENT_SCOPE",
            f"This needs the scope {scope}, which the credential does not have.",
            details={"required_scopes": [scope]},
            headers={"WWW-Authenticate": challenge(exchange, error="insufficient_scope", scope=scope)},
        )


@lru_cache(maxsize=4096)
def grants(scopes: frozenset[str], wanted: str) -> bool:
    """Whether one of the scopes that are held gives the one that is wanted."""
    return any(covers(held, wanted) for held in scopes)


def covers(held: str, wanted: str) -> bool:
    """Whether a scope that is held gives one that is wanted.

    A scope is `family:action` or `family:instance:action`; an instance may itself hold colons. A held `*` is every
    instance. A wanted `*` is any one: an operation declares it before it is known which instance a request names.
    """
    held_family, held_instance, held_action = _parts(held)
    family, instance, action = _parts(wanted)
    return (
        (held_family, held_action) == (family, action)
        and (held_instance is None) == (instance is None)
        and (held_instance == instance or "*" in (held_instance, instance))
    )


def model_scopes(model: Model) -> tuple[str, str]:
    """The scopes of which each allows a model to be called: by its concrete id, by its alias."""
    return f"models:{model.id}:invoke", f"models:{model.alias}:invoke"


def _parts(scope: str) -> tuple[str, str | None, str]:
    family, _, rest = scope.partition(":")
    instance, colon, action = rest.rpartition(":")
    return family, instance if colon else None, action
