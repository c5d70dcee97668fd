"""Crypto's ways out: exits of whole positions, and trims back to the caps. No entry rule is ever asked here."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from core.model.bars import as_datetime64
from core.model.judgement import HELD_FOR_ORDERS, Opinion, Opportunity, Refusal, Snapshot
from core.model.orders import Position, Purpose, Side
from core.model.trades import Trade
from core.modules.views import fresh_quote
from core.risk import exits
from core.units import decimal_from_float

TRIM_TOLERANCE = Decimal("1.05")


def exit_of(snapshot: Snapshot, position: Position, views: Sequence[Opinion]) -> Opportunity | Refusal | None:
    """The exit this position needs now, why it cannot be had, or None while it may stay.

    Stop and target are the trade's own; a position that the books do not know has them by its entry price. Without a
    quote to trust the broker's own price of the position decides.
    """
    if position.quantity <= 0:
        return None
    smallest_usd = snapshot.limits.risk.min_order_usd
    if position.quantity * position.price < smallest_usd:
        return Refusal(position.symbol, "dust", f"worth less than ${smallest_usd}, which the broker does not sell")
    trades = [
        trade
        for trade in snapshot.books.open_trades
        if trade.symbol == position.symbol and trade.open_quantity * position.price >= smallest_usd
    ]
    first = min(trades, key=lambda trade: trade.opened_at, default=None)
    quote = fresh_quote(snapshot, position.symbol)
    price = position.price if isinstance(quote, Refusal) else quote.bid
    confidences = {view.source: view.confidence for view in views}
    rules = snapshot.limits.exits
    entry_price = position.average_entry_price
    held = exits.HeldPosition(
        entry_price=entry_price,
        price=price,
        stop_price=_stored(first, "stop_price") or exits.stop_price(entry_price, None, rules),
        target_price=_stored(first, "target_price") or exits.target_price(entry_price, rules),
        peak_price=_peak_price(snapshot, position, first),
        opened_at=None if first is None else first.opened_at,
        confidence=None if first is None else confidences.get(first.strategy),
    )
    reason = exits.exit_reason(held, snapshot.as_of, rules, leave_confidence=snapshot.limits.signals.leave_confidence)
    if reason is None:
        return None
    if position.available_quantity <= 0:
        return Refusal(
            position.symbol, HELD_FOR_ORDERS, f"open sell orders hold the coins, while the exit says {reason}"
        )
    return Opportunity(
        symbol=position.symbol,
        purpose=Purpose.EXIT,
        strategy="unknown" if first is None else first.strategy,
        confidence=1.0,
        reason=reason,
        reference_price=price,
        quantity=position.available_quantity,
    )


def trims(
    snapshot: Snapshot, positions: Sequence[Position], class_share_frac: Decimal, share_reason: str
) -> tuple[Opportunity, ...]:
    """Sell back to the caps, only the excess, and only once a cap is exceeded by more than the tolerance.

    A symbol whose last sale is not settled waits for it: what is on its way out is not sold again.
    """
    selling = {record.intent.symbol for record in snapshot.books.unsettled if record.intent.side is Side.SELL}
    selling |= {order.symbol for order in snapshot.orders if order.is_open and order.side is Side.SELL}
    positions = [position for position in positions if position.symbol not in selling and position.price > 0]
    equity = snapshot.account.equity_usd
    symbol_cap, class_cap = snapshot.limits.risk.max_symbol_frac * equity, class_share_frac * equity
    over_symbol = {position.symbol: _over(position.market_value_usd, symbol_cap) for position in positions}
    left = {position.symbol: position.market_value_usd - over_symbol[position.symbol] for position in positions}
    total = sum(left.values(), Decimal(0))
    class_excess = _over(total, class_cap)
    found = []
    for position in positions:
        over_class = class_excess * left[position.symbol] / total if total > 0 else Decimal(0)
        excess = over_symbol[position.symbol] + over_class
        quantity = min(excess / position.price, position.available_quantity)
        if quantity > 0 and excess >= snapshot.limits.risk.min_order_usd:
            cap = f"{snapshot.limits.risk.max_symbol_frac:.0%} of one symbol"
            if over_class > 0:
                cap = f"{class_share_frac:.0%} of crypto ({share_reason})"
            found.append(
                Opportunity(
                    symbol=position.symbol,
                    purpose=Purpose.TRIM,
                    strategy="allocation",
                    confidence=1.0,
                    reason=f"trim: ${excess:.2f} above {cap}",
                    reference_price=position.price,
                    quantity=quantity,
                )
            )
    return tuple(found)


def _over(value_usd: Decimal, cap_usd: Decimal) -> Decimal:
    """What is above a cap, once it is above by more than the tolerance."""
    return exits.excess_usd(value_usd, cap_usd) if value_usd > cap_usd * TRIM_TOLERANCE else Decimal(0)


def _stored(trade: Trade | None, name: str) -> Decimal | None:
    return None if trade is None else getattr(trade, name)


def _peak_price(snapshot: Snapshot, position: Position, trade: Trade | None) -> Decimal:
    """The highest high of the bars that opened at or after the entry, never below the entry price."""
    entry = position.average_entry_price
    row = snapshot.bars.row(position.symbol)
    if trade is None or row is None:
        return entry
    since = snapshot.bars.opened_at[row] >= as_datetime64(trade.opened_at)
    highs = snapshot.bars.high[row][since]
    return entry if not len(highs) else max(entry, decimal_from_float(float(np.max(highs))))
