"""Where the servers of these tests keep their state: in memory, or as the environment says.

`AICONFORM_TEST_STATE` names a folder for a PostgreSQL and a Redis; each server that would keep its state in memory
then gets a database of its own on each. tests/replicas runs the tests of this folder so.
"""

from __future__ import annotations

import atexit
import itertools
import os
from dataclasses import replace
from functools import cache
from pathlib import Path

from deploy.servers import Postgres, Redis
from reference_impl.settings import Settings

_DATABASES = 2000
_numbers = itertools.count(1)


def placed(settings: Settings) -> Settings:
    """The settings with a place for the state."""
    folder = os.environ.get("AICONFORM_TEST_STATE")
    if folder is None or settings.database != ":memory:":
        return settings
    postgres, redis = _servers(Path(folder) / f"worker-{os.getpid()}")
    number = next(_numbers)
    url = redis.url.removesuffix("/0") + f"/{number}"
    return replace(settings, database=postgres.create(f"test_{number}"), redis=url)


@cache
def _servers(home: Path) -> tuple[Postgres, Redis]:
    home.mkdir(parents=True)
    home.chmod(0o755)
    postgres, redis = Postgres(home, power_cuts=False), Redis(home, _DATABASES)
    for server in (postgres, redis):
        server.start()
        atexit.register(server.stop)
    return postgres, redis
