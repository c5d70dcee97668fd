"""Alpaca's trading API under /v2: account, orders, positions, assets, clock, calendar, activities."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from starlette.responses import Response

from venue import history, rules, views
from venue.calendar import NEW_YORK, new_york_date
from venue.call import Call
from venue.exchange import Exchange
from venue.options import contracts_api
from venue.options.chains import parse_contract
from venue.orders import QTY_INCREMENT, Order, Side
from venue.series import CRYPTO
from venue.wire import ApiError, bad_request, from_us, json_response, not_found, parse_time, plain


def get_account(call: Call) -> Response:
    return json_response(views.account(call.exchange))


def get_configurations(call: Call) -> Response:
    return json_response(views.configurations(call.exchange))


def patch_configurations(call: Call) -> Response:
    is_suspended = call.fields().get("suspend_trade", call.exchange.is_suspended)
    if not isinstance(is_suspended, bool):
        raise rules.unprocessable(f"suspend_trade {is_suspended!r} is not true or false")
    is_long_only = call.fields().get("no_shorting", not call.exchange.is_shorting_allowed)
    if not isinstance(is_long_only, bool):
        raise rules.unprocessable(f"no_shorting {is_long_only!r} is not true or false")
    if not is_long_only and not call.exchange.is_shorting_allowed:
        raise rules.unprocessable("this venue lends no shares; start it with --shorting")
    if is_long_only and call.exchange.is_shorting_allowed:
        call.exchange.forbid_shorting()
    call.exchange.suspend(is_suspended)
    return json_response(views.configurations(call.exchange))


def post_order(call: Call) -> Response:
    cap = call.fault.value if call.fault and call.fault.kind == "partial" else None
    return json_response(views.nested(call.exchange, call.exchange.submit(call.fields(), fill_cap_frac=cap)))


def get_orders(call: Call) -> Response:
    exchange = call.exchange
    status = call.choice("status", ("open", "closed", "all"))
    direction = call.choice("direction", ("desc", "asc"))
    limit = call.whole("limit", default=50, most=500)
    found = exchange.open_orders.values() if status == "open" else exchange.orders.values()
    chosen = [order for order in found if status != "closed" or not order.is_open]
    for keeps in _order_filters(call):
        chosen = [order for order in chosen if keeps(order)]
    chosen.sort(key=lambda order: order.sequence, reverse=direction == "desc")
    if not _is_nested(call):
        return json_response([views.order(order) for order in chosen[:limit]])
    # a leg whose parent is not listed (it filled, and only open orders were asked for) stands by itself
    listed = {order.order_id for order in chosen}
    tops = [order for order in chosen if order.parent_id not in listed]
    return json_response([views.nested(exchange, order) for order in tops[:limit]])


def _is_nested(call: Call) -> bool:
    return call.choice("nested", ("false", "true", "False", "True")).lower() == "true"


def _order_filters(call: Call) -> list[Callable[[Order], bool]]:
    filters: list[Callable[[Order], bool]] = []
    after, until = call.time("after"), call.time("until")
    if after is not None:
        filters.append(lambda order: order.submitted_at > after)
    if until is not None:
        filters.append(lambda order: order.submitted_at < until)
    if symbols := call.words("symbols"):
        wanted = {call.exchange.find_symbol(name) or name for name in symbols}
        filters.append(lambda order: order.symbol in wanted)
    if side := call.text("side"):
        if side not in tuple(Side):
            raise bad_request(f"side {side!r} is not buy or sell")
        filters.append(lambda order: order.side == side)
    if classes := call.words("asset_class"):
        filters.append(lambda order: order.asset_class in classes or "all" in classes)
    if before_id := call.text("before_order_id"):
        before = call.exchange.find_order(before_id).sequence
        filters.append(lambda order: order.sequence < before)
    if after_id := call.text("after_order_id"):
        later_than = call.exchange.find_order(after_id).sequence
        filters.append(lambda order: order.sequence > later_than)
    return filters


def get_order(call: Call) -> Response:
    order = call.exchange.find_order(call.path_params["order_id"])
    return json_response(views.nested(call.exchange, order) if _is_nested(call) else views.order(order))


def get_order_by_client_order_id(call: Call) -> Response:
    client_order_id = call.text("client_order_id")
    if client_order_id is None:
        raise rules.invalid("client_order_id is required")
    # Alpaca takes no `nested` here: a client that adopts its order sees the legs too
    return json_response(views.nested(call.exchange, call.exchange.find_client_order(client_order_id)))


def patch_order(call: Call) -> Response:
    return json_response(
        views.nested(call.exchange, call.exchange.replace(call.path_params["order_id"], call.fields()))
    )


def delete_order(call: Call) -> Response:
    call.exchange.cancel(call.path_params["order_id"])
    return Response(status_code=204)


def delete_orders(call: Call) -> Response:
    canceled = list(call.exchange.open_orders)
    _cancel_all(call.exchange)
    return json_response([{"id": order_id, "status": 200} for order_id in canceled], 207)


def _cancel_all(exchange: Exchange) -> None:
    for order_id in list(exchange.open_orders):
        if order_id in exchange.open_orders:  # canceling one order of a group canceled the others
            exchange.cancel(order_id)


def get_positions(call: Call) -> Response:
    exchange = call.exchange
    return json_response([_position(exchange, symbol) for symbol in exchange.books.held_symbols()])


def get_position(call: Call) -> Response:
    return json_response(_position(call.exchange, _held(call)))


def _position(exchange: Exchange, symbol: str) -> dict[str, Any]:
    if parse_contract(symbol) is not None:
        return contracts_api.position_json(exchange, symbol)
    return views.position(exchange, symbol)


def delete_position(call: Call) -> Response:
    symbol = _held(call)
    held = abs(call.exchange.books.held_qty(symbol))
    qty = held
    if call.text("qty"):
        qty = rules.positive(call.query, "qty") or held
    elif call.text("percentage"):
        percentage = rules.positive(call.query, "percentage") or Decimal(100)
        if percentage > 100:
            raise rules.unprocessable(f"percentage {percentage} is more than the whole position")
        # a position of whole shares is closed in whole shares
        step = QTY_INCREMENT if held % 1 or _is_crypto(call.exchange, symbol) else Decimal(1)
        qty = (held * percentage / 100).quantize(step, ROUND_FLOOR)
    return json_response(views.order(_close(call.exchange, symbol, qty)))


def delete_positions(call: Call) -> Response:
    exchange = call.exchange
    if call.text("cancel_orders") in ("true", "True"):
        _cancel_all(exchange)
    answers: list[dict[str, Any]] = []
    for symbol in exchange.books.held_symbols():
        answer: dict[str, Any] = {"symbol": symbol.replace("/", "")}
        try:
            order = _close(exchange, symbol, abs(exchange.books.held_qty(symbol)))
            answer |= {"status": 200, "body": views.order(order)}
        except ApiError as refusal:
            answer |= {"status": refusal.status, "body": refusal.body}
        answers.append(answer)
    return json_response(answers, 207)


def _close(exchange: Exchange, symbol: str, qty: Decimal) -> Order:
    return exchange.submit(
        {
            "symbol": symbol,
            "side": "sell" if exchange.books.held_qty(symbol) > 0 else "buy",
            "type": "market",
            "time_in_force": "gtc" if _is_crypto(exchange, symbol) else "day",
            "qty": plain(qty),
        }
    )


def _is_crypto(exchange: Exchange, symbol: str) -> bool:
    series = exchange.recording.series.get(symbol)
    return series is not None and series.asset_class == CRYPTO


def _held(call: Call) -> str:
    name = call.path_params["symbol"]
    symbol = call.exchange.find_symbol(name) or name
    if not call.exchange.books.held_qty(symbol):
        raise not_found(f"position does not exist for {name}")
    return symbol


def get_assets(call: Call) -> Response:
    exchange = call.exchange
    status = call.text("status") or "active"
    asset_class = call.text("asset_class") or "us_equity"
    names = exchange.listed(asset_class) if status == "active" else ()
    chosen = [views.asset(exchange, symbol) for symbol in names]
    listed_on = call.text("exchange")
    return json_response([asset for asset in chosen if listed_on in (None, asset["exchange"])])


def get_asset(call: Call) -> Response:
    name = call.path_params["symbol"]
    symbol = call.exchange.find_symbol(name)
    if symbol is None or symbol not in call.exchange.listed(call.exchange.series(symbol).asset_class):
        raise not_found(f"asset not found for {name}")
    return json_response(views.asset(call.exchange, symbol))


def get_clock(call: Call) -> Response:
    exchange = call.exchange
    sessions, now_us = exchange.sessions, exchange.now_us
    return json_response(
        {
            "timestamp": _new_york(now_us),
            "is_open": sessions.is_open(now_us),
            "next_open": _new_york(sessions.next_open_us(now_us)),
            "next_close": _new_york(sessions.next_close_us(now_us)),
        }
    )


def _new_york(at_us: int) -> str:
    return from_us(at_us).astimezone(NEW_YORK).isoformat()


def get_calendar(call: Call) -> Response:
    sessions = call.exchange.sessions
    today = new_york_date(call.exchange.now_us)
    start = _date(call, "start") or today - timedelta(days=365)
    end = _date(call, "end") or today + timedelta(days=365)
    days = []
    for index, day in enumerate(sessions.dates):
        if start <= day <= end:
            opens, closes = _wall_time(sessions.opens_us[index]), _wall_time(sessions.closes_us[index])
            days.append(
                {
                    "date": day.isoformat(),
                    "open": f"{opens:%H:%M}",
                    "close": f"{closes:%H:%M}",
                    "session_open": "0400",
                    "session_close": "2000",
                    "settlement_date": sessions.settlement_date(index).isoformat(),
                }
            )
    return json_response(days)


def _date(call: Call, name: str) -> date | None:
    text = call.text(name)
    return None if text is None else parse_time(text, name).date()


def _wall_time(at_us: Any) -> datetime:
    return from_us(int(at_us)).astimezone(NEW_YORK)


def get_activities(call: Call) -> Response:
    one_type = call.path_params.get("activity_type")
    types = [one_type] if one_type else call.words("activity_types")
    after, until, day, order_id = (
        call.time("after"),
        call.time("until"),
        call.time("date"),
        call.text("order_id"),
    )
    category = call.choice("category", ("", "trade_activity", "non_trade_activity"))
    direction = call.choice("direction", ("desc", "asc"))
    page_size = call.whole("page_size", default=100, most=100)
    chosen = [
        activity
        for activity in history.activities(call.exchange)
        if (not types or activity.activity_type in types)
        # a fill bears the time its bar began, which a reader may already have seen pass: include it
        and (after is None or activity.created_at >= after)
        and (until is None or activity.created_at < until)
        and (day is None or day <= activity.created_at < day + timedelta(days=1))
        and (order_id is None or activity.order_id == order_id)
        and (not category or (activity.activity_type == "FILL") == (category == "trade_activity"))
    ]
    if direction == "desc":
        chosen.reverse()
    if token := call.text("page_token"):
        ids = [activity.activity_id for activity in chosen]
        if token not in ids:
            raise rules.unprocessable(f"page_token {token!r} is not the id of one of these activities")
        chosen = chosen[ids.index(token) + 1 :]
    return json_response([activity.as_json() for activity in chosen[:page_size]])


def get_portfolio_history(call: Call) -> Response:
    answer = history.portfolio_history(
        call.exchange,
        period=call.text("period"),
        timeframe=call.text("timeframe"),
        start=call.time("start"),
        end=call.time("end") or call.time("date_end"),
    )
    return json_response(answer)


Handler = Callable[[Call], Response]
# longer literal paths come before the patterns that would swallow them
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    *contracts_api.CONTRACT_ROUTES,
    *contracts_api.EXERCISE_ROUTES,
    ("GET", "/v2/account", get_account),
    ("GET", "/v2/account/configurations", get_configurations),
    ("PATCH", "/v2/account/configurations", patch_configurations),
    ("GET", "/v2/account/activities", get_activities),
    ("GET", "/v2/account/activities/{activity_type}", get_activities),
    ("GET", "/v2/account/portfolio/history", get_portfolio_history),
    ("GET", "/v2/orders", get_orders),
    ("POST", "/v2/orders", post_order),
    ("DELETE", "/v2/orders", delete_orders),
    ("GET", "/v2/orders:by_client_order_id", get_order_by_client_order_id),
    ("GET", "/v2/orders/{order_id}", get_order),
    ("PATCH", "/v2/orders/{order_id}", patch_order),
    ("DELETE", "/v2/orders/{order_id}", delete_order),
    ("GET", "/v2/positions", get_positions),
    ("DELETE", "/v2/positions", delete_positions),
    ("GET", "/v2/positions/{symbol:path}", get_position),
    ("DELETE", "/v2/positions/{symbol:path}", delete_position),
    ("GET", "/v2/assets", get_assets),
    ("GET", "/v2/assets/{symbol:path}", get_asset),
    ("GET", "/v2/clock", get_clock),
    ("GET", "/v2/calendar", get_calendar),
)
