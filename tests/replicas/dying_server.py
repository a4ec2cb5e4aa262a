"""Servers that kill themselves (SIGKILL) at a chosen transaction of a chosen request.

A program: each line on stdin, `{"database": …, "lease_s": …, "unasked": …}`, forks a server, which prints
`pid N` and `ready URL`. A request says with `X-Die: before N` or `X-Die: after N` at which of its transactions, counted
from 1, its server dies: before or after that is committed. Between two commits nothing durable changes, so that the
numbers from 1 on are every point of a request at which a crash can be told from another.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from starlette.types import Receive, Scope, Send

from reference_impl import app as reference_app
from reference_impl.app import ReferenceApp, create_app
from reference_impl.policies import default_policies
from reference_impl.policies.tools import ToolGate
from reference_impl.serve import run
from reference_impl.settings import Settings
from reference_impl.store.database import Database, Transaction
from reference_impl.tools.model import Tool


@dataclass
class _Fate:
    """Shared by all tasks of one request."""

    when: str
    left: int

    def comes(self, when: str) -> None:
        if when == self.when and self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


_FATE: ContextVar[_Fate | None] = ContextVar("fate", default=None)


class _DyingDatabase(Database):
    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        fate = None if self.in_transaction else _FATE.get()
        async with super().transaction() as transaction:
            yield transaction
            if fate is not None:
                fate.left -= 1
                fate.comes("before")
        if fate is not None:
            fate.comes("after")


class _DyingApp(ReferenceApp):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        told: Any = dict(scope.get("headers", ())).get(b"x-die")
        if told is None:
            await super().__call__(scope, receive, send)
            return
        when, number = told.decode().split()
        fate = _Fate(when, int(number))
        _FATE.set(fate)
        await super().__call__(scope, receive, send)
        # Whoever answers after all lives on: tasks that the request has started may do more.
        fate.when = "never"


class _NobodyIsAsked(ToolGate):
    """Tools act without an approval, so that a run acts in its first request."""

    def needs_approval(self, tool: Tool) -> bool:
        return False


def _serve(database: str, lease_s: float, *, unasked: bool) -> None:
    settings = Settings(database=database, lease_s=lease_s, rate_limits=False)
    policies = default_policies(settings, exact_counts=True)
    if unasked:
        policies = replace(policies, tools=_NobodyIsAsked())
    sys.stdout.write(f"pid {os.getpid()}\n")
    run(create_app(settings, policies), "127.0.0.1", 0)


def main() -> None:
    """Fork a server per line, until stdin ends."""
    reference_app.Database = _DyingDatabase  # type: ignore[misc]
    reference_app.ReferenceApp = _DyingApp  # type: ignore[misc]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead leave no zombies
    for line in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _serve(**json.loads(line))
            os._exit(0)


if __name__ == "__main__":
    main()
