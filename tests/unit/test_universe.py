"""The stock universe as data: tiers, sectors, groups and exposure."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from core.model.universe import (
    BENCHMARK,
    UNDERLYINGS,
    UNIVERSE,
    Group,
    exposure_factor,
    listing,
    sector,
    stock_symbols,
)
from core.modules.stocks import STRATEGIES_OF


def test_universe_has_41_symbols_in_four_tiers() -> None:
    """W-72: 41 and no other list."""
    assert len({each.symbol for each in UNIVERSE}) == len(UNIVERSE) == 41
    assert Counter(each.tier for each in UNIVERSE) == {1: 3, 2: 13, 3: 13, 4: 12}


@pytest.mark.parametrize(("tier", "count"), [(1, 3), (2, 16), (3, 29), (4, 41)])
def test_market_tier_takes_the_tiers_up_to_it(tier: int, count: int) -> None:
    assert len(stock_symbols(tier)) == count
    assert stock_symbols(1) == ("SPY", "QQQ", "IWM")


@pytest.mark.parametrize(("symbol", "confidence"), [("SPY", 0.60), ("AAPL", 0.55), ("TQQQ", 0.65), ("GLD", 0.70)])
def test_each_tier_has_its_own_confidence(symbol: str, confidence: float) -> None:
    assert listing(symbol).min_confidence == confidence


def test_every_listed_symbol_shares_its_sector_under_a_common_name() -> None:
    """I-41: no listed symbol falls under itself as an unknown one does."""
    assert not [each.symbol for each in UNIVERSE if each.sector == each.symbol]


def test_unknown_symbols_share_no_sector() -> None:
    """I-41: strangers cannot fill one sector's cap together."""
    assert sector("ZZZZ") == "ZZZZ"
    assert sector("YYYY") != sector("ZZZZ")
    assert (listing("ZZZZ").tier, listing("ZZZZ").group) == (2, Group.STOCK)


def test_share_classes_of_one_company_share_its_sector() -> None:
    assert sector("GOOG") == sector("GOOGL") == "communications"
    assert listing("GOOG") == listing("GOOGL")


def test_only_leveraged_etfs_count_threefold() -> None:
    threefold = {each.symbol for each in UNIVERSE if exposure_factor(each.symbol) == 3}

    assert threefold == {"TQQQ", "UPRO", "SOXL"}
    assert exposure_factor("ZZZZ") == exposure_factor("BTC/USD") == Decimal(1)


def test_every_group_has_a_strategy() -> None:
    assert set(STRATEGIES_OF) == set(Group)
    assert all(STRATEGIES_OF.values())


def test_options_are_traded_on_listed_symbols() -> None:
    assert len(UNDERLYINGS) == 8
    assert set(UNDERLYINGS) <= set(stock_symbols(2))
    assert BENCHMARK in UNDERLYINGS
