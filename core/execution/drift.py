"""Whether the books and the broker agree about what is held."""

from __future__ import annotations

from decimal import Decimal

from core.model.judgement import Snapshot
from core.model.market import AssetClass


def position_drift(snapshot: Snapshot, asset_class: AssetClass) -> str:
    """Where books and broker differ by more than the allowed part of equity; empty when they agree on this class.

    Contracts come whole and without fees, and a written one is negative, so of options any difference counts.
    The broker is right; the books only say that something happened which they cannot explain (a trade by hand, a
    transfer, a lost fill), and until a person has looked no new risk is opened.
    """
    booked: dict[str, Decimal] = {}
    for trade in (trade for trade in snapshot.books.open_trades if trade.asset_class is asset_class):
        booked[trade.symbol] = booked.get(trade.symbol, Decimal(0)) + trade.position_quantity
    held = {position.symbol: position for position in snapshot.positions if position.asset_class is asset_class}
    allowed_usd = snapshot.limits.safety.max_position_drift_frac * snapshot.account.equity_usd
    for symbol in sorted({*booked, *held}):
        position = held.get(symbol)
        quantity = Decimal(0) if position is None else position.quantity
        difference = quantity - booked.get(symbol, Decimal(0))
        price = _price(snapshot, symbol)
        is_whole = asset_class is AssetClass.OPTION
        if difference and (is_whole or price is None or abs(difference) * price > allowed_usd):
            return f"{symbol}: the broker holds {quantity}, the books explain {booked.get(symbol, Decimal(0))}"
    return ""


def _price(snapshot: Snapshot, symbol: str) -> Decimal | None:
    position = snapshot.position(symbol)
    if position is not None:
        return position.price
    quote = snapshot.quotes.get(symbol)
    return None if quote is None else quote.mid
