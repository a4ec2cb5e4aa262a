"""The whole, from the database to the balancer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.processes import free_port
from deploy.servers import Balancer, Postgres, Redis, Replica, new_secret_keys


@dataclass(frozen=True)
class Stack:
    """What runs. `url` is the balancer's."""

    url: str
    postgres: Postgres
    redis: Redis
    replicas: tuple[Replica, ...]
    balancer: Balancer


@contextmanager
def running(home: Path, *, replicas: int = 2, port: int = 0, options: Sequence[str] = ()) -> Iterator[Stack]:
    """Start everything below `home`; stop it in the opposite order at the end. Port 0 takes a free one.

    `options` go to every replica.

    Raises:
        DeployError: a part did not start.
    """
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o755)  # PostgreSQL may run as another user
    keys = new_secret_keys(home / "signing-keys.json")
    with ExitStack() as stack:
        postgres, redis = Postgres(home), Redis(home)
        for server in (postgres, redis):
            server.start()
            stack.callback(server.stop)
        environment = {"DATABASE_URL": postgres.url(), "REDIS_URL": redis.url}
        given = ("--signing-keys", str(keys), *options)
        served = tuple(Replica(home, n, environment, given) for n in range(1, replicas + 1))
        for replica in served:
            stack.callback(replica.stop)
            replica.start()
        balancer = Balancer(home, port or free_port(), served)
        balancer.start()
        stack.callback(balancer.stop)
        yield Stack(balancer.url, postgres, redis, served, balancer)
