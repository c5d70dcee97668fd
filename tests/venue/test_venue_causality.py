"""Random bars and orders: the future changes nothing, time may be cut anywhere, fills are pessimistic."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from venue.matching import takeable
from venue.series import Series
from venue.wire import ApiError, from_float, to_us

BARS = 40
ASKED: tuple[tuple[str, dict[str, str]], ...] = (
    ("/v2/account", {}),
    ("/v2/positions", {}),
    ("/v2/orders", {"status": "all"}),
    ("/v2/account/activities", {}),
    ("/v2/account/portfolio/history", {"timeframe": "1H", "period": "1W"}),
    ("/v2/assets", {"asset_class": "crypto"}),
    ("/v2/clock", {}),
    ("/v1beta3/crypto/us/bars", {"symbols": "BTC/USD", "timeframe": "1Hour", "start": "2023-01-01"}),
    ("/v1beta3/crypto/us/bars", {"symbols": "BTC/USD", "timeframe": "4Hour", "start": "2023-01-01"}),
    ("/v1beta3/crypto/us/bars", {"symbols": "BTC/USD", "timeframe": "1Day", "start": "2023-01-01"}),
    ("/v1beta3/crypto/us/quotes", {"symbols": "BTC/USD", "start": "2023-01-01"}),
    ("/v1beta3/crypto/us/latest/bars", {"symbols": "BTC/USD"}),
    ("/v1beta3/crypto/us/latest/quotes", {"symbols": "BTC/USD"}),
    ("/v1beta3/crypto/us/latest/trades", {"symbols": "BTC/USD"}),
    ("/v1beta3/crypto/us/snapshots", {"symbols": "BTC/USD"}),
)
seeds = st.integers(0, 2**32 - 1)
quick = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)


def random_rows(seed: int) -> list[tuple[float, float, float, float, float]]:
    """Hourly bars of a random walk with gaps, some of them without volume."""
    dice = np.random.default_rng(seed)
    rows, close = [], 100.0
    for _ in range(BARS):
        opens = round(close * float(np.exp(dice.normal(0, 0.01))), 2)
        close = round(opens * float(np.exp(dice.normal(0, 0.02))), 2)
        high = round(max(opens, close) * (1 + float(dice.exponential(0.005))), 2)
        low = round(min(opens, close) * (1 - float(dice.exponential(0.005))), 2)
        rows.append((opens, high, low, close, float(dice.integers(0, 50))))
    return rows


def random_orders(seed: int) -> list[tuple[int, dict[str, str]]]:
    """(minute of submission, order) pairs, in time order."""
    dice = np.random.default_rng(seed)
    orders = []
    for minute in sorted(dice.integers(0, BARS * 60, size=12).tolist()):
        order = {"symbol": "BTC/USD", "side": str(dice.choice(["buy", "buy", "sell"]))}
        order |= {
            "type": "market",
            "time_in_force": str(dice.choice(["gtc", "ioc"])),
            "qty": str(dice.integers(1, 9)),
        }
        limit = f"{100 * float(np.exp(dice.normal(0, 0.03))):.2f}"
        kind = dice.integers(0, 3)
        if kind == 1:
            order |= {"type": "limit", "limit_price": limit}
        if kind == 2:
            order |= {"type": "stop_limit", "stop_price": limit, "limit_price": limit, "time_in_force": "gtc"}
        orders.append((minute, order))
    return orders


def trade(trader: Any, orders: list[tuple[int, dict[str, str]]], until_minute: int, step_minutes: int = 10_000) -> None:
    """Submits each order at its minute and lets time pass until the last minute, at most a step at a time."""
    start = trader.exchange.now

    def go_to(minute: int) -> None:
        goal = start + timedelta(minutes=minute)
        while trader.exchange.now < goal:
            trader.exchange.advance_to(min(goal, trader.exchange.now + timedelta(minutes=step_minutes)))

    for minute, order in orders:
        if minute >= until_minute:
            break
        go_to(minute)
        with contextlib.suppress(ApiError):  # the account cannot afford every random order
            trader.exchange.submit(order)
    go_to(until_minute)


def with_another_future(series: Series, at_us: int, seed: int) -> Series:
    """The same bars until this moment, the running bar's open, and then something else entirely."""
    begun = int(np.searchsorted(series.starts_us, at_us, "left"))
    completed = series.completed(at_us)
    dice = np.random.default_rng(seed)
    changed = {}
    for name in ("opens", "highs", "lows", "closes", "volumes"):
        values = getattr(series, name).copy()
        since = begun if name == "opens" else completed
        values[since:] = values[since:] * dice.uniform(0.2, 5.0, size=len(values) - since) + 1
        changed[name] = values
    return replace(series, **changed)


