"""Every figure of the fact sheet by hand, and what cannot be had as a value with its reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import sqrt

import numpy as np
import pytest

from core.intelligence.facts import facts_of, session_facts
from core.model.bars import Bars, empty_bars, from_rows
from core.model.intelligence import Fact
from core.model.judgement import Refusal
from core.model.limits import Session
from core.model.market import AssetClass, Timeframe
from tests.builders import AS_OF, BTC, ETH, LTC, bars, flat, rows, usd, wandering
from tests.stock_builders import SPY, stock_bars

SESSIONS = (Session("asia", 0, 8, (), usd(1)), Session("europe", 8, 16, (), usd(1)), Session("us", 16, 24, (), usd(1)))
LAST_RISE = [*flat(119), 110.0]


def fact(known: Bars, symbol: str, name: str, asset_class: AssetClass = AssetClass.CRYPTO) -> Fact:
    facts = facts_of(known, asset_class, source="recorded")
    (found,) = [each for each in facts if (each.symbol, each.name) == (symbol, name)]
    return found


def test_figures_of_a_symbol_are_those_of_its_closes() -> None:
    """119 closes at 100 and one at 110: 10 % in 20 days, 110 over a mean of 100.2, no drawdown."""
    known = bars({BTC: LAST_RISE})

    assert fact(known, BTC, "return_20d").value == pytest.approx(0.10)
    assert fact(known, BTC, "trend_50d").value == pytest.approx(110 / 100.2 - 1, abs=1e-6)
    assert fact(known, BTC, "drawdown").value == 0
    # one return of ln 1.1 among twenty: its standard deviation is ln 1.1 / sqrt(20)
    assert fact(known, BTC, "volatility_20d").value == pytest.approx(np.log(1.1) / sqrt(20) * sqrt(365), abs=1e-6)


def test_drawdown_is_from_the_highest_close_at_hand() -> None:
    assert fact(bars({BTC: [*flat(60), 125.0, *flat(59)]}), BTC, "drawdown").value == pytest.approx(100 / 125 - 1)


def test_fact_says_its_window_its_dates_and_its_source() -> None:
    """Twenty-one closes are twenty returns; the newest bar opened yesterday."""
    found = fact(bars({BTC: LAST_RISE}), BTC, "return_20d")

    assert (found.n, found.source, found.unit) == (21, "recorded", "fraction")
    yesterday = (AS_OF - timedelta(days=1)).replace(hour=0)
    assert (found.first, found.as_of) == (yesterday - timedelta(days=20), yesterday)


def test_market_is_the_index_of_its_symbols() -> None:
    """Two of three coins gain 10 %: the index gains a mean of 6.67 %, and two of three are above their mean."""
    known = bars({BTC: LAST_RISE, ETH: LAST_RISE, LTC: flat()})

    assert fact(known, "crypto", "return_20d").value == pytest.approx(0.2 / 3, abs=1e-6)
    assert fact(known, "crypto", "breadth_50d").value == pytest.approx(2 / 3, abs=1e-6)
    assert "equal-weight index of 3 symbols" in fact(known, "crypto", "return_20d").source


def test_mean_correlation_is_over_all_pairs() -> None:
    """Of three symbols two move as one and the third as their mirror: (1 - 1 - 1) / 3."""
    walk = np.array(wandering(1))
    known = bars({BTC: walk.tolist(), ETH: (walk * 3).tolist(), LTC: (10_000 / walk).tolist()})

    assert fact(known, "crypto", "mean_correlation_60d").value == pytest.approx(-1 / 3, abs=1e-6)


def test_sector_strength_is_the_return_less_that_of_spy() -> None:
    """The fund gains 10 % while SPY loses 5 %."""
    known = stock_bars({SPY: [*flat(119), 95.0], "XLK": LAST_RISE})

    assert fact(known, "XLK", "return_20d_over_SPY", AssetClass.STOCK).value == pytest.approx(0.15)
    missing = fact(known, "XLE", "return_20d_over_SPY", AssetClass.STOCK)
    assert (missing.value, missing.reason) == (None, "no sound bars of XLE")


def test_dominance_is_btcs_share_of_the_dollars_traded() -> None:
    """Three million dollars a day in BTC, one million in ETH."""
    known = from_rows(
        Timeframe.DAY, {BTC: rows(flat(), volumes=[30_000.0] * 120), ETH: rows(flat(), volumes=[10_000.0] * 120)}
    )

    assert fact(known, "crypto", "btc_share_of_dollar_volume_20d").value == pytest.approx(0.75)


def test_dominance_without_btc_is_missing() -> None:
    """I-23: the share of the largest of what happens to be there is no dominance."""
    assert fact(bars({ETH: flat(), LTC: flat()}), "crypto", "btc_share_of_dollar_volume_20d").value is None


def test_stock_sessions_are_told_apart_from_nights() -> None:
    """Each bar opens at the close before, so nothing happens overnight; sessions move by 1 % on every other day."""
    known = stock_bars({SPY: [100.0 * 1.01 ** (day % 2) for day in range(120)]})

    assert fact(known, "stocks", "overnight_move_20d", AssetClass.STOCK).value == 0
    moved = fact(known, "stocks", "session_move_20d", AssetClass.STOCK).value
    assert moved == pytest.approx((0.01 + (1 - 1 / 1.01)) / 2, abs=1e-6)


def test_parts_of_the_day_have_their_own_returns() -> None:
    """Asia gains 2 % in two bars of four hours, Europe loses 1 % in one of its two, the rest stands still."""
    moves = np.array([1.02**0.5, 1.02**0.5, 0.99, 1.0, 1.0, 1.0] * 20)
    midnight = AS_OF.replace(hour=0)
    known = bars({BTC: (100 * np.cumprod(moves)).tolist()}, timeframe=Timeframe.HOUR_4, as_of=midnight)

    found = {each.name: each for each in session_facts(known, SESSIONS, source="recorded")}

    # the first bar opens at its own close, so the first day of Asia shows half of its gain
    assert found["asia_mean_return"].value == pytest.approx((19 * 0.02 + 1.02**0.5 - 1) / 20, abs=1e-6)
    assert found["europe_mean_return"].value == pytest.approx(-0.01)
    assert found["us_mean_return"].value == pytest.approx(0)
    assert found["us_volatility"].value == pytest.approx(0)
    europe = found["europe_mean_return"]
    assert (europe.n, europe.first) == (20, midnight - timedelta(days=20) + timedelta(hours=8))


def test_half_a_session_does_not_count() -> None:
    """At noon Europe's session has one of its two bars, and Asia's is whole."""
    known = bars({BTC: wandering(1, 60)}, timeframe=Timeframe.HOUR_4, as_of=datetime(2026, 3, 2, 12, tzinfo=UTC))

    found = {each.name: each.n for each in session_facts(known, SESSIONS, source="recorded")}

    assert (found["asia_mean_return"], found["europe_mean_return"]) == (10, 0)


@pytest.mark.parametrize("asset_class", [AssetClass.STOCK, AssetClass.CRYPTO])
def test_no_bars_are_facts_without_a_value(asset_class: AssetClass) -> None:
    """I-23: what cannot be had says why, and is no number."""
    facts = facts_of(empty_bars(Timeframe.DAY), asset_class, source="recorded")

    assert facts
    assert all(each.value is None and each.reason and each.n == 0 for each in facts)
    assert all(each.value is None for each in session_facts(empty_bars(Timeframe.HOUR_4), SESSIONS, source="recorded"))


def test_symbol_without_bars_is_named_with_its_gap() -> None:
    facts = facts_of(
        bars({BTC: flat()}), AssetClass.CRYPTO, source="recorded", gaps=(Refusal(ETH, "bars", "NaN in a bar"),)
    )

    assert [(each.value, each.reason) for each in facts if each.symbol == ETH] == [(None, "NaN in a bar")]


@pytest.mark.parametrize("n_bars", [1, 2, 20, 21, 49, 69, 70])
def test_short_histories_have_what_they_can_and_nothing_else(n_bars: int) -> None:
    known = bars({symbol: wandering(seed, n_bars) for seed, symbol in enumerate((BTC, ETH, LTC))})

    assert (fact(known, BTC, "return_20d").value is not None) is (n_bars >= 21)
    assert (fact(known, BTC, "trend_50d").value is not None) is (n_bars >= 50)
    assert (fact(known, "crypto", "volatility_percentile").value is not None) is (n_bars >= 70)


def test_sheet_depends_on_the_past_alone() -> None:
    """One more day of bars changes no figure of the days before."""
    walk = {symbol: wandering(seed, 121) for seed, symbol in enumerate((BTC, ETH, LTC))}
    today = bars({symbol: closes[:-1] for symbol, closes in walk.items()}, as_of=AS_OF - timedelta(days=1))
    tomorrow = bars(walk)
    cut = from_rows(Timeframe.DAY, {symbol: rows(closes)[:-1] for symbol, closes in walk.items()})

    assert tomorrow.close.shape[1] == 121
    assert facts_of(today, AssetClass.CRYPTO, source="x") == facts_of(cut, AssetClass.CRYPTO, source="x")
