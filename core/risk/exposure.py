"""What is already held, ordered and reserved, so that a batch can never spend the same dollar twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from core.model.market import AssetClass
from core.model.orders import Account, Order, OrderIntent, Position, Side

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Exposure:
    """Dollars at work: `by_symbol`, `by_class` hold positions plus open and planned buys; `spendable_usd` is cash left.

    The broker's buying power is already net of its open orders; `reserved_usd` is what this batch adds.
    """

    by_symbol: dict[str, Decimal]
    by_class: dict[AssetClass, Decimal]
    positions_and_buys: frozenset[str]
    spendable_usd: Decimal
    reserved_usd: Decimal

    @property
    def gross_usd(self) -> Decimal:
        return sum(self.by_symbol.values(), ZERO)

    def with_reserved(self, symbol: str, asset_class: AssetClass, amount_usd: Decimal) -> Exposure:
        """The exposure once a planned buy is counted as if it had filled."""
        return replace(
            self,
            by_symbol={**self.by_symbol, symbol: self.by_symbol.get(symbol, ZERO) + amount_usd},
            by_class={**self.by_class, asset_class: self.by_class.get(asset_class, ZERO) + amount_usd},
            positions_and_buys=self.positions_and_buys | {symbol},
            reserved_usd=self.reserved_usd + amount_usd,
        )


def exposure(account: Account, positions: Iterable[Position], orders: Iterable[Order]) -> Exposure:
    """The account's exposure now. Open buys count in full at their limit.

    A market buy has no limit price and counts nothing here: while one is open (`has_unpriced_buy`) the caller refuses
    every entry. Our own entries always carry a limit.
    """
    result = Exposure({}, {}, frozenset(), account.non_marginable_buying_power_usd, ZERO)
    for position in positions:
        result = result.with_reserved(position.symbol, position.asset_class, abs(position.market_value_usd))
    for order in orders:
        if order.is_open and order.side is Side.BUY and order.limit_price is not None and order.quantity is not None:
            open_quantity = order.quantity - order.filled_quantity
            result = result.with_reserved(order.symbol, order.asset_class, open_quantity * order.limit_price)
    return replace(result, reserved_usd=ZERO)


def has_unpriced_buy(orders: Iterable[Order]) -> bool:
    """Whether an open buy exists whose cost cannot be known in advance."""
    return any(
        order.is_open and order.side is Side.BUY and (order.limit_price is None or order.quantity is None)
        for order in orders
    )


def reserve(current: Exposure, intent: OrderIntent) -> Exposure:
    """The exposure after this intent, if it opens risk."""
    if not intent.purpose.opens_risk:
        return current
    return current.with_reserved(intent.symbol, intent.asset_class, intent.notional_usd)
