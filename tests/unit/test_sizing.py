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
from core.model.orders import Leg, PositionIntent, Purpose
from core.risk.exposure import Exposure
from core.risk.sizing import Room, size
from tests.builders import BTC, ETH, asset, usd

COIN, SHARE, OPTION = AssetClass.CRYPTO, AssetClass.STOCK, AssetClass.OPTION
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
    return replace(Room(usd(100_000), usd("0.25"), "learning", Decimal(1), usd(0)), **changes)


def used(
    *amounts: tuple[AssetClass, str, int], spendable: int | str = 10**8, option_risk: int | Decimal = 0
) -> Exposure:
    return Exposure({(each, name): usd(value) for each, name, value in amounts}, usd(option_risk), usd(spendable))


def stock(symbol: str) -> Asset:
    return asset(symbol, asset_class=AssetClass.STOCK, quantity_increment=usd(1), min_order_quantity=usd(1))


def spread(cost: str = "300", risk: str = "300", **changes: Any) -> Opportunity:
    """A structure on AAPL that costs and may lose 300 dollars a unit."""
    legs = (Leg("AAPL250718C00200000", 1, PositionIntent.BUY_TO_OPEN),)
    plain = opportunity(legs=legs, underlying="AAPL", unit_cost_usd=usd(cost), unit_risk_usd=usd(risk))
    return replace(plain, symbol="AAPL", stop_price=None, **changes)


CONTRACT = asset("AAPL", asset_class=AssetClass.OPTION, quantity_increment=usd(1), min_order_quantity=usd(1))


def sized(
    idea: Opportunity | None = None,
    of: Asset | None = None,
    at_work: Exposure | None = None,
    within: Room | None = None,
    limits: RiskLimits = LIMITS,
) -> Target | Refusal:
    return size(
        idea or opportunity(), of or asset(), at_work or used(spendable=100_000), within or room(), limits=limits
    )


def quantity(answer: Target | Refusal) -> Decimal:
    """What would be bought; nothing after a refusal."""
    return answer.quantity if isinstance(answer, Target) else usd(0)


@pytest.mark.parametrize(
    ("idea", "at_work", "within", "expected", "limited_by"),
    [
        # 1 % of 100,000 over a stop 25 % away: 4,000 dollars.
        (opportunity(stop="75"), used(), room(), "40", "risk_budget"),
        # 1,000 over 10 % would be 10,000; an entry is at most 5 %.
        (opportunity(), used(), room(), "50", "entry_cap"),
        (opportunity(), used((COIN, BTC, 12_000)), room(), "30", "symbol_cap"),
        (opportunity(), used((COIN, ETH, 24_000)), room(), "10", "class_share"),
        (opportunity(), used((SHARE, "A", 98_000)), room(), "20", "gross_cap"),
        (opportunity(), used(), room(correlated_usd=usd(39_000)), "10", "correlated_cap"),
        # 13,000 of cash less a floor of 10,000.
        (opportunity(), used(spendable=13_000), room(), "30", "cash"),
        (opportunity(daily_volume_usd=150_000.0), used(), room(), "15", "volume"),
        (opportunity(stop="99"), used(), room(equity_usd=usd(10**7)), "1800", "order_limit"),
        (opportunity(), used(), room(drawdown_factor=usd("0.5")), "25", "entry_cap"),
        (opportunity(size_factor=usd("0.8")), used(), room(), "40", "entry_cap"),
        (opportunity(quantity=usd(7)), used(), room(), "7", "offered"),
    ],
    ids=[
        "risk",
        "entry",
        "symbol",
        "class",
        "gross",
        "correlation",
        "cash",
        "volume",
        "order",
        "drawdown",
        "session",
        "offered",
    ],
)
def test_tightest_limit_decides_by_hand(
    idea: Opportunity, at_work: Exposure, within: Room, expected: str, limited_by: str
) -> None:
    answer = sized(idea, at_work=at_work, within=within)

    assert isinstance(answer, Target)
    assert (answer.quantity, answer.limited_by) == (usd(expected), limited_by)


