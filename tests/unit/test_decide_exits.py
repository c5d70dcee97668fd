"""Exits in the whole judgement: first, alive without data and behind every shut gate, and never too large."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.decide import decide
from core.model.judgement import Decision, Mode, Refusal, Snapshot
from core.model.limits import RiskLimits, SafetyLimits
from core.model.market import AssetClass
from core.model.orders import (
    OrderIntent,
    OrderType,
    Position,
    Purpose,
    Side,
    TimeInForce,
)
from core.modules import module_named
from tests.builders import (
    AS_OF,
    BTC,
    ETH,
    LTC,
    account,
    asset,
    books,
    falling,
    flat,
    holding,
    limits,
    marks,
    mode_state,
    position,
    quote,
    rising,
    sent_order,
    snapshot,
    trade,
    usd,
)

CRYPTO = module_named("crypto")


def decided(moment: Snapshot) -> Decision:
    return decide(moment, CRYPTO)


def sales(moment: Snapshot) -> tuple[OrderIntent, ...]:
    return tuple(each for each in decided(moment).intents if each.side is Side.SELL)


def fallen(symbol: str = BTC, quantity: str = "10", **changes: Any) -> Position:
    """Bought at 100, now at 85: below the stop at 90."""
    return position(symbol, quantity, "85", average_entry_price=usd(100), **changes)


def grown(symbol: str = BTC, quantity: str = "200", price: str = "100", **changes: Any) -> Position:
    """A position above the cap of 15 % of one symbol."""
    return position(symbol, quantity, price, **changes)


def behind_shut_gates(mode: Mode, *positions: Position, closes: dict[str, list[float]] | None = None) -> Snapshot:
    """Everything that stops entries at once: mode, losses, drift, rejections, cooldown, rates, no cash, no trading."""
    storm = tuple(sent_order(each.symbol, Side.BUY, minutes) for each in positions for minutes in (0, 1, 2, 3))
    churn = tuple(sent_order(each.symbol, Side.SELL, minutes) for each in positions for minutes in (0.5, 1.5, 2.5))
    return snapshot(
        closes,
        mode=mode_state(mode),
        positions=positions,
        orders=(*storm, *churn),
        account=account(
            cash_usd=usd(-500),
            equity_usd=usd(80_000),
            non_marginable_buying_power_usd=usd(0),
            is_trading_allowed=False,
            restriction="trading is blocked by the broker",
        ),
        books=books(rejected_at=(AS_OF,) * 9, trades=(trade("DOT/USD", "9999"),)),
        gaps=tuple(Refusal(each.symbol, "bars", "no bars") for each in positions),
        limits=limits(safety=SafetyLimits(max_entries_per_day=1), risk=RiskLimits(max_positions=1)),
    )


@pytest.mark.parametrize("mode", [Mode.ACTIVE, Mode.REDUCING])
def test_stop_leads_out_in_every_mode_that_trades_and_behind_every_shut_gate(mode: Mode) -> None:
    """I-38, I-40, I-42, W-52: no cooldown, rate, loss, drift, cash or mode stands before an exit."""
    (sale,) = decided(behind_shut_gates(mode, fallen())).intents

    assert (sale.symbol, sale.purpose, sale.quantity) == (BTC, Purpose.EXIT, usd(10))
    assert sale.reason.startswith("stop:")


@pytest.mark.parametrize("mode", [Mode.ACTIVE, Mode.REDUCING])
def test_trim_acts_in_every_mode_that_trades_and_behind_every_shut_gate(mode: Mode) -> None:
    """I-40, I-42: 20,000 held, 15 % of 80,000 are allowed."""
    (sale,) = decided(behind_shut_gates(mode, grown())).intents

    assert (sale.purpose, sale.quantity) == (Purpose.TRIM, usd(80))


def test_halted_orders_nothing_and_says_what_it_would_have_done() -> None:
    """HALTED is a person's word, and the only thing that stops an exit; the receipt shows what is waiting."""
    answer = decided(snapshot(positions=(fallen(), grown(ETH)), mode=mode_state(Mode.HALTED)))

    assert answer.intents == ()
    assert [(each.symbol, each.rule) for each in answer.refusals] == [(BTC, "mode"), (ETH, "mode")]


def test_gates_above_are_shut_for_entries() -> None:
    """The two tests above are not empty: without the gates the same market is an entry."""
    refused = decided(behind_shut_gates(Mode.ACTIVE, closes={ETH: rising()}))

    assert refused.intents == ()
    assert [each.symbol for each in decided(snapshot({ETH: rising()})).intents] == [ETH]


def test_exit_needs_neither_bars_nor_quote() -> None:
    """I-38, principle: market data that is missing closes the way in, never the way out; the broker's price serves."""
    moment = holding(fallen())

    (sale,) = sales(moment)

    assert not moment.quotes
    assert not moment.bars.symbols
    assert (sale.reference_price, sale.quantity) == (usd(85), usd(10))


