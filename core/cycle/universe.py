"""Which assets may be traded today, by the broker's own list, read once a day and kept in the store."""

from __future__ import annotations

from datetime import date, datetime

import structlog

from core.cycle.claim import UNIVERSE_PATH
from core.cycle.world import World
from core.documents import document, value_of
from core.errors import BadFacts, BrokerRefused, BrokerUnavailable
from core.model.market import Asset, AssetClass
from core.ports import Document, Write

log = structlog.get_logger()

MOST_DAYS_KEPT = 3


def universe(
    world: World, stored: Document | None, account_id: str, as_of: datetime, *, is_busy: bool
) -> tuple[tuple[Asset, ...], list[Write]]:
    """The broker's assets of our configured symbols, and the write that keeps a list that was just read.

    A cycle that already reads more than usual (`is_busy`) leaves the day's reading to a later one, for three days at
    most. Without an answer an older list serves as long; without any nothing is bought, and exits go on.
    """
    wanted = list(world.settings.crypto_symbols)
    kept, age_days = _kept(stored, wanted, as_of)
    if kept is not None and age_days <= (MOST_DAYS_KEPT if is_busy else 0):
        return kept, []
    try:
        assets = world.broker.assets(AssetClass.CRYPTO, wanted)
    except (BrokerUnavailable, BrokerRefused, BadFacts) as error:
        log.warning("assets_unavailable", error=str(error), kept_from_days_ago=age_days)
        return (kept if kept is not None and age_days <= MOST_DAYS_KEPT else ()), []
    fields = {"day": as_of.date(), "read_at": as_of, "wanted": wanted, "assets": assets}
    return assets, [Write(UNIVERSE_PATH, document(fields, account_id=account_id))]


def _kept(stored: Document | None, wanted: list[str], as_of: datetime) -> tuple[tuple[Asset, ...] | None, int]:
    """The stored list and its age in days, if it is of the same symbols and can be read; it is only a copy."""
    if stored is None or stored.data.get("wanted") != wanted:
        return None, 0
    try:
        day = value_of(date, stored.data.get("day"), UNIVERSE_PATH)
        return value_of(tuple[Asset, ...], stored.data.get("assets"), UNIVERSE_PATH), (as_of.date() - day).days
    except BadFacts as error:
        log.warning("stored_assets_unreadable", error=str(error))
        return None, 0
