"""Crypto: open all day, long or flat, never on margin, no stop orders at the broker: every cycle watches the exits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from functools import partial

import numpy as np

from core.data.sessions import session_at
from core.intelligence.advice import advice, advised, halves
from core.model.judgement import Opportunity, Refusal, Snapshot, SymbolView, Target
from core.model.market import AssetClass
from core.model.orders import OrderIntent, OrderType, Side, TimeInForce
from core.modules.crypto_exits import exit_of
from core.modules.entries import EntryTerms, best_entry, blocked, size_reason
from core.modules.module import Universe
from core.modules.ordering import Kind, intent_of, stepped
from core.modules.views import Scores, fresh_quote, scores, views_of
from core.risk.rebalance import trims
from core.risk.regime import MarketState
from core.settings import Settings
from core.strategies import GENERAL
from core.strategies.strategy import Strategy

NOW_OR_NEVER = Kind(OrderType.LIMIT, TimeInForce.IOC)
AT_MARKET = Kind(OrderType.MARKET, TimeInForce.GTC)


class Crypto:
    """The crypto module; it holds no state."""

    asset_class = AssetClass.CRYPTO
    strategy_names = tuple(strategy.name for strategy in GENERAL)

    def universe(self, settings: Settings) -> Universe:
        return Universe(settings.crypto_symbols, AssetClass.CRYPTO, settings.crypto_timeframe, follows_sessions=False)

    def analyze_opportunities(self, snapshot: Snapshot) -> tuple[Opportunity | Refusal, ...]:
        """The best strategy's view of each symbol that is not held or ordered, where it clears threshold and costs."""
        known, in_the_way = snapshot.once(scores, _strategies), blocked(snapshot, partial(_bar_ended_at, snapshot))
        answers = [in_the_way.get(symbol) or _entry(snapshot, symbol, known) for symbol in snapshot.assets]
        entries = [answer for answer in answers if isinstance(answer, Opportunity)]
        refusals = [answer for answer in answers if isinstance(answer, Refusal)]
        refusals += [gap for gap in snapshot.gaps if gap.symbol not in snapshot.assets]
        market = snapshot.once(advice, self.asset_class)
        return (*advised(entries, market), *refusals, *market.notes)

    def monitor_positions(self, snapshot: Snapshot) -> tuple[Opportunity | Refusal, ...]:
        held = [position for position in snapshot.positions if position.asset_class is self.asset_class]
        known = snapshot.once(scores, _strategies) if held else {}
        answers = [exit_of(snapshot, position, known.get(position.symbol, {})) for position in held]
        closing = [answer for answer in answers if answer is not None]
        leaving = {answer.symbol for answer in closing}
        staying = [position for position in held if position.symbol not in leaving]
        return (*closing, *trims(snapshot, staying, self.asset_class, halves(snapshot)))

    def plan_trades(self, targets: Sequence[Target], snapshot: Snapshot) -> tuple[OrderIntent, ...]:
        return tuple(_intent(target, snapshot) for target in targets)

    def day_ends_at(self, snapshot: Snapshot) -> datetime:
        return datetime.combine(snapshot.as_of.date() + timedelta(days=1), time(), UTC)

    def views(self, snapshot: Snapshot) -> tuple[SymbolView, ...]:
        symbols = dict.fromkeys((*snapshot.assets, *(position.symbol for position in snapshot.positions)))
        market = snapshot.once(advice, self.asset_class)
        seen = () if market.state is MarketState.UNKNOWN else (market.view,)
        return (*seen, *views_of(snapshot, symbols, snapshot.once(scores, _strategies)))


def _strategies(symbol: str) -> Sequence[Strategy]:
    return GENERAL


def _entry(snapshot: Snapshot, symbol: str, known: Scores) -> Opportunity | Refusal:
    session = session_at(snapshot.as_of, snapshot.limits.sessions)
    if session is None:
        return Refusal(symbol, "session", f"no session is configured for {snapshot.as_of:%H:%M} UTC")
    quote = fresh_quote(snapshot, symbol)
    if isinstance(quote, Refusal):
        return quote
    own, limits = known.get(symbol, {}), snapshot.limits
    preferred = {name: own[name] for name in session.strategies if name in own}
    terms = EntryTerms(limits.costs, limits.exits, f"session {session.name}", session.size_factor)
    threshold = limits.signals.enter_confidence
    return best_entry(snapshot, symbol, quote, preferred, terms, enter_confidence=threshold)


def _bar_ended_at(snapshot: Snapshot, symbol: str) -> np.datetime64 | None:
    row = snapshot.bars.row(symbol)
    if row is None:
        return None
    ended_at: np.datetime64 = snapshot.bars.opened_at[row, -1] + np.timedelta64(snapshot.bars.timeframe.length)
    return ended_at


def _intent(target: Target, snapshot: Snapshot) -> OrderIntent:
    """Entries: limit IOC a little above the ask, so they fill now or never. Exits: market, good till canceled."""
    opportunity = target.opportunity
    entry = opportunity.purpose.opens_risk
    return intent_of(
        target,
        snapshot,
        NOW_OR_NEVER if entry else AT_MARKET,
        asset_class=AssetClass.CRYPTO,
        side=Side.BUY if entry else Side.SELL,
        quantity=stepped(target, snapshot),
        reason=f"{opportunity.reason}; {size_reason(target)}" if entry else opportunity.reason,
    )
