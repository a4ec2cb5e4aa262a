"""API keys from the environment, in place of the demonstration's, which everybody knows."""

from __future__ import annotations

import argparse
from typing import NoReturn

import pytest
from reference_server import ReferenceServer, chat, error

from reference_impl.oauth.options import add_auth_options, auth_of, keys_of
from reference_impl.settings import Credential, Settings

OURS, OTHERS = "sk-0123456789abcdef", "sk-fedcba9876543210"


class _StoppedError(Exception):
    pass


def stop(message: str) -> NoReturn:
    raise _StoppedError(message)


def given(*names: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_auth_options(parser)
    return parser.parse_args([part for name in names for part in ("--api-key-env", name)])


def keys(*names: str, **environment: str) -> tuple[Credential, ...] | None:
    return keys_of(given(*names), environment, stop)


def test_own_keys_take_the_place_of_the_demo_keys_and_clients() -> None:
    assert keys() is None
    credentials = keys("TEAM_A", "TEAM_B", TEAM_A=OURS, TEAM_B=OTHERS)
    assert credentials
    assert [c.principal for c in credentials] == ["team_a", "team_b"]
    settings = Settings(credentials=credentials, auth=auth_of(given("TEAM_A"), stop))
    with ReferenceServer(settings) as server:
        with server.client(OURS) as client:
            assert client.get("/me").json()["principal"] == "team_a"
        with server.client("sk-demo") as client:
            error(client.post("/chat", json=chat()), 401, "UNAUTHENTICATED")
            demo = {"grant_type": "client_credentials"}
            secret = ("demo-service", "demo-service-secret")
            assert client.post(f"{server.origin}/oauth/token", data=demo, auth=secret).status_code == 401


@pytest.mark.parametrize("key", ["", "short", "sk 0123456789 abcdef", "sk-0123456789äbcdef"])
def test_what_is_no_key_is_one_line_that_does_not_repeat_it(key: str) -> None:
    with pytest.raises(_StoppedError, match="--api-key-env TEAM_A") as stopped:
        keys("TEAM_A", TEAM_A=key)
    assert not key or key not in str(stopped.value)


def test_one_key_has_one_holder() -> None:
    with pytest.raises(_StoppedError, match="that of another variable"):
        keys("TEAM_A", "TEAM_B", TEAM_A=OURS, TEAM_B=OURS)
