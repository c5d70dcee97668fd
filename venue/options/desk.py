"""Option commands of the exchange: orders, the clock's stops at recordings and expiries, and exercise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from venue.options import life
from venue.options.account import checked, positions, requirements, secured_usd
from venue.options.chains import MULTIPLIER, US_OPTION, parse_contract
from venue.options.fills import trades_on_recordings, try_fill
from venue.options.margin import Holding
from venue.options.orders import OptionRequest, read_option_order
from venue.orders import ZERO, Order, OrderClass, OrderType, PositionIntent, Side, Status, TimeInForce, venue_id
from venue.rules import OrderRequest, forbidden, invalid, unprocessable
from venue.wire import from_us, to_us

if TYPE_CHECKING:
    from venue.exchange import Exchange


def submit(exchange: Exchange, payload: Mapping[str, Any], fill_cap_frac: Decimal | None) -> Order:
    """Accepts an option order and fills what a standing quote fills at once; or raises Alpaca's refusal."""
    request = read_option_order(payload)
    if request.client_order_id in exchange.client_order_ids:
        raise invalid("client_order_id must be unique")
    request, reserve_usd = checked(exchange, request)
    placed = [exchange.keep(order) for order in _orders(exchange, request, reserve_usd, fill_cap_frac)]
    return try_fill(exchange, placed[0])


def replace_order(exchange: Exchange, old: Order, payload: Mapping[str, Any]) -> Order:
    """A new order in place of an open one, or a refusal that leaves the old one working."""
    if not old.is_open:
        raise unprocessable(f'order is not open: it is already in "{old.status}" state')
    if old.parent_id is not None:
        raise unprocessable("a leg cannot be replaced; replace its order")
    legs = exchange.legs(old)
    assert old.qty is not None
    body: dict[str, Any] = {
        "type": old.order_type,
        "time_in_force": payload.get("time_in_force") or old.time_in_force,
        "qty": payload.get("qty") or old.qty - old.filled_qty,
        "limit_price": payload.get("limit_price") if payload.get("limit_price") is not None else old.limit_price,
        "client_order_id": payload.get("client_order_id"),
        "order_class": old.order_class,
    }
    if legs:
        body["legs"] = [
            {"symbol": leg.symbol, "ratio_qty": leg.ratio_qty, "position_intent": leg.position_intent} for leg in legs
        ]
    else:
        body |= {"symbol": old.symbol, "side": old.side, "position_intent": old.position_intent}
    request = read_option_order(body)
    if request.client_order_id in exchange.client_order_ids:
        raise invalid("client_order_id must be unique")
    request, reserve_usd = checked(exchange, request, without=old.order_id)
    new, *new_legs = _orders(exchange, request, reserve_usd, old.fill_cap_frac, instead_of=old)
    for order in (old, *legs):
        exchange.keep(
            replace(
                order,
                status=Status.REPLACED,
                replaced_at=exchange.now,
                updated_at=exchange.now,
                replaced_by=new.order_id if order is old else None,
            )
        )
    for order in (new, *new_legs):
        exchange.keep(order)
    return try_fill(exchange, new)


def is_option(order: Order) -> bool:
    """Whether this is an option order or a leg of one."""
    return order.asset_class == US_OPTION


def check_shares(exchange: Exchange, request: OrderRequest) -> None:
    """Refuses what needs bars where none are recorded."""
    series = exchange.series(request.symbol)
    is_plain = request.order_class is OrderClass.SIMPLE and request.order_type in (OrderType.MARKET, OrderType.LIMIT)
    if series.is_close_only and not (is_plain and request.time_in_force in (TimeInForce.DAY, TimeInForce.GTC)):
        raise unprocessable(
            f"no bars of {request.symbol} are recorded, only spots: use a simple market or limit order, day or gtc"
        )


def after_acceptance(exchange: Exchange, order: Order) -> Order:
    """Fills an order in shares at once where a recorded spot stands and no bars will."""
    return try_fill(exchange, order) if trades_on_recordings(exchange, order) else order


def next_stop_us(exchange: Exchange, until_us: int) -> int | None:
    """The next moment in (now, until] at which a chain may fill orders, or a position is swept or ends."""
    if not exchange.recording.chains:
        return None
    moments = life.moments_us(exchange)
    symbols = {_underlying(exchange, order) for order in exchange.open_orders.values()}
    for symbol in symbols:
        moments |= set(exchange.recording.chains.moments_us.get(symbol, ()))
    return min((moment for moment in moments if exchange.now_us < moment <= until_us), default=None)


def _underlying(exchange: Exchange, order: Order) -> str:
    if order.asset_class == US_OPTION:
        first = next(iter(exchange.legs(order)), order)
        contract = parse_contract(first.symbol)
        return contract.underlying if contract else ""
    return order.symbol if trades_on_recordings(exchange, order) else ""


