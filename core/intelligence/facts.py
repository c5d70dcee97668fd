"""The fact sheet of a market from real bars: each figure with its window, n and source; what is missing says why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, timedelta
from math import isfinite, nan, sqrt

import numpy as np

from core.intelligence.signals import CRYPTO, STOCKS
from core.model.bars import Bars, FloatArray, TimeArray
from core.model.intelligence import Fact
from core.model.judgement import Refusal
from core.model.limits import Session
from core.model.market import AssetClass
from core.model.universe import BENCHMARK, UNIVERSE, Group
from core.risk.regime import MEAN_BARS, MIN_SYMBOLS, VOLATILITY_BARS, above_mean, market_index, volatility_percentile

LEADER = "BTC/USD"
SHORT, LONG = 20, 60
"""Days of a return, of a correlation and of relative strength."""

MIN_SESSIONS = 10
DAYS_A_YEAR = {AssetClass.STOCK: 252, AssetClass.CRYPTO: 365}
SECTORS = tuple(listing.symbol for listing in UNIVERSE if listing.group is Group.SECTOR_ETF)
OF_A_MARKET = ("trend_50d", "return_20d", "return_60d", "volatility_20d", "volatility_percentile", "drawdown")
OF_A_SYMBOL = ("trend_50d", "return_20d", "volatility_20d", "drawdown")


def facts_of(bars: Bars, asset_class: AssetClass, *, source: str, gaps: Sequence[Refusal] = ()) -> tuple[Fact, ...]:
    """The market as a whole, then each symbol. `bars`: sound daily bars; `gaps`: why a symbol has none.

    All figures are fractions (0.05 is 5 %), volatilities a year's; times are when the first and last bar opened.
    """
    market = STOCKS if asset_class is AssetClass.STOCK else CRYPTO
    facts = [
        *_index_facts(bars, asset_class, market, source),
        *_together(bars, asset_class, market, source),
    ]
    if asset_class is AssetClass.STOCK:
        facts += [*_sectors(bars, source), *_sessions_of_stocks(bars, source)]
    else:
        facts.append(_dominance(bars, source))
    for row, symbol in enumerate(bars.symbols):
        known = ~np.isnat(bars.opened_at[row])
        figures = _figures(bars.close[row][known], DAYS_A_YEAR[asset_class])
        facts += (_fact(name, *figures[name], symbol, source, bars.opened_at[row][known]) for name in OF_A_SYMBOL)
    lacking = (gap for gap in gaps if gap.symbol not in bars.symbols)
    return (*facts, *(_missing("return_20d", gap.symbol, source, gap.reason) for gap in lacking))


def session_facts(bars: Bars, sessions: Sequence[Session], *, source: str) -> Iterator[Fact]:
    """Of each part of crypto's day, over all pairs: the mean return of one, and the standard deviation of these.

    `bars`: of some hours, each in the session in which it opened. Only sessions with all their bars count.
    """
    rows, columns = np.nonzero(~np.isnat(bars.opened_at))
    opened_at, steps = bars.opened_at[rows, columns], np.log(bars.close[rows, columns] / bars.open[rows, columns])
    days = opened_at.astype("datetime64[D]")
    hours = (opened_at - days) // np.timedelta64(1, "h")
    for session in sessions:
        inside = (hours >= session.start_hour) & (hours < session.end_hour)
        whole = timedelta(hours=session.end_hour - session.start_hour) // bars.timeframe.length
        of_day = rows[inside] * 1_000_000 + days[inside].astype(np.int64)
        _, begin, place, counts = np.unique(of_day, return_index=True, return_inverse=True, return_counts=True)
        moves = np.expm1(np.bincount(place, steps[inside])[counts == whole])
        begun = np.sort(opened_at[inside][begin][counts == whole])
        mean, deviation = (moves.mean(), moves.std(ddof=1)) if len(moves) >= MIN_SESSIONS else (nan, nan)
        why = f"{len(moves)} whole sessions of {whole} bars, {MIN_SESSIONS} are needed"
        for part, value in (("mean_return", mean), ("volatility", deviation)):
            yield _fact(f"{session.name}_{part}", value, len(moves), CRYPTO, source, begun, why)


def _index_facts(bars: Bars, asset_class: AssetClass, market: str, source: str) -> Iterator[Fact]:
    """Trend, returns, volatility, its percentile and drawdown of what stands for the market."""
    index = market_index(bars, asset_class)
    if isinstance(index, str):
        yield from (_missing(name, market, source, index) for name in OF_A_MARKET)
        return
    figures = _figures(index.closes, DAYS_A_YEAR[asset_class])
    n, needed = len(index.closes), MEAN_BARS + VOLATILITY_BARS
    figures["volatility_percentile"] = volatility_percentile(index.closes) if n >= needed else nan, max(n, needed)
    for name in OF_A_MARKET:
        yield _fact(name, *figures[name], market, f"{source}, {index.name}", index.on)


def _figures(closes: FloatArray, days_a_year: int) -> dict[str, tuple[float, int]]:
    """By name the figure, NaN where bars lack, and how many bars it needs. `closes`: (n_bars,), oldest first."""
    n = len(closes)

    def back(days: int) -> float:
        return float(closes[-1] / closes[-days - 1] - 1) if n > days else nan

    volatility = nan
    if n > VOLATILITY_BARS:
        volatility = float(np.diff(np.log(closes[-VOLATILITY_BARS - 1 :])).std(ddof=1)) * sqrt(days_a_year)
    return {
        "trend_50d": (float(closes[-1] / closes[-MEAN_BARS:].mean() - 1) if n >= MEAN_BARS else nan, MEAN_BARS),
        "return_20d": (back(SHORT), SHORT + 1),
        "return_60d": (back(LONG), LONG + 1),
        "volatility_20d": (volatility, VOLATILITY_BARS + 1),
        "drawdown": (float(closes[-1] / closes.max() - 1) if n > SHORT else nan, max(n, SHORT + 1)),
    }


def _together(bars: Bars, asset_class: AssetClass, market: str, source: str) -> Iterator[Fact]:
    """The share of symbols above their 50-day mean, and the mean of all pairs' correlations of 60 daily log returns."""
    least, above = MIN_SYMBOLS[asset_class], above_mean(bars)
    breadth = float(above.mean()) if len(above) >= least else nan
    why = f"{len(above)} symbols have {MEAN_BARS} bars, {least} are needed"
    days = _days(bars, MEAN_BARS)
    yield _fact("breadth_50d", breadth, MEAN_BARS, market, f"{source}, {len(above)} symbols", days, why)
    closes = bars.close[:, -LONG - 1 :]
    closes = closes[np.isfinite(closes).all(axis=1)] if closes.shape[1] > LONG else closes[:0]
    returns = np.diff(np.log(closes), axis=1)
    returns = returns[np.ptp(returns, axis=1) > 0] if len(returns) else returns
    n, mean = len(returns), nan
    if n >= least:
        mean = (float(np.corrcoef(returns).sum()) - n) / (n * (n - 1))
    why = f"{n} symbols have {LONG} returns, {least} are needed"
    yield _fact("mean_correlation_60d", mean, LONG + 1, market, f"{source}, {n} symbols", _days(bars, LONG + 1), why)


