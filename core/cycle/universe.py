"""Which assets may be traded today, by the broker's own list, read once a day and kept in the store."""

from __future__ import annotations

from datetime import datetime

from core.cycle.claim import UNIVERSE_PATH
from core.cycle.world import World
from core.documents import SCHEMA_VERSION, plain, value_of
from core.model.market import Asset, AssetClass
from core.ports import Document, Write


def universe(
    world: World, stored: Document | None, account_id: str, as_of: datetime
) -> tuple[tuple[Asset, ...], list[Write]]:
    """The broker's assets of our configured symbols, and the write that keeps a list that was just read."""
    wanted = list(world.settings.crypto_symbols)
    today = as_of.date().isoformat()
    if stored is not None and stored.data.get("day") == today and stored.data.get("wanted") == wanted:
        return value_of(tuple[Asset, ...], stored.data["assets"], UNIVERSE_PATH), []
    listed = world.broker.assets(AssetClass.CRYPTO)
    assets = tuple(asset for asset in listed if asset.symbol in wanted)
    fields = {"day": today, "read_at": as_of, "wanted": wanted, "assets": plain(assets)}
    return assets, [Write(UNIVERSE_PATH, {"schema_version": SCHEMA_VERSION, "account_id": account_id, **fields})]
