"""Recorded prices for a backtest: what the local venue would play, as values for an exchange in this process.

One reader of recordings serves both, so that what a backtest sees is what a demo sees.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from core.backtest.recording import RecordedChain, Recording, Series
from core.errors import BadRequest
from core.model.bars import FloatArray
from core.model.market import AssetClass, Timeframe, TradingSession
from core.model.options import Chain
from core.risk.corporate_actions import LARGEST_JUMP_FRAC, looks_like_split
from venue.calendar import Sessions
from venue.options import chains as recorded
from venue.quotes import MIN_QUOTE_BARS, estimated_spreads, spreads
from venue.recording import Recording as VenueRecording
from venue.recording import load
from venue.series import RecordingError
from venue.series import Series as VenueSeries
from venue.wire import from_us

TIMEFRAMES = {
    "1m": Timeframe.MINUTE_1,
    "5m": Timeframe.MINUTE_5,
    "15m": Timeframe.MINUTE_15,
    "30m": Timeframe.MINUTE_30,
    "1h": Timeframe.HOUR_1,
    "4h": Timeframe.HOUR_4,
    "1d": Timeframe.DAY,
}


def loaded_recording(folders: str) -> Recording:
    """The recording of these folders, several with commas; `BadRequest` where it cannot be played."""
    try:
        return as_values(load(folders))
    except RecordingError as error:
        raise BadRequest(str(error)) from error


def as_values(found: VenueRecording) -> Recording:
    """What the venue plays, as values; `BadRequest` for bars that cannot be true."""
    series = {symbol: _series(each) for symbol, each in found.series.items()}
    chains = {name: _chains(each, found.sessions) for name, each in found.chains.by_underlying.items()}
    return Recording(series, _sessions(found.sessions), chains, (*found.notes, *_splits(series)))


def _series(found: VenueSeries) -> Series:
    return Series(
        symbol=found.symbol,
        asset_class=AssetClass(found.asset_class),
        timeframe=TIMEFRAMES[found.timeframe],
        opened_at=found.starts_us.astype("datetime64[us]"),
        closes_at=found.ends_us.astype("datetime64[us]"),
        open=found.opens,
        high=found.highs,
        low=found.lows,
        close=found.closes,
        volume=found.volumes,
        spread_frac=_quoted(found.is_close_only, lambda: spreads(found).copy(), len(found.closes)),
        is_close_only=found.is_close_only,
        history=tuple(map(_series, found.history)),
        spots_at=found.spots_us.astype("datetime64[us]"),
        spots=found.spots,
    )


def spread_frac(series: Series) -> FloatArray:
    """(n,) the spreads that the venue would estimate from these bars alone; NaN where it would give no quote."""
    columns = series.open, series.high, series.low, series.close
    return _quoted(series.is_close_only, lambda: estimated_spreads(*columns), len(series.close))


def _quoted(is_close_only: bool, estimated: Callable[[], FloatArray], n_bars: int) -> FloatArray:
    if is_close_only:
        return np.full(n_bars, np.nan)
    spread = estimated()
    spread[: MIN_QUOTE_BARS - 1] = np.nan
    return spread


def _sessions(found: Sessions) -> tuple[TradingSession, ...]:
    opens, closes = (_times(each) for each in (found.opens_us, found.closes_us))
    return tuple(map(TradingSession, found.dates, opens, closes))


def _times(at_us: np.ndarray) -> list[datetime]:
    return [at.replace(tzinfo=UTC) for at in at_us.astype("datetime64[us]").tolist()]


def _chains(found: tuple[recorded.Chain, ...], sessions: Sessions) -> tuple[RecordedChain, ...]:
    return tuple(_chain(each, sessions) for each in found)


def _chain(found: recorded.Chain, sessions: Sessions) -> RecordedChain:
    unknown = np.full(len(found.symbols), np.nan)
    volatility = [found.implied_volatility(row) for row in range(len(found.symbols))]

    def greeks(row: int) -> tuple[float, float, float, float] | None:
        known = found.greeks(row, recorded.expiry_close_us(found.contracts[row], sessions))
        return None if known is None else (known.delta, known.gamma, known.theta, known.vega)

    chain = Chain(
        underlying=found.underlying,
        symbols=found.symbols,
        is_call=np.array([each.is_call for each in found.contracts], dtype=np.bool_),
        expiry=np.array([each.expiry for each in found.contracts], dtype="datetime64[D]"),
        strike=np.array([float(each.strike) for each in found.contracts]),
        bid=found.bids,
        ask=found.asks,
        quoted_at=np.full(len(found.symbols), found.as_of_us, dtype=np.int64).astype("datetime64[us]"),
        implied_volatility=np.array(volatility, dtype=np.float64),
        delta=unknown,
        gamma=unknown,
        theta=unknown,
        vega=unknown,
        open_interest=found.open_interest,
    )
    return RecordedChain(
        at=np.datetime64(found.as_of_us, "us"),
        spot=found.spot,
        chain=chain,
        last_price=found.last_prices,
        volume=found.volumes,
        greeks=greeks,
    )


def _splits(series: dict[str, Series]) -> tuple[str, ...]:
    """A note for each stock's bar that opens as after a split which the recording is not adjusted for."""
    notes = []
    for symbol, each in series.items():
        if each.asset_class is AssetClass.CRYPTO:
            continue
        factor = each.open[1:] / each.close[:-1]
        for row in np.flatnonzero(np.abs(np.log(factor)) > np.log(1 + LARGEST_JUMP_FRAC)).tolist():
            if not looks_like_split(float(factor[row])):
                continue
            at = from_us(int(each.opened_at[row + 1].astype(np.int64)))
            notes.append(
                f"{symbol} opens {at:%Y-%m-%d} at {factor[row]:.3g} times the close before, as an unadjusted split does"
            )
    return tuple(notes)
