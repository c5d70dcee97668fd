"""Features against a plain-Python reading of their definitions, and by hand where a number can be worked by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import exp, log, sqrt
from statistics import fmean, pstdev

import numpy as np
import pytest

from core.indicators import MIN_BARS, features
from core.model.bars import Bars, FloatArray, empty_bars, from_rows
from core.model.market import Timeframe
from tests.builders import BTC, ETH, bars, flat, rows, wandering

SPY = "SPY"
LONG = 600
"""Bars after which a recursive average has forgotten how it was seeded: (13/14)^500 and (25/27)^500 are below 1e-15."""


def random_rows(seed: int, n_bars: int = LONG) -> FloatArray:
    """Seeded bars whose ranges and volumes vary too."""
    random = np.random.default_rng(seed)
    table = rows(wandering(seed, n_bars), volumes=random.uniform(500.0, 5_000.0, n_bars).tolist())
    table[:, 2] *= random.uniform(1.0, 1.03, n_bars)
    table[:, 3] /= random.uniform(1.0, 1.03, n_bars)
    return table


def random_bars(seed: int, n_bars: int = LONG) -> Bars:
    """A symbol in the first row, and what its strength is measured against in the second."""
    return from_rows(Timeframe.DAY, {BTC: random_rows(seed, n_bars), SPY: random_rows(seed + 50, n_bars)})


def wilder(values: Sequence[float], period: int) -> list[float]:
    """Wilder's average: the first is a plain mean, each next one moves by 1/period."""
    result = [fmean(values[:period])]
    for value in values[period:]:
        result.append(result[-1] + (value - result[-1]) / period)
    return result


def exponential(values: Sequence[float], period: int) -> list[float]:
    result = [values[0]]
    for value in values[1:]:
        result.append(result[-1] + (value - result[-1]) * 2 / (period + 1))
    return result


def logs(values: FloatArray) -> list[float]:
    return [log(value) for value in values[0]]


def changes(values: Sequence[float]) -> list[float]:
    return [after - before for before, after in pairwise(values)]


def volatility(known: Bars) -> float:
    return pstdev(changes(logs(known.close))[-20:])


def rsi(known: Bars) -> float:
    moves = changes(logs(known.close))
    gain = wilder([max(move, 0.0) for move in moves], 14)[-1]
    loss = wilder([max(-move, 0.0) for move in moves], 14)[-1]
    return 100 - 100 / (1 + gain / loss)


def macd_histogram(known: Bars) -> float:
    """MACD 12/26 minus its own EMA-9 signal line, in units of volatility."""
    closes = logs(known.close)
    fast, slow = exponential(closes, 12), exponential(closes, 26)
    line = [a - b for a, b in zip(fast, slow, strict=True)]
    return (line[-1] - exponential(line, 9)[-1]) / volatility(known)


def bollinger(known: Bars) -> float:
    window = logs(known.close)[-20:]
    return (window[-1] - fmean(window)) / pstdev(window)


def true_ranges(high: Sequence[float], low: Sequence[float], close: Sequence[float]) -> list[float]:
    return [
        max(h - lo, abs(h - before), abs(lo - before))
        for h, lo, before in zip(high[1:], low[1:], close[:-1], strict=True)
    ]


def atr(known: Bars) -> float:
    high, low, close = (list(values[0]) for values in (known.high, known.low, known.close))
    return wilder(true_ranges(high, low, close), 14)[-1]


def adx(known: Bars) -> float:
    high, low, close = logs(known.high), logs(known.low), logs(known.close)
    ups, downs = changes(high), [-move for move in changes(low)]
    plus = wilder([up if up > down and up > 0 else 0.0 for up, down in zip(ups, downs, strict=True)], 14)
    minus = wilder([down if down > up and down > 0 else 0.0 for up, down in zip(ups, downs, strict=True)], 14)
    ranges = wilder(true_ranges(high, low, close), 14)
    index = []
    for up, down, true_range in zip(plus, minus, ranges, strict=True):
        plus_di, minus_di = up / true_range, down / true_range
        index.append(100 * abs(plus_di - minus_di) / (plus_di + minus_di))
    return wilder(index, 14)[-1]


def cci(known: Bars) -> float:
    typical = [fmean(each) for each in zip(logs(known.high), logs(known.low), logs(known.close), strict=True)][-20:]
    mean = fmean(typical)
    return (typical[-1] - mean) / (0.015 * fmean(abs(value - mean) for value in typical))


