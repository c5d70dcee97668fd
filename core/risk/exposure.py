"""What is already held, ordered and reserved over all asset classes, so that no dollar is ever spent twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from core.model.judgement import Snapshot
from core.model.market import AssetClass
from core.model.options import MULTIPLIER, Right, contract, underlying_of
from core.model.orders import Account, Order, OrderClass, OrderIntent, Position, Side
from core.model.trades import OrderRecord, Trade
from core.model.universe import exposure_factor, sector

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Exposure:
    """Dollars at work in positions, open entries and this batch, by asset class and by the symbol whose caps they use.

    An option counts for its underlying, a leveraged fund times its leverage. `option_risk_usd` is what all options can
    lose together; `spendable_usd` what one class may still spend, before the cash floor.
    """

    amounts: Mapping[tuple[AssetClass, str], Decimal]
    option_risk_usd: Decimal
    spendable_usd: Decimal

    @property
    def gross_usd(self) -> Decimal:
        return sum(self.amounts.values(), ZERO)

    @property
    def names(self) -> frozenset[str]:
        """What counts as a position: the symbols and underlyings that are held or ordered."""
        return frozenset(name for _, name in self.amounts)

    def of_symbol(self, symbol: str) -> Decimal:
        return sum((usd for (_, name), usd in self.amounts.items() if name == symbol), ZERO)

    def of_sector(self, symbol: str) -> Decimal:
        """What is at work in this symbol's sector, the symbol included."""
        own = sector(symbol)
        return sum((usd for (_, name), usd in self.amounts.items() if sector(name) == own), ZERO)

    def in_class(self, asset_class: AssetClass) -> dict[str, Decimal]:
        """One class's dollars by symbol."""
        return {name: usd for (owner, name), usd in self.amounts.items() if owner is asset_class}

    def plus(self, asset_class: AssetClass, name: str, usd: Decimal, risk_usd: Decimal = ZERO) -> Exposure:
        """With these dollars at work as well; `risk_usd` is what an option can lose."""
        key = asset_class, name
        amounts = {**self.amounts, key: self.amounts.get(key, ZERO) + usd}
        return replace(self, amounts=amounts, option_risk_usd=self.option_risk_usd + risk_usd)


def exposure(snapshot: Snapshot, asset_class: AssetClass) -> Exposure:
    """The account's exposure now, with the cash that `asset_class` may spend.

    The broker's buying power is net of the orders it lists; an entry of ours that it does not list yet takes its cost
    as well. A foreign buy counts at its limit; one without a price has none (see `has_unpriced_order`).
    """
    used = Exposure({}, ZERO, _spendable_usd(snapshot.account, asset_class))
    for position in snapshot.positions:
        if position.asset_class is not AssetClass.OPTION:
            usd = abs(position.market_value_usd) * exposure_factor(position.symbol)
            used = used.plus(position.asset_class, position.symbol, usd)
    for name, (usd, risk_usd) in _held_options(snapshot.positions, snapshot.books.open_trades).items():
        used = used.plus(AssetClass.OPTION, name, usd, risk_usd)
    ours = _by_id(snapshot.books.unsettled)
    listed = {order.client_order_id for order in snapshot.orders}
    for order in (order for order in snapshot.orders if not order.status.is_terminal and order.quantity is not None):
        left = (order.quantity or ZERO) - order.filled_quantity
        record = ours.get(order.client_order_id)
        if record is not None:
            used = _counted(used, replace(record.intent, quantity=left))
        elif order.side is Side.BUY and order.limit_price is not None:
            used = _with_foreign_buy(used, order, left * order.limit_price)
    for name, record in ours.items():
        if name not in listed and not record.status.is_terminal:
            used = reserve(used, record.intent)
    return used


def reserve(used: Exposure, intent: OrderIntent) -> Exposure:
    """The exposure and the cash once this planned entry is counted as if it had filled; other orders take neither."""
    if not intent.purpose.opens_risk:
        return used
    return replace(_counted(used, intent), spendable_usd=used.spendable_usd - intent.notional_usd)


