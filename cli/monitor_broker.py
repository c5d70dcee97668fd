"""What the broker holds and has been asked, for the monitor: each position with the exit that protects it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from rich.console import RenderableType
from rich.text import Text

from cli.broker_now import BrokerNow
from cli.open_trades import price
from cli.standing import Standing
from cli.tables import PlainTable
from cli.words import moment, money
from core.cycle.claim import HEARTBEAT_PATH, LEASE_PATH, Stored
from core.model.judgement import Mode
from core.model.market import AssetClass
from core.model.orders import Order, Position
from core.modules import CLASSES
from core.ports import Store
from core.risk.coverage import exit_coverage, live_orders
from core.units import text


def broker_told(now: BrokerNow | str, standing: Standing, store: Store) -> Iterator[RenderableType]:
    """The account, positions and open orders as the broker has them, or why they are not here."""
    if isinstance(now, str):
        yield Text(f"The broker was not asked or did not answer: {now}", style="dim")
        return
    account, session = now.account, "open" if now.clock.is_open else "closed"
    yield Text(
        f"Broker at {moment(now.clock.at)}: equity {money(account.equity_usd)}, cash {money(account.cash_usd)}, "
        f"New York {session}, positions: {len(now.positions) or 'none'}, open orders: {len(now.orders) or 'none'}"
    )
    yield from (Text(f"ALARM: held and not to be read: {name}", style="bold") for name in now.unread)
    lease, beat = store.read([LEASE_PATH, HEARTBEAT_PATH])
    watched = Stored(None, lease, None, None, None, beat).watched(now.clock.at)
    if now.positions:
        rows = [_position(each, now, standing, watched) for each in now.positions]
        named = ("position", "quantity", "worth", "price", "the exit that protects it")
        yield PlainTable(named, rows, numbers=(False, True, True, True, False))
    if now.orders:
        columns = ("order", "symbol", "side", "quantity", "filled", "price", "status")
        open_orders = [_order(order) for order in live_orders(now.orders)]
        yield PlainTable(columns, open_orders, numbers=(False, False, False, True, True, True, False))


def _position(
    held: Position, now: BrokerNow, standing: Standing, watched: Mapping[str, datetime]
) -> tuple[str, str, str, str, str]:
    exit_ = protection(held, now, standing, watched)
    return held.symbol, text(held.quantity), money(held.market_value_usd), price(held.price), exit_


def protection(held: Position, now: BrokerNow, standing: Standing, watched: Mapping[str, datetime]) -> str:
    """What would close the position, in words; first of all that nothing would, where that is so."""
    module = next(name for name, kind in CLASSES.items() if kind is held.asset_class)
    (cover,) = exit_coverage([held], now.orders, watched_at=watched.get(module), as_of=now.clock.at)
    stops = [price(each.stop_price) for each in standing.open_trades if each.symbol == held.symbol and each.stop_price]
    planned = f"; stop in the books: {', '.join(stops)}" if stops else ""
    if standing.mode.mode is Mode.HALTED and cover.resting_quantity < cover.quantity:
        left = cover.quantity - cover.resting_quantity
        return f"NO LIVE EXIT for {text(left)}: mode is {standing.mode.mode}, no exit is sent{planned}"
    if cover.gap > 0 and held.asset_class is not AssetClass.CRYPTO and not now.clock.is_open:
        return f"its market is closed; {cover.reason}{planned}"
    return f"{f'NO LIVE EXIT for {text(cover.gap)}: ' if cover.gap > 0 else ''}{cover.reason}{planned}"


def _order(order: Order) -> tuple[str, ...]:
    asked = order.limit_price if order.limit_price is not None else order.stop_price
    kind = "unknown" if order.order_type is None else order.order_type.replace("_", " ")
    return (
        f"{order.client_order_id or order.order_id} ({kind})",
        order.symbol,
        order.side.value,
        "by dollars" if order.quantity is None else text(order.quantity),
        text(order.filled_quantity),
        price(asked),
        order.status.replace("_", " "),
    )