def williams(known: Bars) -> float:
    top, bottom = max(logs(known.high)[-14:]), min(logs(known.low)[-14:])
    return -100 * (top - logs(known.close)[-1]) / (top - bottom)


def stochastic(known: Bars) -> float:
    """Slow %K: the mean of the last three raw %K over 14 bars."""
    high, low, close = logs(known.high), logs(known.low), logs(known.close)
    raw = []
    for end in range(len(close) - 2, len(close) + 1):
        top, bottom = max(high[end - 14 : end]), min(low[end - 14 : end])
        raw.append(100 * (close[end - 1] - bottom) / (top - bottom))
    return fmean(raw)


def on_balance(known: Bars) -> float:
    """Volume of rising minus volume of falling days over the volume of 20 days."""
    moves, volumes = changes(logs(known.close))[-20:], [float(value) for value in known.volume[0][-20:]]
    signed = [np.sign(move) * volume for move, volume in zip(moves, volumes, strict=True)]
    return float(sum(signed) / sum(volumes))


def channel(known: Bars) -> float:
    top, bottom = max(logs(known.high)[-21:-1]), min(logs(known.low)[-21:-1])
    return (logs(known.close)[-1] - (top + bottom) / 2) / ((top - bottom) / 2)


def trend(n_bars: int) -> Callable[[Bars], float]:
    def reference(known: Bars) -> float:
        closes = logs(known.close)
        return (closes[-1] - closes[-1 - n_bars]) / (volatility(known) * sqrt(n_bars))

    return reference


def relative(n_bars: int) -> Callable[[Bars], float]:
    """The change of the log price over SPY's, in its own volatility of 20 changes."""

    def reference(known: Bars) -> float:
        ratios = [log(own / market) for own, market in zip(known.close[0], known.close[1], strict=True)]
        return (ratios[-1] - ratios[-1 - n_bars]) / (pstdev(changes(ratios)[-20:]) * sqrt(n_bars))

    return reference


def volume_ratio(known: Bars) -> float:
    volumes = [float(value) for value in known.volume[0]]
    return volumes[-1] / fmean(volumes[-8:-1])


def daily_volume_usd(known: Bars) -> float:
    return fmean(float(volume * close) for volume, close in zip(known.volume[0][-7:], known.close[0][-7:], strict=True))


REFERENCES: dict[str, Callable[[Bars], float]] = {
    "volatility": volatility,
    "trend_20": trend(20),
    "trend_60": trend(60),
    "relative_20": relative(20),
    "relative_60": relative(60),
    "macd": macd_histogram,
    "rsi": rsi,
    "bollinger": bollinger,
    "channel": channel,
    "obv": on_balance,
    "adx": adx,
    "cci": cci,
    "williams": williams,
    "stochastic": stochastic,
    "atr": atr,
    "volume_ratio": volume_ratio,
    "daily_volume_usd": daily_volume_usd,
}


@pytest.mark.parametrize("name", list(REFERENCES))
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_feature_agrees_with_its_definition(name: str, seed: int) -> None:
    """I-33, I-57: golden values from an independent source for every indicator."""
    known = random_bars(seed)

    assert features(known)[name][0, -1] == pytest.approx(REFERENCES[name](known), rel=1e-6, abs=1e-9)


def test_every_feature_has_a_reference() -> None:
    assert set(features(random_bars(1)).columns) == set(REFERENCES)


def test_steady_climb_by_hand() -> None:
    """Log closes 0, 1, 2, ... hundredths: the last stands 9.5 steps above a mean whose deviation is sqrt(399/12)."""
    steady = features(bars({BTC: [100 * exp(0.01 * day) for day in range(100)]}, reach=0.0)).latest(BTC)

    assert steady["bollinger"] == pytest.approx(9.5 / sqrt(399 / 12), rel=1e-6)
    assert steady["rsi"] == pytest.approx(100.0)
    assert steady["obv"] == pytest.approx(1.0)
    assert steady["williams"] == pytest.approx(0.0, abs=1e-6)
    assert steady["stochastic"] == pytest.approx(100.0)
    assert steady["channel"] == pytest.approx(1.1)