@pytest.mark.parametrize(
    ("symbol", "at_work", "expected", "limited_by"),
    [
        # 40,000 may be technology; 39,000 are, in other symbols and in an option on one of them.
        ("AAPL", used((SHARE, "MSFT", 14_000), (SHARE, "NVDA", 14_000), (OPTION, "MSFT", 11_000)), "10", "sector_cap"),
        # The option on AAPL uses AAPL's 15 %.
        ("AAPL", used((SHARE, "AAPL", 3_000), (OPTION, "AAPL", 11_000)), "10", "symbol_cap"),
        # A dollar of a threefold fund is three of the market: 15,000 are 5,000 of the fund, 13,500 of them are held.
        ("UPRO", used((SHARE, "UPRO", 13_500)), "5", "symbol_cap"),
        # Nobody's sector: strangers do not share a cap (I-41).
        ("XYZ", used((SHARE, "ABC", 15_000), (SHARE, "DEF", 15_000), (SHARE, "GHI", 15_000)), "50", "entry_cap"),
    ],
)
def test_caps_of_stocks_by_hand(symbol: str, at_work: Exposure, expected: str, limited_by: str) -> None:
    """I-12, I-41, W-36: the caps of symbol and sector see every class."""
    answer = sized(opportunity(symbol=symbol), stock(symbol), at_work, room(class_share_frac=usd("0.5")))

    assert isinstance(answer, Target)
    assert (answer.quantity, answer.limited_by) == (usd(expected), limited_by)


@pytest.mark.parametrize(
    ("idea", "at_work", "expected", "limited_by"),
    [
        # 1,000 at risk, 300 a unit: three whole structures.
        (spread(), used(), "3", "risk_budget"),
        # 9,400 of the 10,000 that all options may lose are taken.
        (spread(), used(option_risk=9_400), "2", "option_risk"),
        # A condor that holds 450 of collateral and can lose 450: two.
        (spread("450", "450"), used(), "2", "risk_budget"),
        # A covered call takes no cash; as many as the shares cover.
        (spread("0", "20", quantity=usd(2)), used(), "2", "offered"),
        (spread("2600", "100"), used(), "1", "entry_cap"),
    ],
)
def test_options_are_sized_by_their_largest_loss_in_whole_contracts(
    idea: Opportunity, at_work: Exposure, expected: str, limited_by: str
) -> None:
    answer = sized(idea, CONTRACT, at_work)

    assert isinstance(answer, Target)
    assert (answer.quantity, answer.limited_by) == (usd(expected), limited_by)


@pytest.mark.parametrize(
    ("idea", "rule"),
    [
        (spread(unit_risk_usd=None), "max_loss"),
        (spread(unit_cost_usd=None), "max_loss"),
        (spread(risk="0"), "max_loss"),
        (spread(risk="1001"), "risk_budget"),
    ],
)
def test_option_whose_loss_is_unknown_or_too_large_is_refused(idea: Opportunity, rule: str) -> None:
    answer = sized(idea, CONTRACT)

    assert isinstance(answer, Refusal)
    assert answer.rule == rule


def test_bitcoin_is_bought_in_fractions() -> None:
    """W-35: 5,000 dollars at 60,000 are 0.083333333 coins, not zero shares."""
    answer = sized(opportunity("60000", "54000"))

    assert quantity(answer) == usd("0.083333333")


def test_quantity_is_floored_to_the_assets_increment() -> None:
    assert quantity(sized(opportunity("60000", "54000"), asset(quantity_increment=usd("0.01")))) == usd("0.08")


def test_room_below_the_smallest_order_is_a_refusal_with_its_limit() -> None:
    answer = sized(at_work=used(spendable=10_009))

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
    names = [(COIN, f"C{index}/USD", 1) for index in range(25)]

    answer = sized(at_work=used(*names))

    assert isinstance(answer, Refusal)
    assert answer.rule == "max_positions"
    assert isinstance(sized(at_work=used(*names[:24])), Target)
    assert isinstance(sized(at_work=used(*names[:24], (COIN, BTC, 1))), Target)
    assert isinstance(sized(at_work=used(*names[:24], (OPTION, "C0/USD", 1))), Target)


@pytest.mark.parametrize("factor", ["1.2", "2.0", "3.5"])
def test_no_factor_ever_enlarges(factor: str) -> None:
    """I-17, W-01: sessions, drawdowns and "leverage" only ever shrink."""
    assert quantity(sized(opportunity(size_factor=usd(factor)))) == quantity(sized())
    assert quantity(sized(within=room(drawdown_factor=usd(factor)))) == quantity(sized())


