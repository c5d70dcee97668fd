"""Random stock bars with groups, trailing stops and auctions: no future is seen, and no group sells twice."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.venue.test_venue_causality import quick, random_rows, seeds, with_another_future
from venue.orders import GroupRole, Status
from venue.wire import ApiError, to_us

DAYS = 40
ASKED: tuple[tuple[str, dict[str, str]], ...] = (
    ("/v2/account", {}),
    ("/v2/positions", {}),
    ("/v2/orders", {"status": "all", "nested": "true"}),
    ("/v2/account/activities", {}),
)


def random_orders(seed: int) -> list[tuple[int, dict[str, Any]]]:
    """(hour of submission, order) pairs in time order: entries with legs, exits with legs, trails, auctions."""
    dice = np.random.default_rng(seed)
    orders = []
    for hour in sorted(dice.integers(0, DAYS * 24, size=30).tolist()):
        middle = 100 * float(np.exp(dice.normal(0, 0.05)))
        exits = {
            "take_profit": {"limit_price": f"{middle * 1.04:.2f}"},
            "stop_loss": {"stop_price": f"{middle * 0.96:.2f}"},
        }
        if dice.integers(0, 3) == 0:
            exits["stop_loss"]["limit_price"] = f"{middle * 0.95:.2f}"
        kinds: tuple[dict[str, Any], ...] = (
            {"side": "buy", "type": "market", "order_class": "bracket", **exits},
            {"side": "buy", "type": "limit", "limit_price": f"{middle:.2f}", "order_class": "bracket", **exits},
            {"side": "sell", "type": "limit", "order_class": "oco", **exits},
            {"side": "buy", "type": "market", "order_class": "oto", "stop_loss": exits["stop_loss"]},
            {"side": "sell", "type": "trailing_stop", "trail_percent": "4"},
            {"side": "buy", "type": "market", "time_in_force": str(dice.choice(["opg", "cls"]))},
            {"side": "sell", "type": "market"},
        )
        chosen = kinds[int(dice.integers(0, len(kinds)))]
        times = {"time_in_force": str(dice.choice(["day", "gtc"]))}
        orders.append((hour, {"symbol": "AAPL", "qty": str(dice.integers(1, 9))} | times | chosen))
    return orders


def trade(trader: Any, orders: list[tuple[int, dict[str, Any]]], until_hour: int, step_hours: int = 100_000) -> None:
    """Submits each order at its hour and lets time pass until the last hour, at most a step at a time."""
    start = trader.exchange.now

    def go_to(hour: int) -> None:
        goal = start + timedelta(hours=hour)
        while trader.exchange.now < goal:
            trader.exchange.advance_to(min(goal, trader.exchange.now + timedelta(hours=step_hours)))

    for hour, order in orders:
        if hour >= until_hour:
            break
        go_to(hour)
        with contextlib.suppress(ApiError):  # the account cannot afford every random order
            trader.exchange.submit(order)
    go_to(until_hour)


@quick
@given(bars=seeds, orders=seeds, future=seeds, hour=st.integers(1, DAYS * 24))
def test_no_answer_about_stock_orders_depends_on_what_comes_later(
    desk: Any, stock: Any, bars: int, orders: int, future: int, hour: int
) -> None:
    series = stock(*random_rows(bars), spread=0.002)
    answers = []
    for change in (False, True):
        trader = desk(series)
        now_us = to_us(trader.exchange.now + timedelta(hours=hour))
        if change:
            later = with_another_future(series, now_us, future)
            later.caches["spreads"] = series.caches["spreads"]
            trader = desk(later)
        trade(trader, random_orders(orders), hour)
        answers.append([trader.get(path, **query) for path, query in ASKED] + [trader.ledger()["fills"]])

    assert answers[0] == answers[1]


@quick
@given(bars=seeds, orders=seeds, step=st.integers(1, 60))
def test_a_stocks_ledger_does_not_depend_on_how_time_is_cut(
    desk: Any, stock: Any, bars: int, orders: int, step: int
) -> None:
    series = stock(*random_rows(bars))
    ledgers = []
    for step_hours in (100_000, step):
        trader = desk(series)
        trade(trader, random_orders(orders), DAYS * 24, step_hours)
        ledgers.append(trader.ledger())

    assert ledgers[0] == ledgers[1]


@quick
@given(bars=seeds, orders=seeds)
def test_a_group_never_sells_more_than_it_has_and_never_holds_more_than_there_is(
    desk: Any, stock: Any, bars: int, orders: int
) -> None:
    trader = desk(stock(*random_rows(bars)))
    trade(trader, random_orders(orders), DAYS * 24)
    exchange = trader.exchange

    assert exchange.books.cash_usd >= 0
    assert 0 <= exchange.held_for_orders("AAPL") <= exchange.books.held_qty("AAPL")
    for order_ids in exchange.groups.values():
        members = [exchange.orders[order_id] for order_id in order_ids]
        exits = [order for order in members if order.group_role is not GroupRole.ENTRY]
        sold = sum((order.filled_qty for order in exits), Decimal(0))
        assert sold <= (members[0].qty or 0)
        assert sum(order.status is Status.FILLED for order in exits) <= 1
        if any(order.status in (Status.CANCELED, Status.EXPIRED) for order in members):
            assert not [
                order for order in members if order.is_open and order.filled_qty == 0 and not order.is_triggered
            ]


def test_the_random_stock_orders_do_fill_groups(desk: Any, stock: Any) -> None:
    roles = set()
    for seed in range(5):
        trader = desk(stock(*random_rows(seed)))
        trade(trader, random_orders(seed), DAYS * 24)
        exchange = trader.exchange
        roles |= {exchange.orders[fill.order_id].group_role for fill in exchange.books.fills}

    assert roles == {None, GroupRole.ENTRY, GroupRole.TAKE_PROFIT, GroupRole.STOP_LOSS}
