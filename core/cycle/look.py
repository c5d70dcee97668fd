"""Looking: everything a decision needs, read once, in few calls, into one immutable snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from core.cycle.models import learned_values, model_in_force, model_opinions
from core.cycle.universe import Listing
from core.cycle.world import CycleRequest, World
from core.data.bars import completed, completed_sessions
from core.errors import BadFacts, BrokerRefused, BrokerUnavailable
from core.execution.follow import fills_are_due
from core.indicators import features
from core.intelligence.signals import stored_signals
from core.model.bars import Bars, empty_bars
from core.model.features import Features
from core.model.intelligence import Signal
from core.model.judgement import ModelOpinion, ModeState, Refusal, Snapshot
from core.model.limits import Limits, SignalRules
from core.model.market import Asset, AssetClass, Clock, LastTrade, Quote
from core.model.options import underlying_of
from core.model.orders import Account, Activities, Order, Position
from core.model.trades import Books
from core.modules import module_named
from core.modules.module import Universe
from core.ports import Document, Market

log = structlog.get_logger()

HISTORY = timedelta(days=1)
"""How far back the safety rules look at orders."""

VOLUME_HISTORY = timedelta(days=9)
"""A day's volume is compared with the seven days before; shorter bars need more of them."""

CLOCK_SKEW = timedelta(seconds=2)

SESSION_DAYS = 1.6
"""Calendar days a session: seven days hold five, and holidays fewer."""


@dataclass(frozen=True, slots=True)
class BrokerFacts:
    """What the broker says of the account now. `orders`: all since a day ago, and every unsettled one of ours.

    `activities`: None where none were due, or none could be had, as `unread` then says.
    """

    clock: Clock
    account: Account
    positions: tuple[Position, ...]
    orders: tuple[Order, ...]
    activities: Activities | None
    unread: str = ""

    @property
    def as_of(self) -> datetime:
        return self.clock.at


def broker_facts(world: World, clock: Clock, account: Account, books: Books | None) -> BrokerFacts:
    """Orders, positions, and fills when some are due. Orders come first: what fills in between is in the positions and
    is booked next time."""
    as_of = clock.at
    unsettled = () if books is None else books.unsettled
    since = min([as_of - HISTORY, *(record.planned_at for record in unsettled)])
    orders = world.broker.orders(since=since)
    listed = {order.client_order_id for order in orders}
    missing = [record.client_order_id for record in unsettled if record.client_order_id not in listed]
    looked_up = [_looked_up(world, client_order_id) for client_order_id in missing]
    orders = (*orders, *(order for order in looked_up if order is not None))
    positions = world.broker.positions()
    if books is None or not fills_are_due(books, orders, positions):
        return BrokerFacts(clock, account, positions, orders, None)
    activities = activities_since(world, books.seen_since)
    if isinstance(activities, str):
        return BrokerFacts(clock, account, positions, orders, None, unread=activities)
    return BrokerFacts(clock, account, positions, orders, activities)


def activities_since(world: World, since: datetime) -> Activities | str:
    """What happened since, or why it cannot be had: then it is booked later, and no exit waits for it."""
    try:
        return world.broker.activities(since=since)
    except (BrokerUnavailable, BrokerRefused, BadFacts) as error:
        log.warning("activities_unavailable", error=str(error))
        return f"what the broker did since {since:%Y-%m-%d %H:%M} UTC could not be read: {error}"


def _looked_up(world: World, client_order_id: str) -> Order | None:
    """The broker's order of this id; None where it has none, or none that can be read, which must stop no exit."""
    try:
        return world.broker.order_by_client_id(client_order_id)
    except BadFacts as error:
        log.warning("order_left_out", client_order_id=client_order_id, error=str(error))
        return None


def market_facts(
    world: World,
    request: CycleRequest,
    facts: BrokerFacts,
    books: Books,
    mode: ModeState,
    listing: Listing,
    now: Callable[[], datetime],
    intelligence: Document | None = None,
    model: Document | None = None,
) -> tuple[Snapshot, bool]:
    """The snapshot: bars and quotes of everything that may be traded or is held, with a reason for each gap; and
    whether the market's history was read for it.

    Market data that cannot be had closes the way in, never the way out: exits go by the broker's own prices then.
    """
    universe = module_named(request.module).universe(world.settings)
    symbols = looked_at(universe, listing, facts.positions)
    latest, market, bars, gaps = sound_market(world, universe, listing, symbols, facts.as_of, now)
    signals, unreadable = stored_signals(intelligence)
    served = None if request.exits_only else model_in_force(world, model, universe.timeframe)
    # A decision reads the features of the last bar, a model those before it too.
    known = features(bars, last=1 if served is None else served.pointer.steps)
    limits = world.settings.limits_of(request.module)
    sound = [quote for quote in market.quotes if 0 < quote.bid <= quote.ask and quote.as_of <= latest]
    trades = [trade for trade in market.last_trades if trade.as_of <= latest]
    sight = Sight(bars, known, tuple(sound), tuple(trades), (*gaps, *untradable(universe, listing), *unreadable))
    opinions = model_opinions(served, known, least_confidence=limits.signals.enter_confidence)
    snapshot = snapshot_of(request, universe, facts, books, mode, listing, sight, limits, signals, opinions)
    snapshot = replace(snapshot, learned=learned_values(model, facts.as_of))
    if universe.has_chains:
        from core.cycle.look_options import option_facts

        snapshot = option_facts(world, snapshot, exits_only=request.exits_only)
    return snapshot, market.has_read_history


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What was seen of a module's market: sound bars, their features, sound prices, and why what is missing is."""

    bars: Bars
    features: Features
    quotes: tuple[Quote, ...]
    last_trades: tuple[LastTrade, ...]
    gaps: tuple[Refusal, ...]


