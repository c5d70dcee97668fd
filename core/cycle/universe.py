"""Which assets may be traded, and when, by the broker's own lists: read once a day and kept in the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog

from core.cycle.world import World
from core.documents import document, parsed
from core.errors import BadFacts, BrokerRefused, BrokerUnavailable
from core.model.market import Asset, TradingSession
from core.modules.module import Universe
from core.ports import Broker, Document, Write

log = structlog.get_logger()

MOST_DAYS_KEPT = 3
CALENDAR_BEHIND = timedelta(days=200)
"""Enough sessions to know which daily bars of the look-back must exist."""
CALENDAR_AHEAD = timedelta(days=10)


@dataclass(frozen=True, slots=True)
class Listing:
    """The broker's assets of a module's symbols and its calendar around the day they were read; both may be empty."""

    assets: tuple[Asset, ...]
    sessions: tuple[TradingSession, ...]
    day: date


def path_of(module: str) -> str:
    return f"universe/{module}"


def kept(stored: Document | None, universe: Universe, as_of: datetime) -> Listing | None:
    """The stored lists, if they are of the same symbols, can be read, and are at most three days old."""
    if stored is None or stored.data.get("wanted") != list(universe.symbols):
        return None
    try:
        listing = parsed(Listing, stored)
        for asset in listing.assets:
            if min(asset.min_order_quantity, asset.quantity_increment, asset.price_increment) <= 0:
                raise BadFacts(f"{stored.path}: {asset.symbol} has a step of zero; the document was changed by hand?")
    except BadFacts as error:
        log.warning("stored_universe_unreadable", error=str(error))
        return None
    return listing if (as_of.date() - listing.day).days <= MOST_DAYS_KEPT else None


def read(
    world: World, module: str, universe: Universe, account_id: str, as_of: datetime
) -> tuple[Listing, list[Write]]:
    """The broker's lists of today and the write that keeps them, if both came."""
    listing, is_whole = asked(world.broker, universe, as_of)
    if not is_whole:
        return listing, []
    stored = document(listing, account_id=account_id, read_at=as_of, wanted=universe.symbols)
    return listing, [Write(path_of(module), stored)]


def asked(broker: Broker, universe: Universe, as_of: datetime) -> tuple[Listing, bool]:
    """The broker's lists of today, and whether both came. Without an answer nothing is bought; exits go on.

    A list that came is used in this cycle, even where the other did not and neither is kept.
    """
    today = as_of.date()
    assets: tuple[Asset, ...] | None = None
    sessions: tuple[TradingSession, ...] | None = ()
    try:
        assets = broker.assets(universe.asset_class, universe.symbols)
    except (BrokerUnavailable, BrokerRefused, BadFacts) as error:
        log.warning("assets_unavailable", error=str(error))
    try:
        if universe.follows_sessions:
            sessions = broker.sessions(today - CALENDAR_BEHIND, today + CALENDAR_AHEAD)
    except (BrokerUnavailable, BrokerRefused, BadFacts) as error:
        sessions = None
        log.warning("sessions_unavailable", error=str(error))
    return Listing(assets or (), sessions or (), today), assets is not None and sessions is not None
