"""What the backtest's exchange is beyond the venue: causal, strict about what is never sent, and clear about both."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from cli.recordings.loaded import as_values
from core.backtest.exchange import SimulatedExchange
from core.backtest.recording import Recording, Series
from core.errors import BadRequest, BrokerRefused
from core.model.market import AssetClass
from core.model.orders import OrderType, Purpose, TimeInForce
from tests.backtest.exchange_cases import QUIET, RISES
from tests.backtest.exchange_twins import MONDAY, Twins, coins, recording, stock, walk
from tests.backtest.test_exchange_random import random_order
from tests.builders import BTC, intent, usd
from tests.venue import option_chains as recorded
from tests.venue.option_chains import CALL_100, NEXT_WEEK, THIS_WEEK, moment

CASH_USD = Decimal(100_000)
HOUR = timedelta(hours=1)


def exchange(*rows: tuple[float, float, float, float, float]) -> SimulatedExchange:
    return SimulatedExchange(as_values(recording(coins(rows or (QUIET, RISES)))), MONDAY, CASH_USD)


def cut(series: Series, bars: int) -> Series:
    """The series without what comes after so many bars."""
    columns = ("opened_at", "closes_at", "open", "high", "low", "close", "volume", "spread_frac")
    return replace(series, **{name: getattr(series, name)[:bars] for name in columns})


@pytest.mark.parametrize("seed", range(3))
def test_what_comes_later_changes_nothing_that_was_said(seed: int) -> None:
    """The same orders over a recording and over its first sixty bars, to the end of the shorter one."""
    rng = np.random.default_rng(seed)
    twins = Twins(recording(coins(walk(rng, 60)), coins(walk(rng, 60), symbol="ETH/USD"), stock(walk(rng, 40)),
                            stock(walk(rng, 40), symbol="MSFT")))  # fmt: skip
    whole = as_values(twins.venue.recording)
    known = {symbol: cut(each, 60) for symbol, each in whole.series.items()}
    shorter = SimulatedExchange(Recording(known, whole.sessions), MONDAY, CASH_USD)

    for step in range(60):
        meant = random_order(rng, twins, str(step))
        twins.send(meant)
        if "/" not in twins.answers[str(step)]:
            shorter.submit(meant)
        twins.after(hours=10)
        shorter.advance(twins.ours.now)
        assert shorter.account() == twins.ours.account()
        assert shorter.quotes(tuple(known)) == twins.ours.quotes(tuple(known))

    assert shorter.ledger() == twins.ours.ledger()
    assert shorter.ledger().fills


def test_a_stop_limit_which_is_never_sent_is_refused() -> None:
    with pytest.raises(BrokerRefused, match="stop_limit orders with time_in_force gtc are not taken") as refusal:
        exchange().submit(intent(order_type=OrderType.STOP_LIMIT, time_in_force=TimeInForce.GTC))

    assert (refusal.value.status, refusal.value.code) == (422, 42210000)


def test_time_does_not_go_back() -> None:
    with pytest.raises(BadRequest, match="time cannot go back"):
        exchange().advance(MONDAY - HOUR)


def test_an_order_that_there_is_not_is_not_found_and_canceling_it_is_no_error() -> None:
    market = exchange()
    market.cancel("unknown")

    assert market.order_by_client_id("unknown") is None
    with pytest.raises(BrokerRefused, match="order not found") as refusal:
        market.order("unknown")

    assert (refusal.value.status, refusal.value.code) == (404, 40410000)


def test_a_coin_without_a_price_yet_is_neither_listed_nor_traded() -> None:
    played = as_values(recording(coins((QUIET, RISES))))
    before = SimulatedExchange(played, MONDAY - timedelta(days=40), CASH_USD)

    assert before.assets(AssetClass.CRYPTO, (BTC,)) == ()
    assert before.quotes((BTC,)) == ()
    assert before.last_trades((BTC,)) == ()
    with pytest.raises(BrokerRefused, match="no price is known"):
        before.submit(intent(limit_price=usd(100)))


def test_what_was_told_of_an_order_is_told_anew_once_it_changes() -> None:
    market = exchange()
    market.submit(intent(order_type=OrderType.MARKET, limit_price=None, time_in_force=TimeInForce.GTC))
    waiting = market.orders(since=MONDAY)

    assert market.orders(since=MONDAY) is waiting
    market.advance(MONDAY + HOUR)
    (filled,) = market.orders(since=MONDAY)
    assert (filled.filled_quantity, filled.filled_at) == (usd(1), MONDAY)


def test_an_order_rests_until_its_bar_whatever_the_steps_of_the_clock() -> None:
    one_step, many_steps = exchange(), exchange()
    for market in (one_step, many_steps):
        market.submit(intent(quantity=usd(150), limit_price=usd(102), time_in_force=TimeInForce.GTC))

    one_step.advance(MONDAY + 48 * HOUR)
    for _ in range(48):
        many_steps.advance(many_steps.now + HOUR)

    assert one_step.ledger() == many_steps.ledger()
    assert [fill.quantity for fill in one_step.ledger().fills] == [100, 50]


def test_open_interest_stands_until_other_days_are_asked_for() -> None:
    days = (recorded.TUESDAY, 500.0), (recorded.WEDNESDAY, 900.0)
    chains = (recorded.rows(at, 100.0, {CALL_100: (2.9, 3.0)}, open_interest=known) for at, known in days)
    market = SimulatedExchange(as_values(recorded.recording(*chains)), moment(recorded.TUESDAY), CASH_USD)

    read = market.open_interest(("XYZ",), THIS_WEEK, THIS_WEEK)
    market.advance(moment(recorded.WEDNESDAY))

    assert read == {CALL_100: 500}
    assert market.open_interest(("XYZ",), THIS_WEEK, THIS_WEEK) is read
    assert market.open_interest(("XYZ",), THIS_WEEK, NEXT_WEEK) == {CALL_100: 900}


def test_a_sale_for_an_exit_takes_what_a_buy_left_after_its_fee() -> None:
    """W-05: an exit is sized from the position, which the fee in coins made smaller."""
    market = exchange()
    market.submit(intent(order_type=OrderType.MARKET, limit_price=None, time_in_force=TimeInForce.GTC))
    market.advance(MONDAY + HOUR)
    (held,) = market.positions()

    assert held.available_quantity == usd("0.9975")
    sale = intent(purpose=Purpose.EXIT, quantity=held.available_quantity, time_in_force=TimeInForce.GTC)
    assert market.submit(sale).quantity == usd("0.9975")