Facts = tuple[Opportunity, Asset, Exposure, Room]


@st.composite
def circumstances(draw: st.DrawFn) -> Facts:
    price = draw(st.decimals("0.01", 100_000, places=2))
    stop = price * draw(st.decimals("0.5", "0.999", places=3))
    held, other, foreign = draw(DOLLARS), draw(DOLLARS), draw(DOLLARS)
    at_work = Exposure({(COIN, BTC): held, (COIN, ETH): other, (SHARE, "AAPL"): foreign}, usd(0), draw(DOLLARS))
    within = room(
        equity_usd=draw(st.decimals(1, 10**7, places=2)),
        class_share_frac=draw(FRACTIONS),
        drawdown_factor=draw(st.decimals(0, 2, places=2)),
        correlated_usd=held + other * draw(FRACTIONS),
    )
    idea = opportunity(str(price), str(stop), size_factor=draw(st.decimals(0, 2, places=2)))
    idea = replace(idea, daily_volume_usd=draw(st.none() | st.floats(0, 1e9)))
    increment = draw(st.sampled_from([usd("0.000000001"), usd("0.0001"), usd("0.1"), usd(1)]))
    return idea, asset(quantity_increment=increment), at_work, within


@given(circumstances())
def test_no_cap_is_ever_exceeded(facts: Facts) -> None:
    """I-12, I-13, I-15: all caps hold at once, whatever the account looks like."""
    idea, of, at_work, within = facts
    answer = sized(idea, of, at_work, within)
    price, stop = idea.limit_price, idea.stop_price
    assert price is not None
    assert stop is not None

    if isinstance(answer, Target):
        dollars, equity = answer.quantity * price, within.equity_usd
        assert answer.quantity * (price - stop) <= LIMITS.risk_per_trade_frac * equity * usd("1.000000001")
        assert dollars <= LIMITS.max_entry_frac * equity
        assert at_work.of_symbol(BTC) + dollars <= LIMITS.max_symbol_frac * equity
        assert sum(at_work.in_class(COIN).values()) + dollars <= within.class_share_frac * equity
        assert at_work.gross_usd + dollars <= LIMITS.max_gross_frac * equity
        assert within.correlated_usd + dollars <= LIMITS.max_correlated_frac * equity
        assert at_work.spendable_usd - dollars >= LIMITS.cash_floor_frac * equity
        assert LIMITS.min_order_usd <= dollars <= LIMITS.max_order_usd
        assert answer.quantity % of.quantity_increment == 0
        assert answer.quantity >= of.min_order_quantity
        if idea.daily_volume_usd is not None:
            assert float(dollars) <= 0.01 * idea.daily_volume_usd * 1.000001


@given(circumstances(), FRACTIONS, FRACTIONS)
def test_worse_drawdown_never_buys_more(facts: Facts, one: Decimal, other: Decimal) -> None:
    """I-18."""
    idea, of, at_work, within = facts
    worse, better = sorted((one, other))

    smaller = quantity(sized(idea, of, at_work, replace(within, drawdown_factor=worse)))

    assert smaller <= quantity(sized(idea, of, at_work, replace(within, drawdown_factor=better)))


@given(circumstances(), st.decimals("0.01", "0.99", places=3), st.decimals("0.01", "0.99", places=3))
def test_wider_stop_never_buys_more(facts: Facts, one: Decimal, other: Decimal) -> None:
    idea, of, at_work, within = facts
    assert idea.limit_price is not None
    wide, tight = sorted((one, other))

    few = quantity(sized(replace(idea, stop_price=idea.limit_price * wide), of, at_work, within))

    assert few <= quantity(sized(replace(idea, stop_price=idea.limit_price * tight), of, at_work, within))


@given(circumstances(), DOLLARS)
def test_less_cash_or_more_exposure_never_buys_more(facts: Facts, amount: Decimal) -> None:
    idea, of, at_work, within = facts
    now = quantity(sized(idea, of, at_work, within))
    poorer = replace(at_work, spendable_usd=at_work.spendable_usd - amount)
    fuller = at_work.plus(AssetClass.CRYPTO, ETH, amount)

    assert quantity(sized(idea, of, poorer, within)) <= now
    assert quantity(sized(idea, of, fuller, within)) <= now
    assert quantity(sized(idea, of, at_work, replace(within, correlated_usd=within.correlated_usd + amount))) <= now
