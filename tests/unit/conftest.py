"""Property tests give the same answer on every run and have no deadline, so that a slow machine cannot fail them."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("offline", derandomize=True, deadline=None, database=None, max_examples=60)
settings.load_profile("offline")
