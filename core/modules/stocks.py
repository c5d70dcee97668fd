"""Stocks: long or flat in the New York session, with stop and target resting at the broker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import partial

import numpy as np

from core import patterns
from core.data.sessions import closed, entry_session
from core.intelligence.advice import ELSE_BOUGHT, Advice, advice, advised, halves
from core.model.bars import as_datetime64
from core.model.judgement import Opportunity, Refusal, Snapshot, SymbolView, Target
from core.model.market import AssetClass, Timeframe, TradingSession
from core.model.orders import SHORTING, OrderClass, OrderIntent, OrderType, Purpose, Side, TimeInForce
from core.model.universe import UNIVERSE, Group, listing
from core.modules.entries import EntryTerms, best_entry, blocked, size_reason
from core.modules.module import Universe
from core.modules.ordering import Kind, intent_of, stepped
from core.modules.stocks_exits import alarms, exit_of, protections, without
from core.modules.views import Scores, fresh_quote, scores, views_of
from core.risk.corporate_actions import newest_jumps
from core.risk.rebalance import trims
from core.risk.regime import MarketState
from core.settings import Settings
from core.strategies import GENERAL, haven, leveraged, sector_rotation, volatility
from core.strategies.strategy import Strategy
from core.units import floor_to

MOST_LOST_TO_WHOLE_SHARES = Decimal("0.20")
"""Where flooring to whole shares would lose more of the size than this, a fraction is bought without a bracket."""

ONE = Decimal(1)

STRATEGIES_OF: Mapping[Group, tuple[Strategy, ...]] = {
    Group.CORE_ETF: GENERAL,
    Group.STOCK: GENERAL,
    Group.SECTOR_ETF: (sector_rotation.STRATEGY,),
    Group.LEVERAGED: (leveraged.STRATEGY,),
    Group.LONG_VOLATILITY: (volatility.STRATEGY,),
    Group.SHORT_VOLATILITY: (volatility.STRATEGY,),
    Group.HAVEN: (haven.STRATEGY,),
}
"""In order of preference."""

MARKETS_FOR: Mapping[Group, tuple[MarketState, ...]] = {
    Group.LEVERAGED: (MarketState.BULLISH,),
    Group.SHORT_VOLATILITY: (MarketState.BULLISH,),
    Group.LONG_VOLATILITY: (MarketState.BEARISH,),
    Group.HAVEN: (MarketState.NEUTRAL, MarketState.BEARISH),
}
"""Groups that are entered in these markets only; an unknown market is none of them."""


class Stocks:
    """The stocks module; it holds no state."""

    asset_class = AssetClass.STOCK
    strategy_names = tuple(dict.fromkeys(each.name for group in STRATEGIES_OF.values() for each in group))

    def universe(self, settings: Settings) -> Universe:
        return Universe(settings.traded_stocks, AssetClass.STOCK, Timeframe.DAY)

    def analyze_opportunities(self, snapshot: Snapshot) -> tuple[Opportunity | Refusal, ...]:
        """The best view of each symbol's own strategies, where session, market, threshold and costs allow."""
        moment = _moment(snapshot)
        answers = [_entry(snapshot, symbol, moment) for symbol in snapshot.assets]
        entries = [answer for answer in answers if isinstance(answer, Opportunity)]
        refusals = [answer for answer in answers if isinstance(answer, Refusal)]
        refusals += [gap for gap in snapshot.gaps if gap.symbol not in snapshot.assets]
        refusals += _without_symbols(snapshot)
        return (*advised(entries, moment.market), *refusals, *moment.market.notes)

    def monitor_positions(self, snapshot: Snapshot) -> tuple[Opportunity | Refusal, ...]:
        """Exits, then trims of what stays, then the resting orders that what stays untouched lacks."""
        held = [position for position in snapshot.positions if position.asset_class is self.asset_class]
        if not held:
            return ()
        shut = closed(snapshot.clock)
        known = snapshot.once(scores, _strategies)
        answers = [exit_of(snapshot, position, known.get(position.symbol, {}), shut) for position in held]
        closing = [answer for answer in answers if answer is not None]
        staying = without(held, closing)
        trimmed = () if shut else trims(snapshot, staying, self.asset_class, halves(snapshot))
        protected = protections(snapshot, without(staying, trimmed), shut)
        return (*closing, *trimmed, *protected, *alarms(snapshot, held))

    def plan_trades(self, targets: Sequence[Target], snapshot: Snapshot) -> tuple[OrderIntent, ...]:
        return tuple(_intent(target, snapshot) for target in targets)

    def day_ends_at(self, snapshot: Snapshot) -> datetime:
        """Midnight in UTC, which is in the evening of New York."""
        return datetime.combine(snapshot.as_of.date() + timedelta(days=1), time(), UTC)

    def views(self, snapshot: Snapshot) -> tuple[SymbolView, ...]:
        """The market as a whole first, then each symbol with the confidence of its own strategies."""
        held = [position.symbol for position in snapshot.positions if position.asset_class is self.asset_class]
        symbols = dict.fromkeys((*snapshot.assets, *held))
        market = snapshot.once(advice, self.asset_class).view
        return (market, *views_of(snapshot, symbols, snapshot.once(scores, _strategies)))


