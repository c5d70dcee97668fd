"""The venue's facts as Alpaca's JSON objects: account, order, position, asset."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from venue.exchange import Exchange
from venue.options import account as option_account
from venue.orders import ZERO, Order, venue_id
from venue.series import CRYPTO
from venue.wire import cents, cents_down, from_us, plain, plain_or_none, rfc3339

ACCOUNT_ID = venue_id("account")


def account(exchange: Exchange) -> dict[str, Any]:
    """A cash account: multiplier 1, nothing borrowed, no shares short unless they may be."""
    equity = exchange.equity_usd()
    buying_power = cents_down(exchange.buying_power_usd())
    marked_at = exchange.last_mark_us()
    short_usd = option_account.short_market_value_usd(exchange) - exchange.short_shares_usd()
    return {
        "id": ACCOUNT_ID,
        "account_number": "PAVENUE00001",
        "status": "ACTIVE",
        "crypto_status": "ACTIVE",
        "currency": "USD",
        "buying_power": buying_power,
        "regt_buying_power": buying_power,
        "non_marginable_buying_power": buying_power,
        "options_buying_power": buying_power,
        "options_approved_level": exchange.option_level,
        "options_trading_level": exchange.option_level,
        "cash": cents(exchange.books.cash_usd),
        "portfolio_value": cents(equity),
        "equity": cents(equity),
        "last_equity": cents(exchange.equity_usd(marked_at)),
        "balance_asof": f"{from_us(marked_at):%Y-%m-%d}",
        "long_market_value": cents(equity - exchange.books.cash_usd - short_usd),
        "short_market_value": cents(short_usd),
        "position_market_value": cents(equity - exchange.books.cash_usd),
        "initial_margin": "0",
        "maintenance_margin": "0",
        "last_maintenance_margin": "0",
        "sma": "0",
        "multiplier": "1",
        "accrued_fees": "0",
        "pending_transfer_in": "0",
        "pending_transfer_out": "0",
        "pending_reg_taf_fees": "0",
        "intraday_adjustments": "0",
        "shorting_enabled": exchange.is_shorting_allowed,
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": exchange.is_suspended,
        "created_at": rfc3339(exchange.started_at),
    }


def configurations(exchange: Exchange) -> dict[str, Any]:
    """The account's switches; suspend_trade can be changed here, and no_shorting be set."""
    return {
        "fractional_trading": True,
        "max_margin_multiplier": "1",
        "no_shorting": not exchange.is_shorting_allowed,
        "suspend_trade": exchange.is_suspended,
        "trade_confirm_email": "none",
        "ptp_no_exception_entry": False,
        "max_options_trading_level": exchange.option_level,
        "disable_overnight_trading": True,
    }


def nested(exchange: Exchange, placed: Order) -> dict[str, Any]:
    """An order with its legs under it."""
    return order(placed, exchange.legs(placed))


def order(placed: Order, legs: Sequence[Order] = ()) -> dict[str, Any]:
    """An order; only crypto's IOC has no expires_at, and only a group's orders say which group."""
    body = {
        "id": placed.order_id,
        "client_order_id": placed.client_order_id,
        "created_at": rfc3339(placed.submitted_at),
        "updated_at": rfc3339(placed.updated_at),
        "submitted_at": rfc3339(placed.submitted_at),
        "filled_at": rfc3339(placed.filled_at),
        "expired_at": rfc3339(placed.expired_at),
        "canceled_at": rfc3339(placed.canceled_at),
        "failed_at": None,
        "replaced_at": rfc3339(placed.replaced_at),
        "replaced_by": placed.replaced_by,
        "replaces": placed.replaces,
        "asset_id": venue_id(f"asset {placed.symbol}") if placed.symbol else None,
        "symbol": placed.symbol or None,
        "asset_class": placed.asset_class if placed.symbol else None,
        "notional": plain_or_none(placed.notional),
        "qty": plain_or_none(placed.qty),
        "filled_qty": plain(placed.filled_qty),
        "filled_avg_price": _average_price(placed),
        "order_class": placed.order_class,
        "order_type": placed.order_type,
        "type": placed.order_type,
        "side": placed.side if placed.symbol else None,
        "position_intent": placed.position_intent or ("buy_to_open" if placed.is_buy else "sell_to_close"),
        "time_in_force": placed.time_in_force,
        "limit_price": plain_or_none(placed.limit_price),
        "stop_price": plain_or_none(placed.stop_price),
        "status": placed.status,
        "extended_hours": placed.extended_hours,
        "legs": [order(leg) for leg in legs] or None,
        "trail_percent": plain_or_none(placed.trail_percent),
        "trail_price": plain_or_none(placed.trail_price),
        "hwm": plain_or_none(placed.hwm),
    }
    if placed.group_role is not None:
        body |= {"group_id": placed.group_id, "group_role": placed.group_role}
    if placed.ratio_qty is not None:
        body["ratio_qty"] = plain(placed.ratio_qty)
    if not placed.symbol:  # Alpaca leaves these out of a multi-leg order and gives them with its legs
        body["position_intent"] = None
    if placed.expires_at is not None:
        body["expires_at"] = rfc3339(placed.expires_at)
    return body