def has_unpriced_order(snapshot: Snapshot) -> bool:
    """Whether an order that is not ours is open and may open a risk that cannot be known in advance.

    Such are a buy without a limit or a quantity, options that are sold without being held, and multi-leg orders.
    """
    ours = _by_id(snapshot.books.unsettled)
    return any(
        not order.status.is_terminal and order.client_order_id not in ours and not _is_known(order, snapshot)
        for order in snapshot.orders
    )


def _counted(used: Exposure, intent: OrderIntent) -> Exposure:
    if not intent.purpose.opens_risk:
        return used
    if intent.asset_class is AssetClass.OPTION:
        risk_usd = ZERO if intent.max_loss_usd is None else intent.max_loss_usd * intent.quantity
        return used.plus(AssetClass.OPTION, intent.counts_as, max(intent.notional_usd, risk_usd), risk_usd)
    usd = intent.notional_usd * exposure_factor(intent.symbol)
    return used.plus(intent.asset_class, intent.symbol, usd)


def _with_foreign_buy(used: Exposure, order: Order, usd: Decimal) -> Exposure:
    name = underlying_of(order.symbol)
    if order.asset_class is AssetClass.OPTION:
        return used.plus(order.asset_class, name, usd * MULTIPLIER, usd * MULTIPLIER)
    return used.plus(order.asset_class, name, usd * exposure_factor(order.symbol))


def _is_known(order: Order, snapshot: Snapshot) -> bool:
    if order.asset_class is AssetClass.OPTION and order.order_class is OrderClass.MULTI_LEG:
        return False
    if order.side is Side.BUY:
        return order.limit_price is not None and order.quantity is not None
    held = snapshot.position(order.symbol)
    return order.asset_class is not AssetClass.OPTION or (held is not None and held.quantity > 0)


def _held_options(positions: Iterable[Position], trades: Iterable[Trade]) -> dict[str, tuple[Decimal, Decimal]]:
    """By underlying: what its options put to work, the larger of market value and worst loss, and that worst loss.

    The worst loss of a structure was computed before its entry and is in the books. A contract that they do not know
    can lose its value, a written put its whole strike.
    """
    trades = tuple(trade for trade in trades if trade.asset_class is AssetClass.OPTION)
    known = {trade.group_id for trade in trades if trade.max_loss_usd is not None}
    explained = {trade.symbol for trade in trades if trade.group_id in known}
    values: dict[str, Decimal] = {}
    risks: dict[str, Decimal] = {}
    for trade in trades:
        name = trade.underlying or underlying_of(trade.symbol)
        risks[name] = risks.get(name, ZERO) + (trade.max_loss_usd or ZERO)
    for position in (position for position in positions if position.asset_class is AssetClass.OPTION):
        name = underlying_of(position.symbol)
        values[name] = values.get(name, ZERO) + abs(position.market_value_usd)
        if position.symbol not in explained:
            risks[name] = risks.get(name, ZERO) + _worst_loss_usd(position)
    return {
        name: (max(values.get(name, ZERO), risks.get(name, ZERO)), risks.get(name, ZERO))
        for name in {**values, **risks}
    }


def _worst_loss_usd(position: Position) -> Decimal:
    """A written call is covered, as the broker lets nobody write another; its shares or its long leg carry the risk."""
    value_usd = abs(position.market_value_usd)
    if position.quantity > 0 or underlying_of(position.symbol) == position.symbol:
        return value_usd
    written = contract(position.symbol)
    return max(value_usd, -position.quantity * written.strike * MULTIPLIER) if written.right is Right.PUT else value_usd


def _spendable_usd(account: Account, asset_class: AssetClass) -> Decimal:
    """Cash without margin; for stocks and options no more than the broker's own figure for the class allows."""
    powers = {
        AssetClass.CRYPTO: account.non_marginable_buying_power_usd,
        AssetClass.STOCK: account.buying_power_usd,
        AssetClass.OPTION: account.options_buying_power_usd,
    }
    return min(account.non_marginable_buying_power_usd, powers[asset_class])


def _by_id(records: Iterable[OrderRecord]) -> dict[str, OrderRecord]:
    return {record.client_order_id: record for record in records}
