"""The target of a run: where it is, how to speak to it, and what the tester declares about it."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from conformance.addresses import TargetError, base_url_of, callback_url_of, replicas_of
from conformance.budget import Budget, Price

__all__ = [
    "ClientCertificate",
    "Declared",
    "Limits",
    "OAuth",
    "Target",
    "TargetError",
    "client_certificate",
    "oauth_client",
]


@dataclass(frozen=True)
class Limits:
    """Bounds on one exchange. Times in seconds, sizes in bytes; ``total`` includes the body.

    ``headers`` does not hold for generated answers: a server may generate all of one before it sends its head.
    """

    connect: float = 5.0
    headers: float = 15.0
    total: float = 30.0
    body: int = 4 * 1024 * 1024


@dataclass(frozen=True)
class Declared:
    """What the tester says about the target, over what its dialect says: the state of capabilities
    (``offered``, ``not_offered``, ``detected``), and provocations (call parameters by name)."""

    capabilities: Mapping[str, str] = field(default_factory=dict)
    provocations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class OAuth:
    """A client that the tester registered at the target's authorization server. ``redirect_uri`` is one of its own,
    for the authorization code flow; nothing is ever sent there."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str | None = None


@dataclass(frozen=True)
class ClientCertificate:
    """PEM files that the tester was given for mutual TLS."""

    certificate: str
    key: str


