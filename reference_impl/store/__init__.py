"""Durable state: relational tables behind SQLAlchemy, in one SQLite file by default."""
