"""Which assets may be traded today, by the broker's own list, read once a day and kept in the store."""

from __future__ import annotations

from datetime import date, datetime

from core.cycle.claim import UNIVERSE_PATH
from core.cycle.world import World
from core.documents import document, value_of
from core.model.market import Asset, AssetClass
from core.ports import Document, Write


def universe(
    world: World, stored: Document | None, account_id: str, as_of: datetime, *, is_busy: bool
) -> tuple[tuple[Asset, ...], list[Write]]:
    """The broker's assets of our configured symbols, and the write that keeps a list that was just read.

    A cycle that already reads more than usual (`is_busy`) leaves the day's reading to the next one, for a day at most.
    """
    wanted = list(world.settings.crypto_symbols)
    if stored is not None and stored.data.get("wanted") == wanted:
        age_days = (as_of.date() - date.fromisoformat(stored.data["day"])).days
        if age_days <= (1 if is_busy else 0):
            return value_of(tuple[Asset, ...], stored.data["assets"], UNIVERSE_PATH), []
    listed = world.broker.assets(AssetClass.CRYPTO)
    assets = tuple(asset for asset in listed if asset.symbol in wanted)
    fields = {"day": as_of.date(), "read_at": as_of, "wanted": wanted, "assets": assets}
    return assets, [Write(UNIVERSE_PATH, document(fields, account_id=account_id))]
