"""The market's regime comes from real bars alone, and what cannot be seen is unknown."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from core.model.bars import Bars, from_rows
from core.model.market import AssetClass, Timeframe
from core.risk.regime import MarketState, market_index, regime, volatility_percentile
from tests.builders import AS_OF, bars, flat, rows

N_BARS = 120
CALM_LATELY = [0.02] * 60 + [0.004] * 60
STORMY_LATELY = [0.004] * 90 + [0.03] * 30


def climb(drift: float, ripples: list[float] | None = None) -> list[float]:
    """Closes that move `drift` a day with a ripple that may change in size."""
    sizes = ripples or CALM_LATELY
    return [100 * float(np.exp(drift * day)) * (1 + sizes[day] * (-1) ** day) for day in range(N_BARS)]


def market(spy: list[float], *, rising: int, falling: int) -> Bars:
    """SPY and so many symbols above and below their own means."""
    others = {f"UP{n}": climb(0.004) for n in range(rising)} | {f"DN{n}": climb(-0.004) for n in range(falling)}
    return bars({"SPY": spy, **others})


def test_bullish_is_a_rising_calm_market_with_breadth() -> None:
    found = regime(market(climb(0.003), rising=6, falling=3))

    assert found.state is MarketState.BULLISH
    assert "SPY +" in found.reason
    assert "70% of 10 symbols above theirs" in found.reason


def test_bearish_is_a_falling_market_with_breadth() -> None:
    found = regime(market(climb(-0.003), rising=3, falling=6))

    assert found.state is MarketState.BEARISH
    assert "30% of 10 symbols above theirs" in found.reason


def test_rising_index_of_few_symbols_is_neutral() -> None:
    """SPY is up while four of ten are: a narrow market is not bullish."""
    found = regime(market(climb(0.003), rising=3, falling=6))

    assert found.state is MarketState.NEUTRAL
    assert "40% of 10 symbols above theirs" in found.reason


def test_falling_index_of_few_symbols_is_neutral() -> None:
    assert regime(market(climb(-0.003), rising=5, falling=4)).state is MarketState.NEUTRAL


def test_storm_is_never_bullish() -> None:
    closes = climb(0.004, STORMY_LATELY)

    assert regime(market(closes, rising=8, falling=1)).state is MarketState.NEUTRAL
    assert volatility_percentile(np.array(closes)) > 0.8


def test_trend_is_the_close_over_its_own_mean_of_fifty_days() -> None:
    """49 closes at 100 and one at 110: the mean is 100.2."""
    found = regime(market([*flat(119), 110.0], rising=6, falling=0))

    assert f"SPY {110 / 100.2 - 1:+.1%} from its 50-day mean" in found.reason


def test_without_spy_five_symbols_in_equal_parts_stand_for_the_market() -> None:
    """The index of symbols that all rise alike rises as each of them does, and the reason says what it is."""
    found = regime(bars({f"UP{n}": climb(0.004) for n in range(5)}))
    trend = "+9.7% from its 50-day mean"

    assert found.state is MarketState.BULLISH
    assert found.reason.startswith(f"the equal-weight index of 5 symbols (no sound bars of SPY) {trend}")
    assert f"SPY {trend}" in regime(market(climb(0.004), rising=5, falling=0)).reason


def test_equal_weight_means_the_mean_of_the_days_returns() -> None:
    """Three of six gain 10 % on the last day and three lose 4 %: the index gains 3 %."""
    closes = {f"UP{n}": [*flat(119), 110.0] for n in range(3)} | {f"DN{n}": [*flat(119), 96.0] for n in range(3)}

    index = market_index(bars(closes), AssetClass.STOCK)

    assert not isinstance(index, str)
    assert index.closes[-2:].tolist() == pytest.approx([100.0, 103.0])


def test_index_goes_by_days_and_not_by_columns() -> None:
    """A symbol whose newest bar is a day older does not shift the others' returns."""
    short = rows([*flat(119), 150.0], as_of=AS_OF - timedelta(days=1))
    others = {f"S{n}": rows([*flat(119), 110.0]) for n in range(5)}

    index = market_index(from_rows(Timeframe.DAY, {**others, "OLD": short}), AssetClass.STOCK)

    assert not isinstance(index, str)
    before, last = index.closes[-2] / index.closes[-3] - 1, index.closes[-1] / index.closes[-2] - 1
    assert (before, last) == (pytest.approx(0.5 / 6), pytest.approx(0.1))


@pytest.mark.parametrize(("asset_class", "least"), [(AssetClass.STOCK, 5), (AssetClass.CRYPTO, 3)])
def test_too_few_symbols_are_an_unknown_market(asset_class: AssetClass, least: int) -> None:
    """I-23, W-20: no constant stands in for what is not seen."""
    enough = {f"UP{n}": climb(0.004) for n in range(least)}
    fewer = dict(list(enough.items())[1:])

    assert regime(bars(enough), asset_class).state is MarketState.BULLISH
    assert regime(bars(fewer), asset_class).state is MarketState.UNKNOWN
    assert f"{least} are needed" in regime(bars(fewer), asset_class).reason


def test_bars_of_hours_are_an_unknown_market() -> None:
    hours = bars({f"C{n}/USD": climb(0.004) for n in range(9)}, timeframe=Timeframe.HOUR_4)

    assert regime(hours, AssetClass.CRYPTO).state is MarketState.UNKNOWN


def test_short_history_means_an_unknown_market() -> None:
    known = bars({name: climb(0.004)[:69] for name in ("SPY", "A", "B", "C", "D", "E")})

    assert regime(known).state is MarketState.UNKNOWN
    assert "69 bars of SPY, 70 are needed" in regime(known).reason


def test_four_symbols_are_no_market() -> None:
    found = regime(market(climb(0.003), rising=3, falling=0))

    assert found.state is MarketState.UNKNOWN
    assert "only 4 symbols" in found.reason


def test_symbols_without_fifty_bars_do_not_count_as_fallen() -> None:
    known = bars({"SPY": climb(0.003), **{f"UP{n}": climb(0.004) for n in range(6)}, "NEW": climb(0.004)[:49]})

    assert "100% of 7 symbols" in regime(known).reason


def test_regime_is_never_a_constant() -> None:
    """W-20: different markets, different figures."""
    found = {regime(market(climb(drift), rising=6, falling=3)).reason for drift in (-0.003, 0.001, 0.003)}

    assert len(found) == 3