def test_exit_needs_no_tradable_asset() -> None:
    """A symbol that left the universe is still held, and still looked after."""
    (sale,) = sales(holding(fallen(), assets={}))

    assert sale.quantity == 10


def test_fresh_bid_decides_before_the_brokers_price() -> None:
    """What a sale would bring is the bid."""
    moment = holding(position(price="100"), quotes={BTC: quote(bid="89.5", ask="89.9")})

    (sale,) = sales(moment)

    assert (sale.reference_price, sale.reason.startswith("stop: 89.5")) == (usd("89.5"), True)


@pytest.mark.parametrize(
    "bad",
    [
        quote(bid="119", ask="119.1", as_of=AS_OF - timedelta(days=3)),
        quote(bid="100", ask="119"),
    ],
    ids=["three days old", "far apart"],
)
def test_quote_that_cannot_be_trusted_hides_no_stop(bad: Any) -> None:
    """I-22: the broker's price of the position is below the stop, whatever an old quote says."""
    assert len(sales(holding(fallen(), quotes={BTC: bad}))) == 1


def test_far_apart_quote_triggers_no_stop() -> None:
    wide = quote(bid="10", ask="100")

    assert sales(holding(position(price="100"), quotes={BTC: wide})) == ()


def test_position_unknown_to_the_books_has_stop_and_target_too() -> None:
    """I-38: measured from the broker's average entry price."""
    unknown = snapshot(positions=(fallen(),))
    won = snapshot(positions=(position(price="120", average_entry_price=usd(100)),))

    assert sales(unknown)[0].reason.startswith("stop:")
    assert sales(won)[0].reason.startswith("target:")


def test_stop_and_target_of_the_trade_come_before_the_general_ones() -> None:
    own = trade(stop_price=usd(97), target_price=usd(101))
    at_96 = position(price="96", average_entry_price=usd(100))
    at_101 = position(price="101", average_entry_price=usd(100))

    assert sales(snapshot(positions=(at_96,), books=books(trades=(own,))))[0].reason.startswith("stop:")
    assert sales(snapshot(positions=(at_101,), books=books(trades=(own,))))[0].reason.startswith("target:")


def test_trailing_stop_follows_the_bars_since_the_entry_only() -> None:
    """The high of 118 was two days ago, the young entry is half a day old. For an old one 110.9 is the trail."""
    closes = [*flat(117), 117.0, 117.0, 110.0]
    held = position(price="110", average_entry_price=usd(100))
    young, old = trade(opened_at=AS_OF - timedelta(hours=13)), trade(opened_at=AS_OF - timedelta(days=4))

    assert sales(snapshot({BTC: closes}, positions=(held,), books=books(trades=(young,)))) == ()
    (sale,) = sales(snapshot({BTC: closes}, positions=(held,), books=books(trades=(old,))))
    assert sale.reason.startswith("trailing_stop:")


def test_strategy_that_changed_its_mind_leads_out() -> None:
    (sale,) = sales(holding(position(), closes=falling()))

    assert sale.reason.startswith("signal: confidence")
    assert sale.strategy == "momentum"


def test_signal_waits_for_the_minimum_hold() -> None:
    """I-39."""
    young = trade(opened_at=AS_OF - timedelta(hours=3))

    assert sales(holding(position(), closes=falling(), books=books(trades=(young,)))) == ()


def test_missing_opinion_is_not_a_reason_to_sell() -> None:
    """I-71: unavailable is not bearish."""
    assert sales(holding(position())) == ()


def test_exit_is_a_market_order_good_till_canceled() -> None:
    """I-06, W-04: crypto knows no day orders."""
    (sale,) = sales(holding(fallen()))

    assert (sale.order_type, sale.time_in_force, sale.limit_price) == (OrderType.MARKET, TimeInForce.GTC, None)
    assert sale.expires_at is None


def test_only_what_is_available_is_sold() -> None:
    """I-35, I-45, W-05: the fee took some, an open order holds some."""
    (sale,) = sales(holding(fallen(available_quantity=usd("7.4813"))))

    assert sale.quantity == usd("7.4813")


def test_quantity_is_floored_to_the_increment() -> None:
    moment = holding(fallen(available_quantity=usd("7.48139")), assets={BTC: asset(quantity_increment=usd("0.001"))})

    assert sales(moment)[0].quantity == usd("7.481")


def test_rest_below_the_increment_is_not_ordered() -> None:
    """Q13: half a unit of what is sold in whole units is no order."""
    whole = asset(quantity_increment=usd(1))

    assert sales(holding(fallen(quantity="0.5"), assets={BTC: whole})) == ()


def test_nothing_available_is_not_sold_again() -> None:
    """I-21: the order that is out already holds all of it."""
    assert sales(holding(fallen(available_quantity=usd(0)))) == ()


