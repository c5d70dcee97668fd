"""The one sizing function: under every cap at once, on the increment, and never larger for worse facts."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.judgement import Opportunity, Refusal, Target
from core.model.limits import RiskLimits
from core.model.market import Asset, AssetClass
from core.model.orders import Purpose, Side
from core.risk.exposure import Exposure, exposure, has_unpriced_buy, reserve
from core.risk.sizing import Room, size
from tests.builders import BTC, ETH, account, asset, intent, order, position, usd

LIMITS = RiskLimits()
DOLLARS = st.decimals(0, 10**6, places=2)
FRACTIONS = st.decimals(0, 1, places=3)


def opportunity(price: str = "100", stop: str = "90", **changes: Any) -> Opportunity:
    plain = Opportunity(
        symbol=BTC,
        purpose=Purpose.ENTRY,
        strategy="momentum",
        confidence=0.8,
        reason="momentum score +0.60",
        reference_price=usd(price),
        limit_price=usd(price),
        stop_price=usd(stop),
    )
    return replace(plain, **changes)


def room(**changes: Any) -> Room:
    return replace(Room(usd(100_000), usd("0.25"), "learning", Decimal(1)), **changes)


def empty(spendable: str = "100000") -> Exposure:
    return Exposure({}, {}, frozenset(), usd(spendable), usd(0))


def sized(
    idea: Opportunity | None = None,
    of: Asset | None = None,
    used: Exposure | None = None,
    within: Room | None = None,
    limits: RiskLimits = LIMITS,
) -> Target | Refusal:
    return size(idea or opportunity(), of or asset(), used or empty(), within or room(), limits=limits)


def quantity(answer: Target | Refusal) -> Decimal:
    """What would be bought; nothing after a refusal."""
    return answer.quantity if isinstance(answer, Target) else usd(0)


@pytest.mark.parametrize(
    ("idea", "used", "within", "expected", "limited_by"),
    [
        # 1 % of 100,000 over a stop 25 % away: 4,000 dollars.
        (opportunity(stop="75"), empty(), room(), "40", "risk_budget"),
        # 1,000 over 10 % would be 10,000; an entry is at most 5 %.
        (opportunity(), empty(), room(), "50", "entry_cap"),
        (opportunity(), Exposure({BTC: usd(12_000)}, {}, frozenset(), usd(99_999), usd(0)), room(), "30", "symbol_cap"),
        (
            opportunity(),
            Exposure({ETH: usd(24_000)}, {AssetClass.CRYPTO: usd(24_000)}, frozenset(), usd(99_999), usd(0)),
            room(),
            "10",
            "class_share",
        ),
        (opportunity(), Exposure({"A": usd(98_000)}, {}, frozenset(), usd(99_999), usd(0)), room(), "20", "gross_cap"),
        # 13,000 of cash less a floor of 10,000, less 1,000 that this batch has spent.
        (opportunity(), Exposure({}, {}, frozenset(), usd(13_000), usd(1_000)), room(), "20", "cash"),
        (opportunity(daily_volume_usd=150_000.0), empty(), room(), "15", "volume"),
        (opportunity(stop="99"), empty(), room(equity_usd=usd(10**7)), "1800", "order_limit"),
        (opportunity(), empty(), room(drawdown_factor=usd("0.5")), "25", "entry_cap"),
        (opportunity(size_factor=usd("0.8")), empty(), room(), "40", "entry_cap"),
    ],
    ids=["risk", "entry", "symbol", "class", "gross", "cash", "volume", "order", "drawdown", "session"],
)
def test_tightest_limit_decides_by_hand(
    idea: Opportunity, used: Exposure, within: Room, expected: str, limited_by: str
) -> None:
    spendable = replace(used, spendable_usd=usd(10**8)) if limited_by == "order_limit" else used

    answer = sized(idea, used=spendable, within=within)

    assert isinstance(answer, Target)
    assert (answer.quantity, answer.limited_by) == (usd(expected), limited_by)


def test_bitcoin_is_bought_in_fractions() -> None:
    """W-35: 5,000 dollars at 60,000 are 0.083333333 coins, not zero shares."""
    answer = sized(opportunity("60000", "54000"))

    assert quantity(answer) == usd("0.083333333")


def test_quantity_is_floored_to_the_assets_increment() -> None:
    assert quantity(sized(opportunity("60000", "54000"), asset(quantity_increment=usd("0.01")))) == usd("0.08")


def test_room_below_the_smallest_order_is_a_refusal_with_its_limit() -> None:
    answer = sized(used=empty("10009"))

    assert isinstance(answer, Refusal)
    assert answer.rule == "cash"
    assert "$9.00" in answer.reason


def test_quantity_below_the_assets_minimum_is_refused() -> None:
    assert isinstance(sized(of=asset(min_order_quantity=usd("50.1"))), Refusal)


def test_full_drawdown_buys_nothing() -> None:
    assert isinstance(sized(within=room(drawdown_factor=usd(0))), Refusal)


@pytest.mark.parametrize(("stop", "price"), [("100", "100"), ("101", "100")])
def test_stop_that_is_not_below_the_entry_is_refused(stop: str, price: str) -> None:
    answer = sized(opportunity(price, stop))

    assert isinstance(answer, Refusal)
    assert answer.rule == "stop"


@pytest.mark.parametrize("idea", [opportunity(stop_price=None), opportunity(limit_price=None)], ids=["stop", "limit"])
def test_entry_without_stop_or_limit_is_refused(idea: Opportunity) -> None:
    answer = sized(idea)

    assert isinstance(answer, Refusal)
    assert answer.rule == "stop"


def test_one_position_too_many_is_refused() -> None:
    """I-16."""
    full = replace(empty(), positions_and_buys=frozenset(f"C{index}/USD" for index in range(25)))
    one_left = replace(empty(), positions_and_buys=frozenset(f"C{index}/USD" for index in range(24)))

    answer = sized(used=full)

    assert isinstance(answer, Refusal)
    assert answer.rule == "max_positions"
    assert isinstance(sized(used=one_left), Target)


@pytest.mark.parametrize("factor", ["1.2", "2.0", "3.5"])
def test_no_factor_ever_enlarges(factor: str) -> None:
    """I-17, W-01: sessions, drawdowns and "leverage" only ever shrink."""
    assert quantity(sized(opportunity(size_factor=usd(factor)))) == quantity(sized())
    assert quantity(sized(within=room(drawdown_factor=usd(factor)))) == quantity(sized())


@st.composite
def circumstances(draw: st.DrawFn) -> tuple[Opportunity, Asset, Exposure, Room]:
    price = draw(st.decimals("0.01", 100_000, places=2))
    stop = price * draw(st.decimals("0.5", "0.999", places=3))
    held, other, foreign = draw(DOLLARS), draw(DOLLARS), draw(DOLLARS)
    used = Exposure(
        {BTC: held, ETH: other, "AAPL": foreign},
        {AssetClass.CRYPTO: held + other, AssetClass.STOCK: foreign},
        frozenset({BTC, ETH, "AAPL"}),
        draw(DOLLARS),
        draw(DOLLARS),
    )
    within = room(
        equity_usd=draw(st.decimals(1, 10**7, places=2)),
        class_share_frac=draw(FRACTIONS),
        drawdown_factor=draw(st.decimals(0, 2, places=2)),
    )
    idea = opportunity(str(price), str(stop), size_factor=draw(st.decimals(0, 2, places=2)))
    idea = replace(idea, daily_volume_usd=draw(st.none() | st.floats(0, 1e9)))
    increment = draw(st.sampled_from([usd("0.000000001"), usd("0.0001"), usd("0.1"), usd(1)]))
    return idea, asset(quantity_increment=increment), used, within


@given(circumstances())
def test_no_cap_is_ever_exceeded(facts: tuple[Opportunity, Asset, Exposure, Room]) -> None:
    """I-12, I-13, I-15: all caps hold at once, whatever the account looks like."""
    idea, of, used, within = facts
    answer = sized(idea, of, used, within)
    price, stop = idea.limit_price, idea.stop_price
    assert price is not None
    assert stop is not None

    if isinstance(answer, Target):
        dollars, equity = answer.quantity * price, within.equity_usd
        assert answer.quantity * (price - stop) <= LIMITS.risk_per_trade_frac * equity * usd("1.000000001")
        assert dollars <= LIMITS.max_entry_frac * equity
        assert used.by_symbol[BTC] + dollars <= LIMITS.max_symbol_frac * equity
        assert used.by_class[AssetClass.CRYPTO] + dollars <= within.class_share_frac * equity
        assert used.gross_usd + dollars <= LIMITS.max_gross_frac * equity
        assert used.spendable_usd - used.reserved_usd - dollars >= LIMITS.cash_floor_frac * equity
        assert LIMITS.min_order_usd <= dollars <= LIMITS.max_order_usd
        assert answer.quantity % of.quantity_increment == 0
        assert answer.quantity >= of.min_order_quantity
        if idea.daily_volume_usd is not None:
            assert float(dollars) <= 0.01 * idea.daily_volume_usd * 1.000001


@given(circumstances(), FRACTIONS, FRACTIONS)
def test_worse_drawdown_never_buys_more(
    facts: tuple[Opportunity, Asset, Exposure, Room], one: Decimal, other: Decimal
) -> None:
    """I-18."""
    idea, of, used, within = facts
    worse, better = sorted((one, other))

    smaller = quantity(sized(idea, of, used, replace(within, drawdown_factor=worse)))

    assert smaller <= quantity(sized(idea, of, used, replace(within, drawdown_factor=better)))


@given(circumstances(), st.decimals("0.01", "0.99", places=3), st.decimals("0.01", "0.99", places=3))
def test_wider_stop_never_buys_more(
    facts: tuple[Opportunity, Asset, Exposure, Room], one: Decimal, other: Decimal
) -> None:
    idea, of, used, within = facts
    assert idea.limit_price is not None
    wide, tight = sorted((one, other))

    few = quantity(sized(replace(idea, stop_price=idea.limit_price * wide), of, used, within))

    assert few <= quantity(sized(replace(idea, stop_price=idea.limit_price * tight), of, used, within))


@given(circumstances(), DOLLARS)
def test_less_cash_or_more_exposure_never_buys_more(
    facts: tuple[Opportunity, Asset, Exposure, Room], amount: Decimal
) -> None:
    idea, of, used, within = facts
    poorer = replace(used, spendable_usd=used.spendable_usd - amount)
    fuller = used.with_reserved(ETH, AssetClass.CRYPTO, amount)

    assert quantity(sized(idea, of, poorer, within)) <= quantity(sized(idea, of, used, within))
    assert quantity(sized(idea, of, fuller, within)) <= quantity(sized(idea, of, used, within))


def test_exposure_counts_positions_and_open_buys_at_their_limit() -> None:
    """I-13: 10 coins worth 1,000, and 3 of 5 coins still to come at 102."""
    buying = order(intent(ETH, quantity=usd(5), limit_price=usd(102)), filled="2")
    selling = order(intent(BTC, Purpose.EXIT, quantity=usd(10)))

    counted = exposure(account(), [position(BTC, "10")], [buying, selling])

    assert counted.by_symbol == {BTC: usd(1000), ETH: usd(306)}
    assert counted.by_class == {AssetClass.CRYPTO: usd(1306)}
    assert counted.positions_and_buys == {BTC, ETH}
    assert (counted.gross_usd, counted.reserved_usd, counted.spendable_usd) == (usd(1306), usd(0), usd(100_000))


def test_exposure_forgets_orders_that_are_done() -> None:
    assert exposure(account(), [], [order(filled="1")]).by_symbol == {}


def test_spendable_is_what_crypto_may_spend_and_not_the_margin_power() -> None:
    """I-15, W-10: crypto is bought with non-marginable buying power."""
    rich = account(non_marginable_buying_power_usd=usd(500), buying_power_usd=usd(400_000))

    assert exposure(rich, [], []).spendable_usd == 500


def test_asset_class_comes_from_the_broker_and_not_from_the_symbol() -> None:
    """I-46, W-39: a stock with USD in its name is a stock, a coin with a long name is a coin."""
    held = [position("USDXX", asset_class=AssetClass.STOCK), position("MATIC/USD")]

    assert exposure(account(), held, []).by_class == {AssetClass.STOCK: usd(1000), AssetClass.CRYPTO: usd(1000)}


def test_planned_entry_is_reserved_and_an_exit_is_not() -> None:
    """I-14."""
    before = exposure(account(), [], [])

    after = reserve(before, intent(quantity=usd(3), limit_price=usd(101)))

    assert (after.reserved_usd, after.by_symbol, after.gross_usd) == (usd(303), {BTC: usd(303)}, usd(303))
    assert reserve(before, intent(BTC, Purpose.EXIT)) == before


@pytest.mark.parametrize(
    ("changes", "unpriced"),
    [
        ({"limit_price": None}, True),
        ({"quantity": None}, True),
        ({}, False),
        ({"limit_price": None, "side": Side.SELL}, False),
    ],
)
def test_open_buy_without_price_or_quantity_is_noticed(changes: dict[str, Any], unpriced: bool) -> None:
    assert has_unpriced_buy([order(**changes)]) is unpriced
