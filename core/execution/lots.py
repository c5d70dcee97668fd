"""Lots: what a fill, an option's end or a delivery of shares does to the trades in the books, first in, first out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, time
from decimal import Decimal

from core.execution.fees import accrued_fee
from core.model.limits import Costs
from core.model.market import AssetClass
from core.model.options import underlying_of
from core.model.orders import Delivery, Fill, Leg, OptionEvent, OrderClass, OrderIntent, OrderType, Purpose, Side
from core.model.trades import ZERO, BookedFill, LegRecord, OrderRecord, Trade

MAX_FEE_SLACK_FRAC = Decimal("0.01")

ENDS_AT = time(21)
"""Options end with a New York session, at 20:00 or 21:00 UTC; their activities name the day only."""

OVERSOLD = "oversold"
"""The strategy of a trade that a sale of ours opened by selling more shares than the books held."""


def opens_lots(record: OrderRecord, fill: Fill) -> bool:
    """Whether the fill opens lots: of a contract as it was meant, else of an entry, not of its target or stop."""
    contract = _contract(record.intent, fill.symbol)
    if contract is not None:
        return contract.position_intent.opens
    return record.intent.purpose.opens_risk and resting_leg(record, fill) is None


def resting_leg(record: OrderRecord, fill: Fill) -> LegRecord | None:
    return next((leg for leg in record.legs if leg.order_id == fill.order_id), None)


def cash_change(record: OrderRecord, fill: Fill, costs: Costs) -> Decimal:
    """Dollars that the fill moved, with the accrued fee of a crypto sale."""
    gross = fill.quantity * fill.price * record.intent.multiplier
    return -gross if fill.side is Side.BUY else gross - _accrued(record, fill, costs)[1]


def open_lot(trades: dict[str, Trade], record: OrderRecord, fill: Fill, costs: Costs) -> str:
    """Add the fill to its order's trade, opening it with the first one; a multi-leg order has a trade a contract."""
    intent, booked = record.intent, _booked(record, fill, costs)
    is_structure = intent.order_class is OrderClass.MULTI_LEG
    trade_id = f"{record.client_order_id}-{fill.symbol}" if is_structure else record.client_order_id
    existing = trades.get(trade_id)
    if existing is None:
        opened = Trade(
            trade_id=trade_id,
            symbol=fill.symbol,
            asset_class=intent.asset_class,
            strategy=intent.strategy,
            opened_at=fill.at,
            entries=(booked,),
            exits=(),
            stop_price=intent.stop_price,
            target_price=intent.target_price,
            exit_reason="",
            features=intent.features,
            cycle_id=record.cycle_id,
            side=fill.side,
            multiplier=intent.multiplier,
            structure_id=record.client_order_id if intent.legs else "",
            underlying=intent.symbol if is_structure else intent.underlying,
        )
    else:
        opened = replace(existing, entries=(*existing.entries, booked))
    trades[trade_id] = replace(opened, max_loss_usd=_max_loss_usd(intent, opened))
    return trade_id


def close_lots_by_fill(
    trades: dict[str, Trade], record: OrderRecord, fill: Fill, costs: Costs
) -> tuple[set[str], Decimal]:
    """Close the lots on the other side of the fill; returns the trades touched and the quantity that no lot explains.

    The broker may have taken a smaller coin fee than was accrued, and then sells a little more than the lots hold: the
    last lot takes that too, and comes out at zero once the fee is posted.
    """
    closing, lots = _booked(record, fill, costs), open_lots(trades.values(), fill.symbol, against=fill.side)
    touched, left = _close(trades, lots, closing, _exit_reason(record, fill))
    is_slack = record.intent.asset_class is AssetClass.CRYPTO and 0 < left <= MAX_FEE_SLACK_FRAC * fill.quantity
    if touched and is_slack:
        last = trades[touched[-1]]
        exit_, fee_usd = last.exits[-1], closing.fee_usd * left / fill.quantity
        more = replace(exit_, quantity=exit_.quantity + left, fee_usd=exit_.fee_usd + fee_usd)
        trades[last.trade_id] = replace(last, exits=(*last.exits[:-1], more))
        left = ZERO
    return set(touched), left


def close_lots_by_event(trades: dict[str, Trade], event: OptionEvent) -> tuple[set[str], Decimal]:
    """Close the contracts that ended, for nothing: what an exercise brings is in the shares delivered at the strike."""
    closing = BookedFill(event.event_id, "", event.quantity, ZERO, ended_at(event), ZERO, ZERO, True)
    reason = f"{event.kind.name.lower()}: {event.symbol} ended on {event.day}"
    touched, left = _close(trades, open_lots(trades.values(), event.symbol), closing, reason)
    return set(touched), left


def book_delivery(trades: dict[str, Trade], delivery: Delivery) -> set[str]:
    """Shares at the strike: they close lots on the other side first, and the rest opens a trade of its own."""
    verb = "bought" if delivery.side is Side.BUY else "sold"
    reason = f"delivered: {verb} at the strike {delivery.price} by an option on {delivery.day}"
    moved = Fill(
        delivery.delivery_id, "", delivery.symbol, delivery.side, delivery.quantity, delivery.price, ended_at(delivery)
    )
    touched, left = _close(trades, open_lots(trades.values(), moved.symbol, against=moved.side), _free(moved), reason)
    return {*touched, *open_shares(trades, replace(moved, quantity=left))}