def test_breakout_is_measured_against_the_bars_before() -> None:
    """W-18: 20 days between 98 and 102, then a close at 110: ln(110/sqrt(98*102)) in half ranges of ln(102/98)/2."""
    table = rows(flat(80))
    table[:, 2], table[:, 3] = 102.0, 98.0
    table[-1, 2], table[-1, 4] = 111.0, 110.0

    value = features(from_rows(Timeframe.DAY, {BTC: table}))["channel"][0, -1]

    assert value == pytest.approx(log(110 / sqrt(98 * 102)) / (log(102 / 98) / 2))


@pytest.mark.parametrize("timeframe", [Timeframe.DAY, Timeframe.HOUR_4, Timeframe.HOUR_1])
def test_equal_volumes_give_a_ratio_of_exactly_one(timeframe: Timeframe) -> None:
    """I-72: a day's volume over the mean of the seven days before has no unit left."""
    known = bars({BTC: wandering(1, 300)}, timeframe=timeframe)

    assert features(known)["volume_ratio"][0, -1] == 1.0


def test_volume_ratio_of_a_busy_day_by_hand() -> None:
    quiet_then_busy = [100.0] * 79 + [250.0]

    assert features(bars({BTC: wandering(1, 80)}, volumes=quiet_then_busy))["volume_ratio"][0, -1] == 2.5


def test_average_true_range_of_equal_ranges_by_hand() -> None:
    table = rows(flat(80))
    table[:, 2], table[:, 3] = 103.0, 99.0

    assert features(from_rows(Timeframe.DAY, {BTC: table}))["atr"][0, -1] == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("name", "first"),
    [("trend_20", 20), ("trend_60", 60), ("rsi", 14), ("bollinger", 19), ("macd", 33), ("channel", 20), ("cci", 19)],
)
def test_feature_is_not_a_number_while_it_warms_up(name: str, first: int) -> None:
    """I-26: availability is explicit."""
    values = features(random_bars(1))[name][0]

    assert np.isnan(values[:first]).all()
    assert np.isfinite(values[first:]).all()


def test_fewer_bars_than_the_longest_look_back_give_no_feature_at_all() -> None:
    """I-26: no indicator works on half a window."""
    assert features(bars({BTC: wandering(1, MIN_BARS - 1)})).latest(BTC) == {}


def test_one_bar_gives_no_feature() -> None:
    assert features(bars({BTC: [100.0]})).latest(BTC) == {}


def test_no_symbol_gives_no_feature() -> None:
    assert features(empty_bars(Timeframe.DAY)).latest(BTC) == {}


def test_flat_prices_have_no_directional_feature_but_zero() -> None:
    """A price that stands still has no volatility, so nothing can be scaled by it."""
    still = features(bars({BTC: flat()})).latest(BTC)

    assert not {"volatility", "trend_20", "trend_60", "macd", "bollinger"} & set(still)
    assert still["obv"] == 0.0
    assert still["channel"] == pytest.approx(0.0, abs=1e-9)


def test_bars_without_any_range_have_no_oscillator() -> None:
    """TA-Lib answers 0/0 with zero; a price that never moved is neither overbought nor oversold."""
    still = features(bars({BTC: flat()}, reach=0.0)).latest(BTC)

    assert not {"rsi", "cci", "williams", "stochastic", "channel", "bollinger"} & set(still)


def test_symbol_without_bars_has_no_feature() -> None:
    """Q4: 0 bars are an answer, not a crash."""
    assert features(empty_bars(Timeframe.DAY, [BTC])).latest(BTC) == {}


def test_unknown_symbol_has_no_feature() -> None:
    assert features(random_bars(1)).latest(ETH) == {}


