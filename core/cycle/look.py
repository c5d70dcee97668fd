"""Looking: everything a decision needs, read once, in few calls, into one immutable snapshot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from core.cycle.world import CycleRequest, World
from core.data.bars import completed
from core.errors import BadFacts, BrokerRefused, BrokerUnavailable
from core.execution.settle import needs_activities
from core.indicators import features
from core.model.bars import Bars, empty_bars
from core.model.judgement import ModeState, Refusal, Snapshot
from core.model.market import Asset, AssetClass, Quote
from core.model.orders import Account, Activities, Order, Position
from core.model.trades import Books

log = structlog.get_logger()

HISTORY = timedelta(days=1)
"""How far back the safety rules look at orders."""

VOLUME_HISTORY = timedelta(days=9)
"""A day's volume is compared with the seven days before; shorter bars need more of them."""

CLOCK_SKEW = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class BrokerFacts:
    """What the broker says of the account now. `orders`: all since a day ago, and every unsettled one of ours."""

    as_of: datetime
    account: Account
    positions: tuple[Position, ...]
    orders: tuple[Order, ...]
    activities: Activities | None


def broker_facts(world: World, as_of: datetime, account: Account, books: Books | None) -> BrokerFacts:
    """Positions and orders, and fills and fees when something is due. Orders come first: what fills in between
    is in the positions and is booked next time."""
    unsettled = () if books is None else books.unsettled
    since = min([as_of - HISTORY, *(record.planned_at for record in unsettled)])
    orders = world.broker.orders(since=since)
    listed = {order.client_order_id for order in orders}
    missing = [record.client_order_id for record in unsettled if record.client_order_id not in listed]
    looked_up = [world.broker.order_by_client_id(client_order_id) for client_order_id in missing]
    orders = (*orders, *(order for order in looked_up if order is not None))
    activities = None
    if books is not None and needs_activities(books, orders, as_of):
        activities = world.broker.activities(since=books.seen_since)
    return BrokerFacts(as_of, account, world.broker.positions(), orders, activities)


def market_facts(
    world: World,
    request: CycleRequest,
    facts: BrokerFacts,
    books: Books,
    mode: ModeState,
    assets: Sequence[Asset],
    now: Callable[[], datetime],
) -> Snapshot:
    """The snapshot: bars and quotes of everything that may be traded or is held, with a reason for each gap.

    Market data that cannot be had closes the way in, never the way out: exits go by the broker's own prices then.
    """
    settings, as_of = world.settings, facts.as_of
    asset_class = AssetClass.CRYPTO
    tradable = {asset.symbol: asset for asset in assets if asset.tradable and asset.symbol in settings.crypto_symbols}
    held = [position.symbol for position in facts.positions if position.asset_class is asset_class]
    symbols = sorted({*tradable, *held})
    limits = settings.limits
    bars, quotes, gaps = _market(world, symbols, as_of, now)
    untradable = tuple(
        Refusal(symbol, "universe", "the broker lists no active, tradable asset of this name")
        for symbol in settings.crypto_symbols
        if symbol not in tradable
    )
    return Snapshot(
        cycle_id=request.cycle_id,
        module=request.module,
        as_of=as_of,
        mode=mode,
        account=facts.account,
        positions=facts.positions,
        orders=facts.orders,
        assets=tradable,
        bars=bars,
        features=features(bars),
        quotes=quotes,
        books=books,
        limits=limits,
        gaps=(*gaps, *untradable),
    )


def _market(
    world: World, symbols: Sequence[str], as_of: datetime, now: Callable[[], datetime]
) -> tuple[Bars, dict[str, Quote], tuple[Refusal, ...]]:
    """Completed bars, quotes that can be true (two-sided, not crossed, not from the future), and the gaps.

    `now` moves on while the cycle reads: a quote may well be younger than the cycle.
    """
    timeframe, signals = world.settings.crypto_timeframe, world.settings.limits.signals
    start = as_of - max(timeframe.length * (signals.lookback_bars + 1), VOLUME_HISTORY)
    try:
        market = world.data.market(AssetClass.CRYPTO, symbols, timeframe=timeframe, start=start, end=as_of)
    except (BrokerUnavailable, BrokerRefused, BadFacts) as error:
        log.warning("market_data_unavailable", error=str(error))
        return empty_bars(timeframe), {}, tuple(Refusal(symbol, "bars", str(error)) for symbol in symbols)
    latest = now() + CLOCK_SKEW
    bars, gaps = completed(market.bars, as_of=as_of, latest=latest, min_bars=signals.min_bars)
    sound = [quote for quote in market.quotes if 0 < quote.bid <= quote.ask and quote.as_of <= latest]
    return bars, {quote.symbol: quote for quote in sound}, gaps
