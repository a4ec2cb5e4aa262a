"""The fixtures of the checks in this folder."""

from conformance.fixtures import *  # noqa: F403 - pytest finds fixtures by module attribute
