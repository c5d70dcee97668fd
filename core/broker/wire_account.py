"""Alpaca's clock, calendar, account, positions and assets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field

from core.broker.reading import UtcTime, Wire, canonical, parsed
from core.errors import BadFacts
from core.model.market import Asset, AssetClass, Clock, TradingSession
from core.model.options import MULTIPLIER
from core.model.orders import Account, Position
from core.schedules import NEW_YORK
from core.units import CENT

WHOLE_SHARE = Decimal(1)
FRACTION_OF_A_SHARE = Decimal("0.000000001")
"""https://docs.alpaca.markets/docs/fractional-trading: up to nine decimals."""


class _Clock(Wire):
    timestamp: UtcTime
    is_open: bool = False
    next_open: UtcTime | None = None
    next_close: UtcTime | None = None


class _Day(Wire):
    date: date
    open: time
    close: time


class _Account(Wire):
    id: str = Field(min_length=1)
    status: str
    cash: Decimal
    equity: Decimal = Field(gt=0)
    last_equity: Decimal = Field(ge=0)
    buying_power: Decimal
    non_marginable_buying_power: Decimal
    options_trading_level: int | None = None
    options_buying_power: Decimal | None = None
    trading_blocked: bool
    account_blocked: bool
    trade_suspended_by_user: bool
    shorting_enabled: Any = None
    user_configurations: Any = None


class _Position(Wire):
    symbol: str
    asset_class: AssetClass
    qty: Decimal
    qty_available: Decimal | None = None
    avg_entry_price: Decimal
    market_value: Decimal | None = None
    current_price: Decimal | None = Field(default=None, ge=0)
    lastday_price: Decimal | None = Field(default=None, ge=0)


class _Asset(Wire):
    symbol: str
    asset_class: AssetClass = Field(alias="class")
    status: str
    tradable: bool
    fractionable: bool = False
    min_order_size: Decimal | None = Field(default=None, gt=0)
    min_trade_increment: Decimal | None = Field(default=None, gt=0)
    price_increment: Decimal | None = Field(default=None, gt=0)


def clock(raw: Any) -> Clock:
    wire = parsed(_Clock, raw, "clock")
    return Clock(wire.timestamp, wire.is_open, wire.next_open, wire.next_close)


def session(raw: Any) -> TradingSession:
    """A day of `/v2/calendar`, whose `open` and `close` are the regular session's by New York's wall clock, early
    closes included."""
    wire = parsed(_Day, raw, "calendar day")
    opens_at, closes_at = (
        datetime.combine(wire.date, at, tzinfo=ZoneInfo(NEW_YORK)).astimezone(UTC) for at in (wire.open, wire.close)
    )
    if closes_at <= opens_at:
        raise BadFacts(f"Alpaca's session of {wire.date} closes at {wire.close}, not after its open {wire.open}")
    return TradingSession(wire.date, opens_at, closes_at)


def account(raw: Any) -> Account:
    """The account; one that is told no options level or no options buying power has none.

    It may sell short unless Alpaca says that it may not, of itself or because its user set `no_shorting`; nothing that
    is said of this may cost an exit the account. https://docs.alpaca.markets/reference/patchaccountconfig-1
    """
    wire = parsed(_Account, raw, "account")
    blocks = [name for name in ("trading_blocked", "account_blocked", "trade_suspended_by_user") if getattr(wire, name)]
    if wire.status != "ACTIVE":
        blocks.append(f"status is {wire.status}")
    chosen = wire.user_configurations if isinstance(wire.user_configurations, Mapping) else {}
    return Account(
        account_id=wire.id,
        cash_usd=wire.cash,
        equity_usd=wire.equity,
        last_equity_usd=wire.last_equity,
        non_marginable_buying_power_usd=wire.non_marginable_buying_power,
        buying_power_usd=wire.buying_power,
        is_trading_allowed=not blocks,
        restriction=f"the broker restricts the account: {', '.join(blocks)}" if blocks else "",
        options_level=wire.options_trading_level or 0,
        options_buying_power_usd=wire.options_buying_power or Decimal(0),
        is_shorting_allowed=wire.shorting_enabled is not False and chosen.get("no_shorting") is not True,
    )


def position(raw: Any) -> Position:
    """A position. What Alpaca may leave empty must cost none its exit: without a price now it is worth the last day's,
    and what is not said to be held for orders is free, since the broker refuses a sale that is not."""
    wire = parsed(_Position, raw, "position")
    price = wire.lastday_price if wire.current_price is None else wire.current_price
    if price is None:
        raise BadFacts(f"Alpaca's position {wire.symbol} has neither current_price nor lastday_price")
    worth = wire.qty * price * (MULTIPLIER if wire.asset_class is AssetClass.OPTION else 1)
    return Position(
        symbol=canonical(wire.symbol, wire.asset_class),
        asset_class=wire.asset_class,
        quantity=wire.qty,
        available_quantity=wire.qty if wire.qty_available is None else wire.qty_available,
        average_entry_price=wire.avg_entry_price,
        market_value_usd=worth if wire.market_value is None else wire.market_value,
        price=price,
    )


def asset(raw: Any) -> Asset:
    """An asset with its steps: crypto tells them; a stock trades in whole shares or fractions, at whole cents."""
    wire = parsed(_Asset, raw, "asset")
    if wire.asset_class is AssetClass.STOCK:
        step = FRACTION_OF_A_SHARE if wire.fractionable else WHOLE_SHARE
        smallest, price_step = step, CENT
    elif wire.min_order_size is None or wire.min_trade_increment is None or wire.price_increment is None:
        raise BadFacts(f"Alpaca's asset {wire.symbol} has no min_order_size, min_trade_increment or price_increment")
    else:
        smallest, step, price_step = wire.min_order_size, wire.min_trade_increment, wire.price_increment
    return Asset(
        symbol=canonical(wire.symbol, wire.asset_class),
        asset_class=wire.asset_class,
        tradable=wire.tradable and wire.status == "active",
        min_order_quantity=smallest,
        quantity_increment=step,
        price_increment=price_step,
    )