@dataclass(frozen=True, slots=True)
class _Moment:
    """What all symbols are judged by. `session`: or why nothing may be opened. `blocked`, `jumps`: by symbol, why not.
    `leaders`: the strongest sectors."""

    blocked: Mapping[str, Refusal]
    session: TradingSession | str
    market: Advice
    jumps: Mapping[str, str]
    scores: Scores
    leaders: tuple[str, ...]
    terms: EntryTerms


def _moment(snapshot: Snapshot) -> _Moment:
    rules, known = snapshot.limits.stocks, snapshot.once(scores, _strategies)
    market = snapshot.once(advice, AssetClass.STOCK)
    return _Moment(
        blocked(snapshot, partial(_bar_ended_at, snapshot)),
        entry_session(snapshot.clock, snapshot.sessions, no_entry_minutes=rules.no_entry_minutes),
        market,
        newest_jumps(snapshot.bars, n_bars=snapshot.limits.signals.min_bars),
        known,
        _leading_sectors(known),
        EntryTerms(rules.costs, rules.exits, f"market {market.state}"),
    )


def _entry(snapshot: Snapshot, symbol: str, moment: _Moment) -> Opportunity | Refusal:
    rules, listed, market = snapshot.limits.stocks, listing(symbol), moment.market
    if symbol in moment.blocked:
        return moment.blocked[symbol]
    if snapshot.account.is_shorting_allowed:
        return Refusal(symbol, "shorting", SHORTING)
    if listed.tier > rules.max_market_tier:
        return Refusal(symbol, "tier", f"tier {listed.tier}; MARKET_TIER is {rules.max_market_tier}")
    if isinstance(moment.session, str):
        return Refusal(symbol, "session", moment.session)
    if symbol in moment.jumps:
        why = f"{moment.jumps[symbol]}, as a split makes it; its indicators cannot be trusted"
        return Refusal(symbol, "corporate_action", why)
    markets = MARKETS_FOR.get(listed.group)
    if markets is not None and not market.allows(markets):
        reason = f"{listed.group} needs a {' or '.join(markets)} market; it is {market.words}: {market.because}"
        is_else_bought = isinstance(_bought(snapshot, symbol, moment), Opportunity)
        reason += f"; {ELSE_BOUGHT}" if is_else_bought else ""
        return Refusal(symbol, "regime", reason, _strategies(symbol)[0].name)
    if moment.leaders and listed.group is Group.SECTOR_ETF and symbol not in moment.leaders:
        reason = f"{' and '.join(moment.leaders)} are the strongest sectors"
        return Refusal(symbol, "rank", reason, sector_rotation.STRATEGY.name)
    return _bought(snapshot, symbol, moment)


def _bought(snapshot: Snapshot, symbol: str, moment: _Moment) -> Opportunity | Refusal:
    """The entry that quote, signals and costs allow in any market."""
    quote = fresh_quote(snapshot, symbol)
    if isinstance(quote, Refusal):
        return quote
    threshold = max(listing(symbol).min_confidence, snapshot.limits.signals.enter_confidence)
    return best_entry(snapshot, symbol, quote, moment.scores.get(symbol, {}), moment.terms, enter_confidence=threshold)


def _strategies(symbol: str) -> Sequence[Strategy]:
    return STRATEGIES_OF[listing(symbol).group]