def looked_at(universe: Universe, listing: Listing, positions: Sequence[Position]) -> list[str]:
    """Everything that may be traded or is held, in the order of names."""
    held = [position.symbol for position in positions if position.asset_class is universe.asset_class]
    if universe.has_chains:
        # An adjusted contract names no underlying, and a name that the market does not know fails the whole request.
        options = (each.symbol for each in positions if each.asset_class is AssetClass.OPTION)
        held += [underlying_of(symbol) for symbol in options if underlying_of(symbol) != symbol]
    return sorted({*_tradable(universe, listing), *held})


def untradable(universe: Universe, listing: Listing) -> tuple[Refusal, ...]:
    """The symbols that the broker does not let us trade."""
    reason = "the broker lists no active, tradable asset of this name"
    tradable = _tradable(universe, listing)
    return tuple(Refusal(symbol, "universe", reason) for symbol in universe.symbols if symbol not in tradable)


def _tradable(universe: Universe, listing: Listing) -> dict[str, Asset]:
    return {asset.symbol: asset for asset in listing.assets if asset.tradable and asset.symbol in universe.symbols}


def snapshot_of(
    request: CycleRequest,
    universe: Universe,
    facts: BrokerFacts,
    books: Books,
    mode: ModeState,
    listing: Listing,
    sight: Sight,
    limits: Limits,
    signals: tuple[Signal, ...] = (),
    opinions: Mapping[str, Mapping[str, ModelOpinion]] | None = None,
) -> Snapshot:
    """The snapshot of facts that were read; without chains, which are read by it."""
    return Snapshot(
        cycle_id=request.cycle_id,
        module=request.module,
        as_of=facts.as_of,
        mode=mode,
        account=facts.account,
        positions=facts.positions,
        orders=facts.orders,
        assets=_tradable(universe, listing),
        bars=sight.bars,
        features=sight.features,
        quotes={quote.symbol: quote for quote in sight.quotes},
        books=books,
        limits=limits,
        gaps=sight.gaps,
        clock=facts.clock,
        sessions=listing.sessions,
        last_trades={trade.symbol: trade for trade in sight.last_trades},
        signals=signals,
        model_opinions=opinions or {},
    )


def sound_market(
    world: World,
    universe: Universe,
    listing: Listing,
    symbols: Sequence[str],
    as_of: datetime,
    now: Callable[[], datetime],
) -> tuple[datetime, Market, Bars, tuple[Refusal, ...]]:
    """The time by which the market was read, what was read, its completed and sound bars, and the gaps.

    `now` moves on while the cycle reads: a quote may well be younger than the cycle.
    """
    timeframe, signals = universe.timeframe, world.settings.limits.signals
    start = history_start(universe, signals, as_of)
    try:
        market = world.data.market(universe.asset_class, symbols, timeframe=timeframe, start=start, end=as_of)
    except (BrokerUnavailable, BrokerRefused, BadFacts) as error:
        log.warning("market_data_unavailable", error=str(error))
        gaps = tuple(Refusal(symbol, "bars", str(error)) for symbol in symbols)
        return now(), Market(empty_bars(timeframe), ()), empty_bars(timeframe), gaps
    latest = now() + CLOCK_SKEW
    if universe.has_chains:
        return latest, market, market.bars, ()
    if universe.follows_sessions:
        bars, gaps = completed_sessions(
            market.bars, listing.sessions, as_of=as_of, latest=latest, min_bars=signals.min_bars
        )
    else:
        bars, gaps = completed(market.bars, as_of=as_of, latest=latest, min_bars=signals.min_bars)
    return latest, market, bars, gaps


def history_start(universe: Universe, rules: SignalRules, as_of: datetime) -> datetime:
    """From when on bars are looked at."""
    look_back = universe.timeframe.length * (rules.lookback_bars + 1)
    return as_of - max(look_back * (SESSION_DAYS if universe.follows_sessions else 1), VOLUME_HISTORY)
