"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# They run side by side on busy machines: how long one example took says nothing about the code.
settings.register_profile("side-by-side", deadline=None)
settings.load_profile("side-by-side")