def _average_price(placed: Order) -> str | None:
    average = placed.filled_avg_price
    return None if average is None else plain(round(average, 9))


def position(exchange: Exchange, symbol: str) -> dict[str, Any]:
    """A position at the last known price; its cost carries the coin fees. Shares held short are negative."""
    books = exchange.books
    qty, cost = books.held_qty(symbol), books.cost_usd(symbol)
    current = exchange.last_price(symbol)
    assert current is not None
    marked_at = exchange.last_mark_us()
    lastday = exchange.last_price(symbol, marked_at) or current
    value = qty * current.value
    free = qty - exchange.held_for_orders(symbol) - option_account.pledged_shares(exchange, symbol)
    today_basis = sum(
        (
            lot.remaining * lastday.value if lot.opened_at < from_us(marked_at) else lot.remaining_cost_usd
            for lot in books.lots[symbol]
        ),
        ZERO,
    )
    asset_class = exchange.series(symbol).asset_class
    return {
        "asset_id": venue_id(f"asset {symbol}"),
        "symbol": symbol.replace("/", ""),
        "exchange": "CRYPTO" if asset_class == CRYPTO else LISTED_ON,
        "asset_class": asset_class,
        "asset_marginable": False,
        "qty": plain(qty),
        "qty_available": plain(max(free, ZERO) if qty > ZERO else qty),
        "avg_entry_price": plain(round(cost / qty, 9)),
        "side": "long" if qty > ZERO else "short",
        "market_value": plain(round(value, 9)),
        "cost_basis": plain(round(cost, 9)),
        "unrealized_pl": plain(round(value - cost, 9)),
        "unrealized_plpc": _ratio(value - cost, abs(cost)),
        "unrealized_intraday_pl": plain(round(value - today_basis, 9)),
        "unrealized_intraday_plpc": _ratio(value - today_basis, abs(today_basis)),
        "current_price": plain(current.value),
        "lastday_price": plain(lastday.value),
        "change_today": _ratio(current.value - lastday.value, lastday.value),
    }


def _ratio(part: Decimal, whole: Decimal) -> str:
    return plain(round(part / whole, 9)) if whole else "0"


# Alpaca's enum has no word for "not recorded"; the listing exchange of a stock is not in the bars.
LISTED_ON = "NASDAQ"


def asset(exchange: Exchange, symbol: str) -> dict[str, Any]:
    """An asset; crypto carries its minimum and its steps, which move with the price."""
    facts = exchange.asset(symbol)
    is_crypto = facts.asset_class == CRYPTO
    body: dict[str, Any] = {
        "id": facts.asset_id,
        "class": facts.asset_class,
        "exchange": "CRYPTO" if is_crypto else LISTED_ON,
        "symbol": symbol,
        "name": symbol,
        "status": "active",
        "tradable": True,
        "marginable": False,
        "shortable": False,
        "fractionable": True,
        "attributes": ["options_enabled"] if symbol in exchange.recording.chains.by_underlying else [],
        # Alpaca replaced this flag by borrow_status; alpaca-py 0.44.0 still requires it
        "easy_to_borrow": False,
    }
    if facts.min_order_size is not None:
        body["min_order_size"] = plain(facts.min_order_size)
        body["min_trade_increment"] = "0.000000001"
        body["price_increment"] = plain(facts.price_increment)
    else:
        body["borrow_status"] = "hard_to_borrow"
    return body
