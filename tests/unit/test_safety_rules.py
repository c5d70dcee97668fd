"""Each rule of the gate at its boundary, and a storm of orders that all of them together must stop."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import cycle, islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.execution.ids import client_order_id
from core.model.judgement import Mode
from core.model.limits import SafetyLimits
from core.model.market import AssetClass
from core.model.orders import Order, OrderIntent, Purpose, Side
from core.safety import rules
from core.safety.rules import (
    ACCOUNT_RULES,
    SYMBOL_RULES,
    AccountRule,
    Circumstances,
    Rule,
    Sent,
    refusals_of,
    sent_now,
    sent_orders,
)
from tests.builders import ACCOUNT_ID, AS_OF, BTC, ETH, intent, mode_state, sent_order, usd

BUY, SELL = Side.BUY, Side.SELL


def sent(side: Side, minutes_ago: float, symbol: str = BTC) -> Sent:
    return Sent(symbol, side, AS_OF - timedelta(minutes=minutes_ago), side is BUY)


def now(*history: Sent, **changes: Any) -> Circumstances:
    """A calm day: ACTIVE, no loss, no drift; only the history given."""
    plain = Circumstances(
        as_of=AS_OF,
        mode=mode_state(),
        sent=tuple(sorted(history, key=lambda each: each.at)),
        daily_change_frac=usd(0),
        drawdown_frac=usd(0),
        position_drift="",
        rejected_at=(),
        limits=SafetyLimits(),
    )
    return replace(plain, **changes)


def refuses(rule: AccountRule | Rule, circumstances: Circumstances, symbol: str = BTC) -> bool:
    """By one rule, whether it looks at the whole account or at this entry."""
    return rule.__name__ in {refusal.rule for refusal in refusals_of(intent(symbol), circumstances)}


def refuses_intent(of: OrderIntent, circumstances: Circumstances) -> bool:
    return "symbol_cooldown" in {refusal.rule for refusal in refusals_of(of, circumstances)}


def test_calm_day_refuses_nothing() -> None:
    assert refusals_of(intent(), now()) == ()


@pytest.mark.parametrize(("mode", "refused"), [(Mode.ACTIVE, False), (Mode.REDUCING, True), (Mode.HALTED, True)])
def test_entries_need_the_active_mode(mode: Mode, refused: bool) -> None:
    assert refuses(rules.mode, now(mode=mode_state(mode))) is refused


@pytest.mark.parametrize(("change", "refused"), [("0.05", False), ("-0.0199", False), ("-0.02", True), ("-0.5", True)])
def test_two_percent_down_in_a_day_refuses_entries(change: str, refused: bool) -> None:
    assert refuses(rules.daily_loss, now(daily_change_frac=usd(change))) is refused


def test_daily_loss_can_be_ignored_on_purpose_only() -> None:
    ignoring = SafetyLimits(ignore_daily_loss=True)

    assert not refuses(rules.daily_loss, now(daily_change_frac=usd("-0.03"), limits=ignoring))


@pytest.mark.parametrize(("down", "refused"), [("0.1499", False), ("0.15", True)])
def test_fifteen_percent_below_the_peak_refuses_entries(down: str, refused: bool) -> None:
    assert refuses(rules.peak_drawdown, now(drawdown_frac=usd(down))) is refused


def test_drift_between_books_and_broker_refuses_entries_with_its_words() -> None:
    """I-09."""
    (only,) = refusals_of(intent(), now(position_drift="BTC/USD: the broker holds 2, the books explain 1"))

    assert (only.rule, only.reason) == ("position_drift", "BTC/USD: the broker holds 2, the books explain 1")


@pytest.mark.parametrize(("minutes", "refused"), [(0, True), (4.99, True), (5, False), (60, False)])
@pytest.mark.parametrize("side", list(Side))
def test_symbol_rests_five_minutes_after_any_order(minutes: float, refused: bool, side: Side) -> None:
    """W-65; a sale counts too, so that nothing is bought back at once."""
    assert refuses(rules.symbol_cooldown, now(sent(side, minutes))) is refused


def test_cooldown_is_of_one_symbol() -> None:
    assert not refuses(rules.symbol_cooldown, now(sent(BUY, 1, ETH)))


@pytest.mark.parametrize(
    ("minutes", "refused"), [((10, 50), True), ((10, 59.9), True), ((10, 60), False), ((10,), False), ((61, 62), False)]
)
def test_two_orders_of_a_symbol_an_hour(minutes: tuple[float, ...], refused: bool) -> None:
    assert refuses(rules.symbol_hourly_limit, now(*(sent(BUY, each) for each in minutes))) is refused


@pytest.mark.parametrize(("minutes", "refused"), [((6, 9), True), ((6, 9.9), True), ((6, 10), False), ((6,), False)])
def test_third_order_of_a_symbol_within_ten_minutes_is_refused(minutes: tuple[float, ...], refused: bool) -> None:
    assert refuses(rules.rapid_pattern, now(*(sent(BUY, each) for each in minutes))) is refused


@pytest.mark.parametrize(
    ("history", "refused"),
    [
        ([(SELL, 50), (BUY, 40), (SELL, 30)], True),
        ([(BUY, 59), (SELL, 58), (BUY, 40), (SELL, 30)], True),
        ([(SELL, 59.9), (BUY, 40), (SELL, 30)], True),
        ([(SELL, 60), (BUY, 40), (SELL, 30)], False),
        ([(BUY, 40), (SELL, 30)], False),
        ([(SELL, 50), (SELL, 40), (SELL, 30)], False),
        ([(SELL, 50), (BUY, 40), (BUY, 30)], False),
    ],
)
def test_fourth_change_of_side_within_an_hour_is_refused(history: list[tuple[Side, float]], refused: bool) -> None:
    """The order judged is a buy: S B S B within 60 minutes is churn."""
    assert refuses(rules.alternating_sides, now(*(sent(side, minutes) for side, minutes in history))) is refused


def test_two_normal_round_trips_over_days_do_not_block_a_symbol() -> None:
    """The pattern has a window: B S B S over days is trading, not churn."""
    day = 24 * 60
    history = [sent(BUY, 4 * day), sent(SELL, 3 * day), sent(BUY, 2 * day), sent(SELL, 1.5 * day)]

    assert refusals_of(intent(), now(*history)) == ()


def test_same_round_trips_within_an_hour_are_refused() -> None:
    history = [sent(BUY, 55), sent(SELL, 45), sent(BUY, 35), sent(SELL, 25)]

    assert {refusal.rule for refusal in refusals_of(intent(), now(*history))} == {
        "symbol_hourly_limit",
        "alternating_sides",
    }


@pytest.mark.parametrize(
    ("history", "refused"),
    [
        ([sent(BUY, 0, ETH), sent(BUY, 4.99, "C/USD")], True),
        ([sent(BUY, 0, ETH), sent(BUY, 5, "C/USD")], False),
        ([sent(BUY, 0, ETH), sent(SELL, 0, "C/USD"), sent(SELL, 1, "D/USD")], False),
    ],
)
def test_two_entries_in_five_minutes_over_all_symbols(history: list[Sent], refused: bool) -> None:
    assert refuses(rules.order_rate, now(*history)) is refused


@pytest.mark.parametrize(
    ("count", "oldest_minutes", "refused"), [(10, 1439, True), (9, 1439, False), (10, 1440, False)]
)
def test_ten_entries_a_day_over_all_symbols(count: int, oldest_minutes: float, refused: bool) -> None:
    history = [sent(BUY, oldest_minutes - 20 * index, f"C{index}/USD") for index in range(count)]

    assert refuses(rules.daily_entries, now(*history)) is refused


@pytest.mark.parametrize(("n_opening", "most", "refused"), [(0, 1, False), (1, 1, True), (1, 2, False), (2, 2, True)])
def test_an_entry_waits_where_its_cycle_opens_enough_already(n_opening: int, most: int, refused: bool) -> None:
    limits = SafetyLimits(max_entries_per_cycle=most)

    assert refuses(rules.entries_per_cycle, now(n_opening=n_opening, limits=limits)) is refused


def test_sales_do_not_use_up_the_days_entries() -> None:
    assert not refuses(rules.daily_entries, now(*(sent(SELL, 30 * index) for index in range(40))))


@pytest.mark.parametrize(
    ("minutes", "refused"), [((1, 2, 1439), True), ((1, 2, 1440), False), ((1, 2), False), ((), False)]
)
def test_three_rejections_within_a_day_refuse_entries(minutes: tuple[float, ...], refused: bool) -> None:
    rejected_at = tuple(AS_OF - timedelta(minutes=each) for each in minutes)

    assert refuses(rules.rejections, now(rejected_at=rejected_at)) is refused


def test_every_rule_that_refuses_is_reported() -> None:
    bad = now(sent(BUY, 1), mode=mode_state(Mode.REDUCING), daily_change_frac=usd("-0.1"))

    assert [refusal.rule for refusal in refusals_of(intent(), bad)] == ["mode", "daily_loss", "symbol_cooldown"]
    assert {refusal.symbol for refusal in refusals_of(intent(), bad)} == {BTC}


def test_every_rule_written_is_asked() -> None:
    """W-43: no safety code that nobody calls."""
    written = {
        name
        for name, value in vars(rules).items()
        if callable(value) and getattr(value, "__annotations__", {}).get("now") == "Circumstances"
    }

    named = {rule.__name__ for rule in (*ACCOUNT_RULES, *SYMBOL_RULES)}
    assert written - {"refusals_of", "closed_to_entries"} == named


def test_history_is_read_from_the_brokers_orders_oldest_first() -> None:
    """W-50: what was sent is what the broker has, in whatever order it lists it; a canceled entry was one too."""
    listed = [sent_order(BTC, BUY, 1), sent_order(ETH, SELL, 30), sent_order(BTC, BUY, 10)]

    assert sent_orders(listed) == (sent(SELL, 30, ETH), sent(BUY, 10), sent(BUY, 1))


def test_history_says_what_an_order_was_for() -> None:
    """Our ids name the purpose: a written put opens risk, one bought back does not, and protection does not count."""

    def named(purpose: Purpose, side: Side, symbol: str = "AAPL250718P00150000") -> Order:
        order_id = client_order_id(ACCOUNT_ID, "options-1", AS_OF, symbol, purpose)
        return sent_order(symbol, side, asset_class=AssetClass.OPTION, client_order_id=order_id)

    listed = [
        named(Purpose.ENTRY, SELL),
        named(Purpose.EXIT, BUY),
        named(Purpose.PROTECT, SELL, "MSFT"),
        named(Purpose.ENTRY, BUY, "NVDA"),
    ]

    assert sent_orders(listed) == (
        Sent("AAPL", SELL, AS_OF, True),
        Sent("AAPL", BUY, AS_OF, False),
        Sent("NVDA", BUY, AS_OF, True),
    )


def test_contracts_of_one_underlying_share_its_limits() -> None:
    """I-11: another strike is no way around the cooldown, and a new order of the batch counts for the next."""
    call = intent("AAPL250718C00200000", underlying="AAPL", asset_class=AssetClass.OPTION)

    assert refuses_intent(call, now(sent(SELL, 1, "AAPL")))
    assert refuses_intent(intent("AAPL"), now(sent_now(call, AS_OF)))
    assert sent_now(call, AS_OF) == Sent("AAPL", BUY, AS_OF, True)


@pytest.mark.parametrize(
    ("symbols", "at_most"),
    [((BTC,), 1), (tuple(f"C{index}/USD" for index in range(5)), 2)],
    ids=["one symbol", "five symbols"],
)
def test_fifty_orders_in_five_minutes_stop_at_the_third_at_the_latest(symbols: tuple[str, ...], at_most: int) -> None:
    """I-11: 36,462 dollars went in five minutes and 50 orders; every order let through counts against the next."""
    let_through: list[Sent] = []
    for index, symbol in enumerate(islice(cycle(symbols), 50)):
        at = AS_OF + timedelta(seconds=6 * index)
        if not refusals_of(intent(symbol), now(*let_through, as_of=at)):
            let_through.append(Sent(symbol, BUY, at, True))

    assert len(let_through) == at_most


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 20)), max_size=120))
def test_no_stream_of_attempts_gets_past_the_rates(attempts: list[tuple[int, int]]) -> None:
    """I-11, I-20: never three entries in any five minutes, three orders of a symbol in an hour, eleven in a day."""
    let_through: list[Sent] = []
    at = AS_OF
    for number, minutes in attempts:
        at += timedelta(minutes=minutes)
        symbol = f"C{number}/USD"
        if not refusals_of(intent(symbol), now(*let_through, as_of=at)):
            let_through.append(Sent(symbol, BUY, at, True))

    for each in let_through:
        earlier = [other for other in let_through if other.at <= each.at]
        assert sum(each.at - other.at < timedelta(minutes=5) for other in earlier) <= 2
        assert sum(each.at - other.at < timedelta(hours=24) for other in earlier) <= 10
        assert sum(each.at - other.at < timedelta(hours=1) and other.symbol == each.symbol for other in earlier) <= 2
