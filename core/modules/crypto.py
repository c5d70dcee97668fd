"""Crypto: open all day, long or flat, never on margin, no stop orders at the broker: every cycle watches the exits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import numpy as np

from core.data.sessions import session_at
from core.execution.ids import client_order_id
from core.model.bars import as_datetime64
from core.model.judgement import Opinion, Opportunity, Refusal, Snapshot, SymbolView, Target
from core.model.market import AssetClass
from core.model.orders import OrderIntent, OrderType, Purpose, Side, TimeInForce
from core.modules.crypto_exits import exit_of, trims
from core.modules.views import fresh_quote, opinions
from core.risk import edge, exits
from core.risk.allocation import crypto_share_frac
from core.units import ceil_to, floor_to

ENTRY_LIFETIME = timedelta(minutes=4)
SMALLEST_STEP = Decimal("0.000000001")
"""Alpaca's finest quantity, for a coin that is held but no longer listed."""


class Crypto:
    """The crypto module; it holds no state."""

    asset_class = AssetClass.CRYPTO

    def analyze_opportunities(self, snapshot: Snapshot) -> tuple[Opportunity | Refusal, ...]:
        """The best strategy's view of each symbol that is not held or ordered, where it clears threshold and costs."""
        views = opinions(snapshot)
        answers = [_entry(snapshot, symbol, views.get(symbol, ())) for symbol in snapshot.assets]
        entries = [answer for answer in answers if isinstance(answer, Opportunity)]
        refusals = [answer for answer in answers if isinstance(answer, Refusal)]
        refusals += [gap for gap in snapshot.gaps if gap.symbol not in snapshot.assets]
        return (*sorted(entries, key=lambda entry: (-entry.confidence, entry.symbol)), *refusals)

    def monitor_positions(self, snapshot: Snapshot) -> tuple[Opportunity | Refusal, ...]:
        held = [position for position in snapshot.positions if position.asset_class is self.asset_class]
        views = opinions(snapshot)
        answers = [exit_of(snapshot, position, views.get(position.symbol, ())) for position in held]
        closing = [answer for answer in answers if answer is not None]
        leaving = {answer.symbol for answer in closing}
        staying = [position for position in held if position.symbol not in leaving]
        share, reason = self.class_share_frac(snapshot)
        return (*closing, *trims(snapshot, staying, share, reason))

    def plan_trades(self, targets: Sequence[Target], snapshot: Snapshot) -> tuple[OrderIntent, ...]:
        return tuple(_intent(target, snapshot) for target in targets)

    def class_share_frac(self, snapshot: Snapshot) -> tuple[Decimal, str]:
        month_change = snapshot.account.equity_usd / snapshot.books.marks.month_start_usd - 1
        return crypto_share_frac(snapshot.books.record, month_change)

    def day_ends_at(self, snapshot: Snapshot) -> datetime:
        return datetime.combine(snapshot.as_of.date() + timedelta(days=1), time(), UTC)

    def views(self, snapshot: Snapshot) -> tuple[SymbolView, ...]:
        symbols = dict.fromkeys((*snapshot.assets, *(position.symbol for position in snapshot.positions)))
        scores = opinions(snapshot)
        return tuple(_view(snapshot, symbol, scores.get(symbol, ())) for symbol in symbols)