def test_mirrored_market_gives_mirrored_features() -> None:
    """Nothing leans to one side: negated log prices turn every direction round and leave every size alone."""
    known = random_bars(4)
    turned = Bars(
        known.symbols,
        known.timeframe,
        known.opened_at,
        1e4 / known.open,
        1e4 / known.low,
        1e4 / known.high,
        1e4 / known.close,
        known.volume,
    )
    here, there = features(known), features(turned)

    for name in ("trend_20", "trend_60", "relative_20", "relative_60", "macd", "bollinger", "channel", "obv", "cci"):
        np.testing.assert_allclose(there[name], -here[name], rtol=1e-6, atol=1e-7, err_msg=name)
    for name in ("volatility", "adx", "volume_ratio"):
        np.testing.assert_allclose(there[name], here[name], rtol=1e-6, atol=1e-9, err_msg=name)
    for name in ("rsi", "stochastic"):
        np.testing.assert_allclose(there[name], 100 - here[name], rtol=1e-6, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(there["williams"], -100 - here["williams"], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("seen", [70, 150, 299])
def test_cutting_the_future_changes_nothing(seen: int) -> None:
    table = rows(wandering(5, 300), volumes=np.random.default_rng(5).uniform(1, 9, 300).tolist())
    market = random_rows(9, 300)
    whole = features(from_rows(Timeframe.DAY, {BTC: table, SPY: market}))
    cut = features(from_rows(Timeframe.DAY, {BTC: table[:seen], SPY: market[:seen]}))

    for name, values in cut.columns.items():
        np.testing.assert_array_equal(values, whole[name][:, :seen], err_msg=name)


def test_changing_the_future_changes_nothing_before_it() -> None:
    table = rows(wandering(6, 200))
    other = table.copy()
    other[150:, 1:5] *= 7.0
    other[150:, 5] = 1.0
    before, after = (
        features(from_rows(Timeframe.DAY, {BTC: each, SPY: random_rows(9, 200)})) for each in (table, other)
    )

    for name, values in before.columns.items():
        np.testing.assert_array_equal(values[:, :150], after[name][:, :150], err_msg=name)
        assert not np.array_equal(values, after[name], equal_nan=True), f"{name} ignores its input"


def test_symbol_with_less_history_has_the_features_it_has_alone() -> None:
    together = features(bars({BTC: wandering(7, 200), ETH: wandering(8, 90)}))
    alone = features(bars({ETH: wandering(8, 90)}))

    assert together.latest(ETH) == pytest.approx(alone.latest(ETH))


def test_strength_against_the_market_by_hand() -> None:
    """A climb of one hundredth a day with a ripple, over a market that stands still, is the climb's own trend."""
    closes = [100 * exp(0.01 * day + 0.002 * (-1) ** day) for day in range(100)]
    known = features(bars({BTC: closes, SPY: flat(100)}))

    assert known.latest(BTC)["relative_20"] == pytest.approx(known.latest(BTC)["trend_20"])
    assert "relative_20" not in known.latest(SPY)


def test_market_is_matched_by_date_and_not_by_column() -> None:
    """A symbol whose newest bar is three days old is compared with the market of that day, not of today."""
    own, market = random_rows(1, 200), random_rows(2, 200)
    late = from_rows(Timeframe.DAY, {BTC: own[:-3], SPY: market})
    then = from_rows(Timeframe.DAY, {BTC: own[:-3], SPY: market[:-3]})

    assert features(late).latest(BTC)["relative_60"] == pytest.approx(features(then).latest(BTC)["relative_60"])


def test_day_without_a_bar_of_the_market_has_no_relative_strength() -> None:
    own, market = random_rows(1, 200), random_rows(2, 200)
    known = features(from_rows(Timeframe.DAY, {BTC: own, SPY: market[:-1]}))

    assert np.isnan(known["relative_20"][0, -1])


def test_old_hole_in_the_market_does_not_reach_today() -> None:
    """A window that the hole is not in knows nothing of it."""
    own, market = random_rows(1, 300), random_rows(2, 300)
    whole = features(from_rows(Timeframe.DAY, {BTC: own, SPY: market})).latest(BTC)
    torn = features(from_rows(Timeframe.DAY, {BTC: own, SPY: np.delete(market, 150, axis=0)})).latest(BTC)

    assert torn["relative_20"] == pytest.approx(whole["relative_20"])
    assert torn["relative_60"] == pytest.approx(whole["relative_60"])


def test_no_market_means_no_relative_strength() -> None:
    """I-23: nothing stands in for SPY."""
    assert not {"relative_20", "relative_60"} & set(features(bars({BTC: wandering(1, 200)})).latest(BTC))


@pytest.mark.parametrize("n_bars", [0, 1, 59, 60, 61, 300])
@pytest.mark.parametrize("last", [1, 5, 400])
def test_last_bars_have_the_features_of_the_whole_history(n_bars: int, last: int) -> None:
    known = random_bars(3, n_bars) if n_bars else empty_bars(Timeframe.DAY, [BTC, SPY])
    whole, newest = features(known), features(known, last=last)

    for name, values in newest.columns.items():
        np.testing.assert_array_equal(values, whole[name][:, max(0, n_bars - last) :], err_msg=name)
