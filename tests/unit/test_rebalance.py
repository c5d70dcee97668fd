"""Trims of stocks: the excess over symbol, sector and class, with protection canceled first."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.judgement import Opportunity, Snapshot
from core.model.limits import RiskLimits
from core.model.market import AssetClass
from core.model.orders import OrderClass, OrderType, Position, Purpose
from core.model.trades import TrackRecord
from core.model.universe import exposure_factor, sector
from core.risk.allocation import class_share
from core.risk.rebalance import trims
from tests.builders import books, intent, limits, order, position, record, snapshot, usd

STOCK = AssetClass.STOCK
TECHNOLOGY = ("AAPL", "MSFT", "NVDA")


def shares(symbol: str, quantity: str, **changes: Any) -> Position:
    return position(symbol, quantity, asset_class=STOCK, **changes)


def trimmed(moment: Snapshot) -> tuple[Opportunity, ...]:
    return trims(moment, moment.positions, STOCK, {})


def quantities(moment: Snapshot) -> dict[str, Decimal]:
    return {each.symbol: each.quantity or Decimal(0) for each in trimmed(moment)}


def test_symbol_is_trimmed_to_its_cap() -> None:
    """I-43: 20,000 of one stock where 15,000 are allowed."""
    (trim,) = trimmed(snapshot(positions=(shares("AAPL", "200"),)))

    assert (trim.purpose, trim.quantity, trim.after_cancel) == (Purpose.TRIM, usd(50), ())
    assert trim.reason == "trim: $5000.00 above 15% of one symbol"


def test_sector_is_trimmed_in_proportion() -> None:
    """15,000 each of three technology stocks: 45,000 where 40,000 are allowed; of each 16 of 16.67 shares go."""
    held = tuple(shares(symbol, "150") for symbol in TECHNOLOGY)

    found = trimmed(snapshot(positions=held))

    assert [each.symbol for each in found] == list(TECHNOLOGY)
    assert [each.quantity for each in found] == [16, 16, 16]
    assert {each.reason.split("above ")[1] for each in found} == {"40% of one sector"}


def test_strangers_share_no_sector() -> None:
    """I-41."""
    held = tuple(shares(symbol, "145") for symbol in ("ABC", "DEF", "GHI"))

    assert trimmed(snapshot(positions=held)) == ()


def test_class_is_trimmed_to_what_crypto_leaves_it() -> None:
    """A record of 70 % leaves stocks 25 %: 30,000 are 5,000 too many, 16.67 shares of each."""
    held = tuple(shares(symbol, "100") for symbol in ("AAPL", "JPM", "JNJ"))
    won = snapshot(positions=held, books=books(record=TrackRecord(100, 70, usd(0), usd(0))))

    assert set(quantities(won).values()) == {16}
    assert trimmed(snapshot(positions=held)) == ()


def test_threefold_fund_is_trimmed_by_its_exposure() -> None:
    """6,000 of a threefold fund are 18,000 of the market, 3,000 too many: 1,000 dollars of the fund."""
    assert quantities(snapshot(positions=(shares("UPRO", "60"),))) == {"UPRO": usd(10)}


@pytest.mark.parametrize(
    ("held", "available", "sold"),
    [("3", "3", "1"), ("1", "1", "1"), ("4", "4", "2"), ("3.5", "3.5", "1.75"), ("4", "0.5", "0")],
)
def test_whole_shares_are_trimmed_by_whole_shares_and_at_least_one(held: str, available: str, sold: str) -> None:
    """Half a share is covered by no stop at the broker. Of what was a fraction already, the rest is one too."""
    moment = snapshot(positions=(shares("AAPL", held, available_quantity=usd(available)),))

    found = trims(moment, moment.positions, STOCK, {"AAPL": "half"})

    assert sum((each.quantity or Decimal(0) for each in found), Decimal(0)) == Decimal(sold)


def test_protection_is_canceled_for_a_trim_of_what_it_holds() -> None:
    """I-45: all shares are held by the stop; the trim names it and sells."""
    stop = order(
        intent("AAPL", Purpose.PROTECT, asset_class=STOCK, quantity=usd(200)),
        order_type=OrderType.STOP,
        order_id="stop",
    )
    own = intent("AAPL", Purpose.PROTECT, order_class=OrderClass.OCO)
    held = shares("AAPL", "200", available_quantity=usd(0))

    (trim,) = trimmed(snapshot(positions=(held,), orders=(stop,), books=books(unsettled=(record(own),))))

    assert (trim.quantity, trim.after_cancel) == (usd(50), ("stop",))


@pytest.mark.parametrize(
    "on_its_way",
    [
        {"orders": (order(intent("AAPL", Purpose.TRIM, asset_class=STOCK)),)},
        {"books": books(unsettled=(record(intent("AAPL", Purpose.EXIT, asset_class=STOCK)),))},
    ],
    ids=["at the broker", "in the books"],
)
def test_what_is_being_sold_is_not_sold_again(on_its_way: dict[str, Any]) -> None:
    """I-21."""
    assert trimmed(snapshot(positions=(shares("AAPL", "200"),), **on_its_way)) == ()


def test_short_position_is_not_sold() -> None:
    """I-35; nor does it make room for its sector: 45,000 of three others are still 5,000 too many."""
    short = shares("AAPL", "-10")
    others = tuple(shares(symbol, "150") for symbol in ("MSFT", "NVDA", "AMD"))

    sold = quantities(snapshot(positions=(short, *others)))

    assert trimmed(snapshot(positions=(shares("AAPL", "-200"),))) == ()
    assert sold == {"MSFT": 16, "NVDA": 16, "AMD": 16}


SYMBOLS = st.sampled_from(["AAPL", "MSFT", "NVDA", "TQQQ", "UPRO", "JPM", "ABC", "DEF"])


@given(st.dictionaries(SYMBOLS, st.integers(1, 900), min_size=1), st.integers(0, 100))
def test_trims_lead_back_to_every_cap_and_never_below_the_need(held: dict[str, int], winning: int) -> None:
    """I-12, I-43: afterwards every cap holds within its tolerance, and nobody lost more than the caps' excess."""
    moment = snapshot(
        positions=tuple(shares(symbol, str(quantity)) for symbol, quantity in held.items()),
        books=books(record=TrackRecord(100, winning, usd(0), usd(0))),
        limits=limits(risk=RiskLimits(min_order_usd=usd(0))),
    )
    share, _ = class_share(moment, STOCK)

    sold = quantities(moment)

    before = {symbol: quantity * 100 * exposure_factor(symbol) for symbol, quantity in held.items()}
    after = {
        symbol: (quantity - sold.get(symbol, Decimal(0))) * 100 * exposure_factor(symbol)
        for symbol, quantity in held.items()
    }
    sectors = {sector(symbol) for symbol in held}
    in_sector = {name: sum(usd_ for symbol, usd_ in after.items() if sector(symbol) == name) for name in sectors}
    slack = usd("1.0500001")
    assert all(0 <= left <= usd(15_000) * slack for left in after.values())
    assert all(left <= usd(40_000) * slack for left in in_sector.values())
    assert sum(after.values()) <= share * 100_000 * slack
    if max(before.values()) <= 15_000 and sum(before.values()) <= min(usd(40_000), share * 100_000):
        assert sold == {}