def _sectors(bars: Bars, source: str) -> Iterator[Fact]:
    """Each sector fund's return less SPY's, over 20 and 60 days."""
    closes = {symbol: bars.close[row] for row, symbol in enumerate(bars.symbols) if symbol in (*SECTORS, BENCHMARK)}
    for symbol in SECTORS:
        lacking = [each for each in (symbol, BENCHMARK) if each not in closes]
        for days in (SHORT, LONG):
            name = f"return_{days}d_over_{BENCHMARK}"
            if lacking or bars.close.shape[1] <= days:
                yield _missing(name, symbol, source, f"no sound bars of {lacking[0]}" if lacking else "too few bars")
                continue
            own, market = (closes[each][-1] / closes[each][-days - 1] for each in (symbol, BENCHMARK))
            yield _fact(name, float(own - market), days + 1, symbol, source, bars.opened_at[bars.symbols.index(symbol)])


def _sessions_of_stocks(bars: Bars, source: str) -> Iterator[Fact]:
    """The mean size of 20 days' moves, over all symbols: from close to open, and from open to close."""
    opened, closed = bars.open[:, -SHORT:], bars.close[:, -SHORT - 1 :]
    is_enough = closed.shape[1] > SHORT
    moves = {"overnight_move_20d": (closed[:, :-1], opened), "session_move_20d": (opened, closed[:, 1:])}
    for name, (start, end) in moves.items():
        sizes = np.abs(end / start - 1) if is_enough else np.empty(0)
        sizes = sizes[np.isfinite(sizes)]
        yield _fact(name, float(sizes.mean()) if len(sizes) else nan, SHORT + 1, STOCKS, source, _days(bars, SHORT + 1))


def _dominance(bars: Bars, source: str) -> Fact:
    """BTC's share of the dollars traded in all pairs at hand; its share of all coins' value is not to be had here."""
    name, row = "btc_share_of_dollar_volume_20d", bars.row(LEADER)
    traded = np.nansum((bars.close * bars.volume)[:, -SHORT:], axis=1)
    is_known = row is not None and bars.count(row) >= SHORT and len(traded) > 1 and traded.sum() > 0
    value = float(traded[row] / traded.sum()) if is_known else nan
    return _fact(name, value, SHORT, CRYPTO, source, _days(bars, SHORT), f"{LEADER} and another pair are needed")


def _fact(name: str, value: float, window: int, symbol: str, source: str, opened_at: TimeArray, why: str = "") -> Fact:
    """`opened_at`: the bars at hand, oldest first, of which the last `window` count."""
    known = opened_at[-window:] if window else opened_at[:0]
    if not isfinite(value) or not len(known):
        return _missing(name, symbol, source, why or f"{len(known)} bars, {window} are needed")
    first, last = (at.astype("datetime64[us]").item().replace(tzinfo=UTC) for at in known[[0, -1]])
    return Fact(name, round(float(value), 6), "fraction", len(known), first, last, source, symbol=symbol)


def _missing(name: str, symbol: str, source: str, reason: str) -> Fact:
    return Fact(name, None, "fraction", 0, None, None, source, reason, symbol)


def _days(bars: Bars, window: int) -> TimeArray:
    """The last days that any symbol has, oldest first."""
    newest = bars.opened_at[:, -window:]
    return np.unique(newest[~np.isnat(newest)])