def book_brokers_trade(trades: dict[str, Trade], fill: Fill) -> tuple[set[str], Decimal]:
    """What the broker traded by itself as an option ended; returns the trades touched and the contracts that no lot
    explains. Shares that close no lot open a trade, as those do that are delivered."""
    verb = "bought" if fill.side is Side.BUY else "sold"
    reason = f"broker: {verb} at {fill.price}, since the account could not settle an option"
    touched, left = _close(trades, open_lots(trades.values(), fill.symbol, against=fill.side), _free(fill), reason)
    if underlying_of(fill.symbol) != fill.symbol:
        return set(touched), left
    return {*touched, *open_shares(trades, replace(fill, quantity=left))}, ZERO


def open_shares(trades: dict[str, Trade], fill: Fill, strategy: str = "delivered") -> set[str]:
    """A trade of shares that no entry of ours opened, owed where they were sold; none of zero shares."""
    if fill.quantity == 0:
        return set()
    trade_id = f"{fill.symbol}-{strategy}-{fill.fill_id}"
    trades[trade_id] = found_trade(trade_id, fill.symbol, AssetClass.STOCK, strategy, _free(fill), fill.side)
    return {trade_id}


def found_trade(
    trade_id: str, symbol: str, asset_class: AssetClass, strategy: str, entry: BookedFill, side: Side
) -> Trade:
    """A trade that no cycle of ours decided on, and so without stop, target and features."""
    return Trade(
        trade_id=trade_id,
        symbol=symbol,
        asset_class=asset_class,
        strategy=strategy,
        opened_at=entry.at,
        entries=(entry,),
        exits=(),
        stop_price=None,
        target_price=None,
        exit_reason="",
        features={},
        cycle_id="",
        side=side,
    )


def close_unowed_lot(trade: Trade, quantity: Decimal, as_of: datetime) -> Trade:
    """The trade with so much of it closed for nothing: the shares were not owed and had cost nothing, so what they
    brought is the result, as cash says too. Its own id says that no fill of the broker's stands behind it."""
    ended = BookedFill(trade.trade_id, "", quantity, ZERO, as_of, ZERO, ZERO, True)
    reason = "nothing is owed: the broker lists no such short position"
    return replace(trade, exits=(*trade.exits, ended), exit_reason=reason)


def _free(fill: Fill) -> BookedFill:
    """A fill that cost no fee and belongs to no order of ours."""
    return BookedFill(fill.fill_id, "", fill.quantity, fill.price, fill.at, ZERO, ZERO, True)


def open_lots(trades: Iterable[Trade], symbol: str, *, against: Side | None = None) -> list[Trade]:
    """The open trades of a symbol, oldest first; only those that the other side opened where a side is given."""
    lots = [trade for trade in trades if trade.symbol == symbol and trade.side is not against and trade.is_open]
    return sorted(lots, key=lambda trade: (trade.opened_at, trade.trade_id))


def ended_at(event: OptionEvent | Delivery) -> datetime:
    return datetime.combine(event.day, ENDS_AT, UTC)


def _close(
    trades: dict[str, Trade], lots: Iterable[Trade], closing: BookedFill, reason: str
) -> tuple[list[str], Decimal]:
    """Give each lot its share of the closing fill and of its fee; the trades touched, and what is left over."""
    left = closing.quantity
    touched = []
    for lot in lots:
        quantity = min(left, lot.open_quantity)
        if quantity <= 0:
            break
        part = quantity / closing.quantity
        share = replace(closing, quantity=quantity, fee_usd=closing.fee_usd * part)
        trades[lot.trade_id] = replace(lot, exits=(*lot.exits, share), exit_reason=reason)
        touched.append(lot.trade_id)
        left -= quantity
    return touched, left


def _booked(record: OrderRecord, fill: Fill, costs: Costs) -> BookedFill:
    """The fill with its accrued fee. Stocks and options cost none at the fill, so there is nothing to wait for."""
    coins, dollars = _accrued(record, fill, costs)
    is_posted = record.intent.asset_class is not AssetClass.CRYPTO
    return BookedFill(
        fill.fill_id, record.client_order_id, fill.quantity, fill.price, fill.at, coins, dollars, is_posted
    )


def _accrued(record: OrderRecord, fill: Fill, costs: Costs) -> tuple[Decimal, Decimal]:
    return accrued_fee(fill, costs) if record.intent.asset_class is AssetClass.CRYPTO else (ZERO, ZERO)


def _exit_reason(record: OrderRecord, fill: Fill) -> str:
    """The order's reason; for protection that rested at the broker, which of its orders was met."""
    intent, leg = record.intent, resting_leg(record, fill)
    if intent.legs or (leg is None and intent.purpose is not Purpose.PROTECT):
        return intent.reason
    if leg is not None:
        kind = leg.order_type
    else:
        # The order that carries an OCO is its target.
        kind = OrderType.LIMIT if intent.order_class is OrderClass.OCO else intent.order_type
    name = {OrderType.STOP: "stop", OrderType.STOP_LIMIT: "stop", OrderType.LIMIT: "target"}.get(
        kind or OrderType.MARKET, "protection"
    )
    return f"{name}: resting order at the broker"


def _max_loss_usd(intent: OrderIntent, trade: Trade) -> Decimal | None:
    if intent.max_loss_usd is None:
        return None
    contract = _contract(intent, trade.symbol)
    units = trade.acquired_quantity / (1 if contract is None else contract.ratio)
    return intent.max_loss_usd * units / max(1, len(intent.legs))


def _contract(intent: OrderIntent, symbol: str) -> Leg | None:
    return next((leg for leg in intent.legs if leg.symbol == symbol), None)