def _entry(snapshot: Snapshot, symbol: str, views: Sequence[Opinion]) -> Opportunity | Refusal:
    position = snapshot.position(symbol)
    if position is not None and position.quantity * position.price >= snapshot.limits.risk.min_order_usd:
        return Refusal(symbol, "held", "already held; positions are not added to")
    if any(order.symbol == symbol and order.is_open for order in snapshot.orders):
        return Refusal(symbol, "open_order", "an order of this symbol is still open")
    if any(record.intent.symbol == symbol for record in snapshot.books.unsettled):
        return Refusal(symbol, "unsettled", "an earlier order of this symbol is not settled yet")
    gap = next((gap for gap in snapshot.gaps if gap.symbol == symbol), None)
    if gap is not None:
        return gap
    if _was_traded_on_this_bar(snapshot, symbol):
        return Refusal(symbol, "same_bar", "traded since the newest bar ended; the signal has nothing new to say")
    session = session_at(snapshot.as_of, snapshot.limits.sessions)
    if session is None:
        return Refusal(symbol, "session", f"no session is configured for {snapshot.as_of:%H:%M} UTC")
    quote = fresh_quote(snapshot, symbol)
    if isinstance(quote, Refusal):
        return quote
    candidates = [view for view in views if view.source in session.strategies]
    if not candidates:
        return Refusal(symbol, "features", "no strategy of this session has all its indicators")
    best = max(candidates, key=lambda view: (view.confidence, -session.strategies.index(view.source)))
    signals, costs = snapshot.limits.signals, snapshot.limits.costs
    if best.confidence < signals.enter_confidence:
        return Refusal(
            symbol,
            "confidence",
            f"{best.source} {best.confidence:.2f} is below {signals.enter_confidence:.2f} to enter",
        )
    features = snapshot.features.latest(symbol)
    missing = [name for name in ("volatility", "daily_volume_usd") if name not in features]
    if missing:
        return Refusal(symbol, "features", f"{' and '.join(missing)} cannot be computed, so no size is safe")
    bars_per_day = timedelta(days=1) / snapshot.bars.timeframe.length
    gain = edge.expected_edge_frac(best.score, features["volatility"] * bars_per_day**0.5, costs)
    cost = edge.round_trip_cost_frac(quote.spread_frac, costs)
    if gain <= cost:
        return Refusal(symbol, "costs", f"expected edge {gain:.2%} does not beat fees and spread {cost:.2%}")
    limit_price = ceil_to(quote.ask * (1 + costs.entry_collar_frac), snapshot.assets[symbol].price_increment)
    return Opportunity(
        symbol=symbol,
        purpose=Purpose.ENTRY,
        strategy=best.source,
        confidence=best.confidence,
        reason=f"{best.reason}, expected edge {gain:.2%} after costs of {cost:.2%}, session {session.name}",
        reference_price=quote.ask,
        limit_price=limit_price,
        stop_price=exits.stop_price(limit_price, features.get("atr"), snapshot.limits.exits),
        target_price=exits.target_price(limit_price, snapshot.limits.exits),
        size_factor=session.size_factor,
        daily_volume_usd=features["daily_volume_usd"],
        features=features,
    )


def _was_traded_on_this_bar(snapshot: Snapshot, symbol: str) -> bool:
    """Whether an order of this symbol filled after the bar that the signals rest on."""
    row = snapshot.bars.row(symbol)
    if row is None:
        return False
    bar_ended_at = snapshot.bars.opened_at[row, -1] + np.timedelta64(snapshot.bars.timeframe.length)
    return any(
        order.symbol == symbol and order.filled_quantity > 0 and as_datetime64(order.submitted_at) >= bar_ended_at
        for order in snapshot.orders
    )


def _intent(target: Target, snapshot: Snapshot) -> OrderIntent:
    """Entries: limit IOC a little above the ask, so they fill now or never. Exits: market, good till canceled."""
    opportunity = target.opportunity
    entry = opportunity.purpose.opens_risk
    asset = snapshot.assets.get(opportunity.symbol)
    return OrderIntent(
        client_order_id=client_order_id(
            snapshot.account.account_id,
            snapshot.cycle_id,
            snapshot.as_of,
            opportunity.symbol,
            opportunity.purpose,
        ),
        symbol=opportunity.symbol,
        asset_class=AssetClass.CRYPTO,
        side=Side.BUY if entry else Side.SELL,
        purpose=opportunity.purpose,
        order_type=OrderType.LIMIT if entry else OrderType.MARKET,
        time_in_force=TimeInForce.IOC if entry else TimeInForce.GTC,
        quantity=floor_to(target.quantity, SMALLEST_STEP if asset is None else asset.quantity_increment),
        limit_price=opportunity.limit_price,
        reference_price=opportunity.reference_price,
        strategy=opportunity.strategy,
        reason=opportunity.reason if not entry else f"{opportunity.reason}; size set by {target.limited_by}",
        expires_at=snapshot.as_of + ENTRY_LIFETIME if entry else None,
        stop_price=opportunity.stop_price,
        target_price=opportunity.target_price,
        features=opportunity.features,
    )


def _view(snapshot: Snapshot, symbol: str, views: Sequence[Opinion]) -> SymbolView:
    facts: dict[str, float | str] = {}
    quote = snapshot.quotes.get(symbol)
    if quote is not None:
        facts |= {"bid": float(quote.bid), "ask": float(quote.ask), "quote_at": quote.as_of.isoformat()}
    row = snapshot.bars.row(symbol)
    if row is not None:
        facts |= {
            "close": float(snapshot.bars.close[row, -1]),
            "bar_opened_at": str(snapshot.bars.opened_at[row, -1]),
        }
    facts |= {f"{view.source}_confidence": round(view.confidence, 4) for view in views}
    position = snapshot.position(symbol)
    if position is not None:
        facts |= {
            "held_quantity": float(position.quantity),
            "held_value_usd": float(position.market_value_usd),
        }
    return SymbolView(symbol, facts)