@dataclass(frozen=True)
class Target:
    """One API as its tester describes it.

    ``keys`` maps a principal (``main``, ``other``, ``limited``, ``narrow``, ``budget``) to its credential; secrets
    never leave this object except in a request header, or in the form of a token request. ``hidden``: other secrets,
    such as the value of an extra header. ``proxy``: an ``http://host:port`` URL. ``document``: the API's own OpenAPI
    document, with overlays applied, if the tester gave it. ``replicas``: base URLs of further replicas, between which
    the run is the balancer; everything else holds for all of them."""

    base_url: str
    dialect: str
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    model: str | None = None
    limits: Limits = Limits()
    max_calls: int | None = None
    concurrency: int = 6
    verify: bool = True
    ca_bundle: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    callback_url: str | None = None
    callback_port: int | None = None
    name: str | None = None
    proxy: str | None = field(default=None, repr=False)
    hidden: tuple[str, ...] = field(default=(), repr=False)
    declared: Declared = Declared()
    budget: Budget = field(default_factory=Budget)
    price: Price | None = None
    oauth: OAuth | None = None
    certificate: ClientCertificate | None = None
    document: Mapping[str, Any] | None = field(default=None, repr=False)
    replicas: tuple[str, ...] = ()

    @classmethod
    def create(
        cls,
        base_url: str,
        dialect: str,
        *,
        key: str | None = None,
        other_key: str | None = None,
        limited_key: str | None = None,
        narrow_key: str | None = None,
        oauth: OAuth | None = None,
        certificate: ClientCertificate | None = None,
        budget_key: str | None = None,
        model: str | None = None,
        max_calls: int | None = None,
        limits: Limits | None = None,
        concurrency: int | None = None,
        verify: bool = True,
        ca_bundle: str | None = None,
        callback_url: str | None = None,
        callback_port: int | None = None,
        replicas: Sequence[str] = (),
    ) -> Target:
        """A target from what a tester types.

        Raises:
            TargetError: a URL has no scheme or host, a replica is named twice, or a number is out of range.
        """
        given = {
            "main": key,
            "other": other_key,
            "limited": limited_key,
            "narrow": narrow_key,
            "budget": budget_key,
        }
        if max_calls is not None and max_calls < 1:
            raise TargetError(f"--max-calls must be at least 1, not {max_calls}")
        for principal, value in given.items():
            if value is not None and not (value.isascii() and value.isprintable() and value.strip() == value):
                raise TargetError(
                    f"the {principal} key has characters that cannot stand in a header: was it pasted whole?"
                )
        base = base_url_of(base_url)
        return cls(
            base_url=base,
            dialect=dialect,
            keys={name: value for name, value in given.items() if value},
            model=model,
            max_calls=max_calls,
            limits=limits or Limits(),
            concurrency=concurrency or cls.concurrency,
            verify=verify,
            ca_bundle=ca_bundle,
            callback_url=callback_url_of(callback_url, callback_port),
            callback_port=callback_port,
            oauth=oauth,
            certificate=certificate,
            replicas=replicas_of(base, replicas),
        )

    @property
    def bases(self) -> tuple[str, ...]:
        """The base URLs of all replicas; the first is ``base_url``."""
        return (self.base_url, *self.replicas)

    @property
    def local(self) -> bool:
        """Whether the target, with all its replicas, is this machine, by a loopback address or by the name of one."""
        return all(map(_is_loopback, self.bases))

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be written."""
        given = (self.oauth.client_secret,) if self.oauth else ()
        return (*self.keys.values(), *self.hidden, *given)

    @property
    def whole_budget(self) -> Budget:
        """The budget, the limit of calls included."""
        return replace(self.budget, calls=self.max_calls)

    def public(self) -> dict[str, Any]:
        """What may be written to a report: no credential."""
        return {
            "base_url": self.base_url,
            "dialect": self.dialect,
            "model": self.model,
            "principals": sorted(self.keys),
            "oauth": self.oauth is not None,
            "client_certificate": self.certificate is not None,
            **({"name": self.name} if self.name else {}),
            **({"replicas": list(self.bases)} if self.replicas else {}),
            **({"declared": self._declared()} if self.declared != Declared() else {}),
        }

    def with_document(self, document: Mapping[str, Any] | None) -> Target:
        """The same target described by its document, which is then a capability that the tester declares."""
        if document is None:
            return self
        capabilities = {"description": "offered", **self.declared.capabilities}
        return replace(self, document=document, declared=replace(self.declared, capabilities=capabilities))

    def _declared(self) -> dict[str, Any]:
        return {
            "capabilities": dict(self.declared.capabilities),
            "provocations": {name: dict(p) for name, p in self.declared.provocations.items()},
        }


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def oauth_client(
    token_url: str | None,
    client_id: str | None,
    client_secret: str | None,
    redirect_uri: str | None = None,
    *,
    over: OAuth | None = None,
) -> OAuth | None:
    """The client that a tester describes, or None. ``over``: one that a file describes, for what is not given here.

    Raises:
        TargetError: only a part is given, or the URL is none.
    """
    if over is not None:
        token_url, client_id = token_url or over.token_url, client_id or over.client_id
        client_secret, redirect_uri = client_secret or over.client_secret, redirect_uri or over.redirect_uri
        return OAuth(_token_url(token_url), client_id, client_secret, redirect_uri)
    if token_url is None and client_id is None and client_secret is None:
        if redirect_uri is not None:
            raise TargetError("--oauth-redirect-uri needs --oauth-token-url, --client-id and --client-secret")
        return None
    if not (token_url and client_id and client_secret):
        raise TargetError("give all of --oauth-token-url, --client-id and --client-secret, or none")
    return OAuth(_token_url(token_url), client_id, client_secret, redirect_uri)


def _token_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.fragment:
        raise TargetError("--oauth-token-url is an http(s) URL without credentials in it")
    return text


def client_certificate(certificate: str | None, key: str | None) -> ClientCertificate | None:
    """The certificate that a tester describes, or None.

    Raises:
        TargetError: only one file is given, or they are no certificate and its key.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise TargetError("give both --client-cert and --client-cert-key")
    try:
        ssl.create_default_context().load_cert_chain(certificate, key)
    except OSError as problem:
        reason = getattr(problem, "reason", None) or problem.strerror or "not readable"
        raise TargetError(
            f"the client certificate {certificate} with the key {key} cannot be used: {reason}; "
            "give a PEM certificate and its private key"
        ) from None
    return ClientCertificate(certificate, key)