def test_new_account_sells_nothing() -> None:
    """I-35, I-36: the books may know trades; the broker holds nothing."""
    phantom = tuple(trade(symbol, "5", stop_price=usd(10**6)) for symbol in (BTC, ETH, LTC))

    assert sales(snapshot({BTC: falling()}, books=books(trades=phantom))) == ()


def test_dust_is_reported_and_not_ordered() -> None:
    """Q13: an order the broker cannot take is not sent every five minutes."""
    answer = decided(holding(fallen(quantity="0.0001")))

    assert answer.intents == ()
    assert [(each.symbol, each.rule) for each in answer.refusals] == [(BTC, "dust")]


def test_other_asset_classes_are_left_to_their_module() -> None:
    """I-46."""
    stock = fallen("AAPL", asset_class=AssetClass.STOCK)

    assert sales(snapshot(positions=(stock,))) == ()


def one_falls_and_one_rises(**changes: Any) -> Snapshot:
    return snapshot(
        {ETH: rising(), LTC: falling()},
        positions=(position(LTC, "20"),),
        books=books(trades=(trade(LTC, "20"),)),
        **changes,
    )


def test_exits_come_before_entries() -> None:
    assert [(each.symbol, each.purpose) for each in decided(one_falls_and_one_rises()).intents] == [
        (LTC, Purpose.EXIT),
        (ETH, Purpose.ENTRY),
    ]


def test_exits_do_not_count_among_the_entries_of_a_cycle() -> None:
    """I-49: otherwise a stop that the broker refuses in every cycle would keep all entries waiting for ever."""
    one = limits(safety=SafetyLimits(max_entries_per_cycle=1))

    assert [each.purpose for each in decided(one_falls_and_one_rises(limits=one)).intents] == [
        Purpose.EXIT,
        Purpose.ENTRY,
    ]


def test_every_position_below_its_stop_leaves_at_once() -> None:
    symbols = (BTC, ETH, LTC)

    left = sales(snapshot(positions=tuple(fallen(symbol) for symbol in symbols)))

    assert {each.symbol for each in left} == set(symbols)
    assert len({each.client_order_id for each in left}) == 3


QUANTITIES = st.decimals("0.0001", 900, places=4)
PRICES = st.decimals("50", 130, places=2)


@st.composite
def portfolios(draw: st.DrawFn) -> tuple[Position, ...]:
    held = []
    for symbol in draw(st.sets(st.sampled_from([BTC, ETH, LTC, "SOL/USD"]), min_size=1)):
        quantity, price = draw(QUANTITIES), draw(PRICES)
        free = quantity * draw(st.decimals(0, 1, places=2))
        held.append(position(symbol, str(quantity), str(price), average_entry_price=usd(100), available_quantity=free))
    return tuple(held)


@given(portfolios(), st.sampled_from(Mode))
def test_no_sale_is_ever_empty_or_above_what_is_available(held: tuple[Position, ...], mode: Mode) -> None:
    """I-35, Q13: for any portfolio, in any mode."""
    moment = snapshot(positions=held, mode=mode_state(mode))
    free = {each.symbol: each.available_quantity for each in held}

    sold = sales(moment)

    assert all(0 < each.quantity <= free[each.symbol] for each in sold)
    assert len({each.symbol for each in sold}) == len(sold)


def test_peak_drawdown_halt_keeps_exits_alive() -> None:
    """A 50 % drawdown stops entries for good and no exit."""
    moment = holding(fallen(), account=account(equity_usd=usd(50_000)), books=books(marks=marks()))

    answer = decided(moment)

    assert answer.breaker is not None
    assert [each.purpose for each in answer.intents] == [Purpose.EXIT]


def test_account_that_had_no_equity_at_the_last_close_can_still_leave() -> None:
    """Funded today: there is no daily loss to measure, and that is no reason to keep a falling coin."""
    assert len(sales(holding(fallen(), account=account(last_equity_usd=usd(0))))) == 1


def test_exit_above_the_brokers_order_limit_leaves_in_parts() -> None:
    """W-06: 3,000 coins at 85 are 255,000 dollars; an order of more than 180,000 would be refused for ever."""
    (sale,) = sales(holding(fallen(quantity="3000")))

    assert (sale.quantity * 85).quantize(usd("0.01")) == 180_000


def test_exits_only_are_the_same_exits_and_open_nothing() -> None:
    """I-40: the position monitor's judgement is the cycle's own, without its entries."""
    own = books(trades=(trade(BTC, "10"),))
    moment = snapshot({ETH: rising()}, positions=(fallen(),), books=own)

    full, exits_only = decided(moment), decide(moment, CRYPTO, exits_only=True)

    assert [each.purpose for each in full.intents] == [Purpose.EXIT, Purpose.ENTRY]
    assert exits_only.intents == full.intents[:1]
    assert exits_only.breaker == full.breaker