def at_stop(exchange: Exchange) -> None:
    """What recordings and expiries do at this moment: fills first, then the ends of positions."""
    for order in list(exchange.open_orders.values()):
        current = exchange.orders[order.order_id]
        if trades_on_recordings(exchange, current):
            try_fill(exchange, current)
    life.run(exchange)


def exercise(exchange: Exchange, name: str) -> None:
    """Exercises every contract held of this symbol now, or raises Alpaca's refusal."""
    contract = parse_contract(name)
    if contract is None:
        raise unprocessable("invalid symbol")
    held = next((one for one in positions(exchange) if one.contract == contract), None)
    if held is None:
        raise forbidden("no available position for the specified contract")
    if held.qty < ZERO:
        raise forbidden("cannot exercise a short position")
    if not exchange.sessions.is_open(exchange.now_us) and exchange.now_us >= _last_close_today_us(exchange):
        raise forbidden("exercise requests between market close and midnight are rejected")
    _check_exercise(exchange, held)
    for order in [one for one in exchange.open_orders.values() if one.symbol == contract.symbol]:
        exchange.close_order(order, Status.CANCELED, exchange.now, "the position was exercised")
    life.exercise(exchange, held)


def _last_close_today_us(exchange: Exchange) -> int:
    """The close of the New York day that is running; never when it has no session."""
    from venue.calendar import new_york_date

    index = exchange.sessions.index_of(new_york_date(exchange.now_us))
    return int(np.iinfo(np.int64).max if index is None else exchange.sessions.closes_us[index])


def _check_exercise(exchange: Exchange, held: Holding) -> None:
    contract = held.contract
    amount_usd = held.qty * MULTIPLIER * contract.strike
    if contract.is_call:
        if amount_usd > exchange.buying_power_usd():
            raise forbidden("insufficient buying power to exercise", cost_basis=str(amount_usd))
    else:
        wanted = held.qty * MULTIPLIER
        pledged = requirements(exchange).get(contract.underlying)
        free = exchange.books.held_qty(contract.underlying) - exchange.held_for_orders(contract.underlying)
        if wanted > free - (pledged.pledged_shares if pledged else ZERO):
            raise forbidden("insufficient underlying qty to exercise", required_qty=str(wanted))
    gone = [Holding(contract, -held.qty)]
    after = requirements(exchange, extra=gone).get(contract.underlying)
    before = requirements(exchange).get(contract.underlying)
    if after is not None and before is not None and after.uncovered_calls > before.uncovered_calls:
        raise forbidden("account not eligible to trade uncovered option contracts")
    paid_usd = amount_usd if contract.is_call else -amount_usd
    if exchange.books.cash_usd - paid_usd < secured_usd(exchange, gone):
        raise forbidden("insufficient buying power: the contract covers a short position")


def _orders(
    exchange: Exchange,
    request: OptionRequest,
    reserve_usd: Decimal,
    fill_cap_frac: Decimal | None,
    instead_of: Order | None = None,
) -> list[Order]:
    """The order, and for a multi-leg order its legs after it. Only the order itself reserves buying power."""
    is_mleg = request.order_class is OrderClass.MLEG
    first = len(exchange.orders) + 1
    is_open = exchange.sessions.is_open(exchange.now_us)
    lead = request.legs[0]
    parent = Order(
        sequence=first,
        order_id=venue_id(f"order {first}"),
        client_order_id=request.client_order_id or venue_id(f"client order {first}"),
        symbol="" if is_mleg else lead.contract.symbol,
        asset_class=US_OPTION,
        side=Side.BUY if is_mleg else lead.side,
        order_type=request.order_type,
        time_in_force=TimeInForce.DAY,
        qty=request.qty,
        notional=None,
        limit_price=request.limit_price,
        stop_price=None,
        extended_hours=False,
        reserve_price=reserve_usd,
        status=Status.NEW if is_open else Status.ACCEPTED,
        submitted_at=exchange.now,
        updated_at=exchange.now,
        works_from=None,
        order_class=request.order_class,
        group_id=venue_id(f"group {first}") if is_mleg else None,
        position_intent=None if is_mleg else lead.intent,
        expires_at=from_us(exchange.sessions.next_close_us(to_us(exchange.now))),
        replaces=instead_of.order_id if instead_of else None,
        fill_cap_frac=fill_cap_frac,
    )
    if not is_mleg:
        return [parent]
    legs = [
        replace(
            parent,
            sequence=first + number,
            order_id=venue_id(f"order {first + number}"),
            client_order_id=venue_id(f"client order {first + number}"),
            symbol=leg.contract.symbol,
            side=leg.side,
            qty=request.qty * leg.ratio,
            limit_price=None,
            reserve_price=ZERO,
            parent_id=parent.order_id,
            position_intent=PositionIntent(leg.intent) if leg.intent else None,
            ratio_qty=leg.ratio,
            replaces=None,
        )
        for number, leg in enumerate(request.legs, start=1)
    ]
    return [parent, *legs]
