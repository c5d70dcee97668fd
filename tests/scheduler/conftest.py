"""A Cloud Scheduler of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scheduler.service import Service, cloud_scheduler


@pytest.fixture
def service() -> Iterator[Service]:
    with cloud_scheduler() as started:
        yield started