def _without_symbols(snapshot: Snapshot) -> list[Refusal]:
    """The strategies that have nothing to trade, since no symbol of their kind is looked at or tradable."""
    kinds: dict[str, list[str]] = {}
    for each in UNIVERSE:
        if STRATEGIES_OF[each.group] is not GENERAL:
            kinds.setdefault(STRATEGIES_OF[each.group][0].name, []).append(each.symbol)
    return [
        Refusal("market", "universe", f"none of {', '.join(symbols)} is looked at or tradable", name)
        for name, symbols in kinds.items()
        if snapshot.assets.keys().isdisjoint(symbols)
    ]


def _leading_sectors(known: Scores) -> tuple[str, ...]:
    """The sector ETFs that rotation likes best, best first; empty where it has no view of any."""
    name = sector_rotation.STRATEGY.name
    own = {symbol: each[name] for symbol, each in known.items() if name in each}
    return tuple(sorted(own, key=lambda symbol: (-own[symbol], symbol))[: sector_rotation.BEST])


def _bar_ended_at(snapshot: Snapshot, symbol: str) -> np.datetime64 | None:
    """When the session of the symbol's newest daily bar closed."""
    row = snapshot.bars.row(symbol)
    if row is None:
        return None
    day = snapshot.bars.opened_at[row, -1].item().date()
    return next((as_datetime64(each.closes_at) for each in reversed(snapshot.sessions) if each.day == day), None)


def _intent(target: Target, snapshot: Snapshot) -> OrderIntent:
    """Entries: whole shares as a bracket whose legs live on, or a fraction for the day; both limited above the ask.

    Protection: stop and target of whole shares, or a stop, good till canceled. Exits: at market, good till canceled so
    that a halt does not end them. A fraction of a share can be sold, or have a stop, for the day only.
    """
    opportunity = target.opportunity
    entry = opportunity.purpose.opens_risk
    quantity = stepped(target, snapshot)
    if opportunity.quantity is not None and target.quantity < opportunity.quantity:
        # What is more than one order may carry goes in whole shares, as a fraction can be sold for the day only.
        quantity = floor_to(quantity, ONE) or quantity
    is_in_whole_shares = quantity == floor_to(quantity, ONE)
    kind = _AT_MARKET if is_in_whole_shares else _AT_MARKET_TODAY
    if opportunity.purpose is Purpose.PROTECT:
        alone = _PROTECT_STOP if is_in_whole_shares else _PROTECT_TODAY
        kind = _PROTECT_BOTH if opportunity.target_price is not None else alone
    elif entry:
        whole = floor_to(quantity, ONE)
        is_whole = quantity - whole <= quantity * MOST_LOST_TO_WHOLE_SHARES
        quantity, kind = (whole, _BRACKET) if is_whole else (quantity, _FRACTION)
    return intent_of(
        target,
        snapshot,
        kind,
        asset_class=AssetClass.STOCK,
        side=Side.BUY if entry or _is_short(snapshot, opportunity.symbol) else Side.SELL,
        quantity=quantity,
        reason=_entry_reason(target, snapshot) if entry else opportunity.reason,
    )


def _is_short(snapshot: Snapshot, symbol: str) -> bool:
    held = snapshot.position(symbol)
    return held is not None and held.quantity < 0


def _entry_reason(target: Target, snapshot: Snapshot) -> str:
    """Why it is bought, with what its chart shows; to read the chart of every idea would cost more than to have it."""
    seen = patterns.described(snapshot.bars, target.opportunity.symbol)
    return f"{', '.join(filter(None, (target.opportunity.reason, seen)))}; {size_reason(target)}"


_BRACKET = Kind(OrderType.LIMIT, TimeInForce.GTC, OrderClass.BRACKET)
_FRACTION = Kind(OrderType.LIMIT, TimeInForce.DAY)
_PROTECT_BOTH = Kind(OrderType.LIMIT, TimeInForce.GTC, OrderClass.OCO)
_PROTECT_STOP = Kind(OrderType.STOP, TimeInForce.GTC)
_PROTECT_TODAY = Kind(OrderType.STOP, TimeInForce.DAY)
_AT_MARKET = Kind(OrderType.MARKET, TimeInForce.GTC)
_AT_MARKET_TODAY = Kind(OrderType.MARKET, TimeInForce.DAY)
