"""From a well-formed request to the order that the venue keeps: new, or in the place of another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from venue import advanced, groups, matching, means, rules, times
from venue.means import Means
from venue.options import account as option_account
from venue.orders import ZERO, GroupRole, Order, OrderType, PositionIntent, Status, venue_id
from venue.quotes import Price
from venue.rules import OrderRequest
from venue.series import CRYPTO
from venue.wire import plain

if TYPE_CHECKING:
    from venue.exchange import Exchange


OF_A_SHORT_POSITION = (PositionIntent.SELL_TO_OPEN, PositionIntent.BUY_TO_CLOSE)
"""What an order in shares is marked with; one that opens or closes a long position needs no mark."""


def accepted(
    exchange: Exchange, request: OrderRequest, fill_cap_frac: Decimal | None, instead_of: Order | None = None
) -> Order:
    """The order this request becomes, or the account's refusal; nothing is kept yet."""
    sequence = len(exchange.orders) + 1
    client_order_id = request.client_order_id or venue_id(f"client order {sequence}")
    if client_order_id in exchange.client_order_ids:
        raise rules.invalid("client_order_id must be unique")
    last = exchange.last_price(request.symbol)
    trail = _trail(request, instead_of, last)
    old_id = instead_of.order_id if instead_of else None
    group_id = instead_of.group_id if instead_of else None
    held = exchange.books.held_qty(request.symbol)
    account = Means(
        exchange.is_suspended,
        exchange.buying_power_usd(without=old_id),
        held - option_account.pledged_shares(exchange, request.symbol),
        tuple(
            o
            for key, o in exchange.open_orders.items()
            if o.symbol == request.symbol and key != old_id and (group_id is None or o.group_id != group_id)
        ),
        may_sell_short=exchange.is_shorting_allowed and request.asset_class != CRYPTO and held <= ZERO,
        is_exit_leg=instead_of is not None and instead_of.group_role in (GroupRole.TAKE_PROFIT, GroupRole.STOP_LOSS),
    )
    intent = means.inferred_intent(request, account)
    stop_price = request.stop_price if trail is None else trail[1]
    reserve_price = means.check_means(
        replace(request, stop_price=stop_price), account, exchange.quote(request.symbol), last
    )
    waits = request.asset_class != CRYPTO and not exchange.sessions.is_open(exchange.now_us)
    order = Order(
        sequence=sequence,
        order_id=venue_id(f"order {sequence}"),
        client_order_id=client_order_id,
        symbol=request.symbol,
        asset_class=request.asset_class,
        side=request.side,
        order_type=request.order_type,
        time_in_force=request.time_in_force,
        qty=request.qty,
        notional=request.notional,
        limit_price=request.limit_price,
        stop_price=stop_price,
        extended_hours=request.extended_hours,
        reserve_price=reserve_price,
        status=Status.ACCEPTED if waits else Status.NEW,
        submitted_at=exchange.now,
        updated_at=exchange.now,
        works_from=exchange.now,
        order_class=request.order_class,
        position_intent=intent if intent in OF_A_SHORT_POSITION else None,
        trail_price=request.trail_price,
        trail_percent=request.trail_percent,
        hwm=None if trail is None else trail[0],
        expires_at=times.expires_at(request, exchange.recording, exchange.now),
        fill_cap_frac=fill_cap_frac,
    )
    if instead_of is None:
        return order
    return replace(
        order,
        replaces=old_id,
        is_triggered=instead_of.is_triggered,
        parent_id=instead_of.parent_id,
        group_id=group_id,
        group_role=instead_of.group_role,
        position_intent=instead_of.position_intent,
        status=Status.HELD if instead_of.status is Status.HELD else order.status,
        works_from=None if instead_of.works_from is None else exchange.now,
    )


def _trail(request: OrderRequest, instead_of: Order | None, last: Price | None) -> tuple[Decimal, Decimal] | None:
    """The high-water mark and the stop of a trailing order; a replacement keeps its mark."""
    if request.order_type is not OrderType.TRAILING_STOP:
        return None
    mark = instead_of.hwm if instead_of else last.value if last else None
    if mark is None:
        raise rules.unprocessable(f"no price is known for {request.symbol} yet; wait for its first bar")
    stop_price = matching.trailing_stop_price(request.side, mark, request.trail_price, request.trail_percent)
    if stop_price <= ZERO:
        raise rules.unprocessable(f"the trail leaves a stop price of {plain(stop_price)}; use a smaller trail")
    return mark, stop_price


def replacement(exchange: Exchange, old: Order, payload: Mapping[str, Any]) -> OrderRequest:
    """What the changes make of an open order, or the refusal of their form."""
    if not old.is_open:
        raise rules.unprocessable(f'order is not open: it is already in "{old.status}" state')
    if old.notional is not None or payload.get("notional") is not None:
        raise rules.unprocessable("a notional order cannot be replaced; cancel it and submit a new one")
    is_trailing = old.order_type is OrderType.TRAILING_STOP
    if payload.get("trail") is not None and not is_trailing:
        raise rules.unprocessable(f"trail belongs to trailing_stop orders; this is a {old.order_type} order")
    for name in ("qty", "time_in_force"):
        if old.group_id is not None and payload.get(name) is not None:
            raise rules.unprocessable(f"{name} of a {old.order_class} order cannot be replaced, only its prices")
    assert old.qty is not None
    merged: dict[str, Any] = {
        "side": old.side,
        "type": old.order_type,
        "time_in_force": payload.get("time_in_force") or old.time_in_force,
        "qty": old.qty - old.filled_qty,
        "limit_price": old.limit_price,
        "stop_price": None if is_trailing else old.stop_price,
        "trail_price": old.trail_price,
        "trail_percent": old.trail_percent,
        "extended_hours": old.extended_hours,
        "client_order_id": payload.get("client_order_id"),
    }
    for name in ("qty", "limit_price", "stop_price"):
        if payload.get(name) is not None:
            merged[name] = payload[name]
    if payload.get("trail") is not None:
        merged["trail_percent" if old.trail_price is None else "trail_price"] = payload["trail"]
    request = rules.read_order(merged, exchange.asset(old.symbol))
    times.check_auction(request, exchange.recording, exchange.now)
    return replace(request, order_class=old.order_class)


def check_replaced_leg(exchange: Exchange, new: Order) -> None:
    """A replaced take-profit or stop-loss stays on its side of the other."""
    roles = {member.group_role: member for member in groups.others(exchange, new) if member.order_id != new.replaces}
    roles[new.group_role] = new
    take_profit, stop_loss = roles.get(GroupRole.TAKE_PROFIT), roles.get(GroupRole.STOP_LOSS)
    if new.group_id is not None and take_profit is not None and stop_loss is not None:
        advanced.check_order_of_legs(take_profit.limit_price, stop_loss.stop_price)