@quick
@given(bars=seeds, orders=seeds, future=seeds, minute=st.integers(1, BARS * 60))
def test_no_answer_depends_on_what_comes_later(
    desk: Any, crypto: Any, bars: int, orders: int, future: int, minute: int
) -> None:
    series = crypto(*random_rows(bars), timeframe="1h", spread=None)
    now_us = to_us(datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minute))
    answers = []
    for one in (series, with_another_future(series, now_us, future)):
        trader = desk(one)
        trade(trader, random_orders(orders), minute)
        answers.append([trader.get(path, **query) for path, query in ASKED] + [trader.ledger()["fills"]])

    assert answers[0] == answers[1]


@quick
@given(bars=seeds, orders=seeds, step=st.integers(7, 500))
def test_one_long_step_and_many_short_ones_end_in_the_same_ledger(
    desk: Any, crypto: Any, bars: int, orders: int, step: int
) -> None:
    series = crypto(*random_rows(bars), timeframe="1h", spread=None)
    ledgers = []
    for step_minutes in (10_000, step):
        trader = desk(series)
        trade(trader, random_orders(orders), BARS * 60, step_minutes)
        ledgers.append(trader.ledger())

    assert ledgers[0] == ledgers[1]


@quick
@given(bars=seeds, orders=seeds)
def test_fills_are_never_better_than_the_bar_and_the_books_always_add_up(
    desk: Any, crypto: Any, bars: int, orders: int
) -> None:
    series = crypto(*random_rows(bars), timeframe="1h", spread=None)
    trader = desk(series)
    trade(trader, random_orders(orders), BARS * 60)
    books, exchange = trader.exchange.books, trader.exchange

    for fill in books.fills:
        order = exchange.orders[fill.order_id]
        index = int(np.searchsorted(series.starts_us, to_us(fill.bar_start)))
        opens, high, low = (from_float(column[index]) for column in (series.opens, series.highs, series.lows))
        assert fill.bar_start >= order.submitted_at
        sign = 1 if order.is_buy else -1
        if fill.is_at_open:
            assert sign * (fill.price - opens) > 0
            assert fill.qty <= takeable(from_float(series.volumes[index - 1]))
        else:
            assert fill.price == order.limit_price
            assert (low < fill.price) if order.is_buy else (high > fill.price)
        if order.limit_price is not None:
            assert sign * (order.limit_price - fill.price) >= 0
    assert books.cash_usd >= 0
    assert books.held_qty("BTC/USD") >= 0
    moved = sum((movement.amount_usd for movement in books.cash_movements), Decimal(0))
    assert moved == books.cash_usd
    bought = sum((fill.qty for fill in books.fills if fill.side == "buy"), Decimal(0))
    sold = sum((fill.qty for fill in books.fills if fill.side == "sell"), Decimal(0))
    coin_fees = sum((fee.qty for fee in books.fees if fee.asset == "BTC"), Decimal(0))
    assert books.held_qty("BTC/USD") == bought - sold - coin_fees


def test_the_random_orders_do_fill(desk: Any, crypto: Any) -> None:
    trader = desk(crypto(*random_rows(7), timeframe="1h", spread=None))
    trade(trader, random_orders(7), BARS * 60)

    assert len(trader.exchange.books.fills) > 5


@pytest.mark.parametrize("seed", [1, 2])
def test_two_identical_runs_give_identical_ledgers(desk: Any, crypto: Any, seed: int) -> None:
    ledgers = []
    for _ in range(2):
        trader = desk(crypto(*random_rows(seed), timeframe="1h", spread=None))
        trade(trader, random_orders(seed), BARS * 60)
        ledgers.append(trader.ledger())

    assert ledgers[0] == ledgers[1]
