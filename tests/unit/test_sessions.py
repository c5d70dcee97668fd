"""The session is found by the UTC hour, and none is made up."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.data.sessions import session_at
from core.model.limits import Session
from tests.builders import AS_OF

ASIA = Session("asia", 0, 8, ("momentum",), Decimal(1))
US = Session("us", 16, 24, ("mean_reversion",), Decimal(1))


@pytest.mark.parametrize(
    ("hour", "minute", "name"),
    [(0, 0, "asia"), (7, 59, "asia"), (8, 0, None), (15, 59, None), (16, 0, "us"), (23, 59, "us")],
)
def test_session_holds_from_its_start_to_before_its_end(hour: int, minute: int, name: str | None) -> None:
    """I-48: outside every session there is none, and then nothing is opened."""
    found = session_at(AS_OF.replace(hour=hour, minute=minute), (ASIA, US))

    assert (found.name if found else None) == name
