"""How a held coin or stock stands: its stop, target, peak and age, and whether a rule says that it must go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from core.model.bars import as_datetime64
from core.model.judgement import Refusal, Snapshot, confidence_of
from core.model.limits import ExitRules
from core.model.orders import Position
from core.model.trades import Trade
from core.modules.views import fresh_quote
from core.risk import exits
from core.units import decimal_from_float


@dataclass(frozen=True, slots=True)
class Standing:
    """`trade`: the largest open one behind the position, None where the books know none. `exit_reason`: or None."""

    held: exits.HeldPosition
    trade: Trade | None
    exit_reason: str | None

    @property
    def strategy(self) -> str:
        return "unknown" if self.trade is None else self.trade.strategy


def standing(
    snapshot: Snapshot,
    position: Position,
    scores: Mapping[str, float],
    rules: ExitRules,
    *,
    split: Decimal = Decimal(1),
) -> Standing:
    """Stop and target are the largest trade's own; a position that the books do not know has them by its entry price.

    Without a quote to trust the broker's own price of the position decides. `split`: shares that one share of the
    books' has become; the trade's prices are divided by it, and highs from before it count no more.
    """
    first = largest_trade(snapshot, position)
    quote = fresh_quote(snapshot, position.symbol)
    score = None if first is None else scores.get(first.strategy)
    entry_price = position.average_entry_price
    stop_price = None if first is None or first.stop_price is None else first.stop_price / split
    target_price = None if first is None or first.target_price is None else first.target_price / split
    held = exits.HeldPosition(
        entry_price=entry_price,
        price=position.price if isinstance(quote, Refusal) else quote.bid,
        stop_price=stop_price or exits.stop_price(entry_price, None, rules),
        target_price=target_price or exits.target_price(entry_price, rules),
        peak_price=entry_price if split != 1 else _peak_price(snapshot, position, first),
        opened_at=None if first is None else first.opened_at,
        confidence=None if score is None else confidence_of(score),
    )
    leave_confidence = snapshot.limits.signals.leave_confidence
    return Standing(held, first, exits.exit_reason(held, snapshot.as_of, rules, leave_confidence=leave_confidence))


def largest_trade(snapshot: Snapshot, position: Position) -> Trade | None:
    """The open trade behind most of the position, of equals the oldest; what is left of a trade after a sale of less
    than the smallest order is none."""
    smallest_usd = snapshot.limits.risk.min_order_usd
    trades = [trade for trade in snapshot.books.open_trades if trade.symbol == position.symbol]
    worth = [trade for trade in trades if position.price <= 0 or trade.open_quantity * position.price >= smallest_usd]
    return min(worth, key=lambda trade: (-trade.open_quantity, trade.opened_at), default=None)


def _peak_price(snapshot: Snapshot, position: Position, trade: Trade | None) -> Decimal:
    """The highest high of the bars that opened at or after the entry, never below the entry price."""
    entry = position.average_entry_price
    row = snapshot.bars.row(position.symbol)
    if trade is None or row is None:
        return entry
    since = snapshot.bars.opened_at[row] >= as_datetime64(trade.opened_at)
    highs = snapshot.bars.high[row][since]
    return entry if not len(highs) else max(entry, decimal_from_float(float(highs.max())))
