"""Bars in any timeframe Alpaca offers, built from completed base bars only."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from venue.series import CRYPTO, Floats, Micros, Series
from venue.wire import DAY_US, MINUTE_US, bad_request

_TIMEFRAME = re.compile(r"(\d{1,2})(Min|T|Hour|H|Day|D|Week|W|Month|M)")
_WEEK_US = 7 * DAY_US
_UNIT_US = {"minute": MINUTE_US, "day": DAY_US, "week": _WEEK_US, "month": 28 * DAY_US}
_MONDAY_US = -3 * DAY_US  # 1970-01-01 was a Thursday


@dataclass(frozen=True, slots=True)
class Timeframe:
    """A number of minutes (hours are 60 of them), or 1 day, 1 week, or some months."""

    amount: int
    unit: str

    @property
    def span_us(self) -> int:
        """The shortest time one such bar covers."""
        return self.amount * _UNIT_US[self.unit]


DAILY = Timeframe(1, "day")


@dataclass(frozen=True, slots=True)
class Bars:
    """Columns of equal length, oldest first; `starts_us` are the labels Alpaca would give."""

    starts_us: Micros
    opens: Floats
    highs: Floats
    lows: Floats
    closes: Floats
    volumes: Floats

    def __len__(self) -> int:
        return len(self.starts_us)

    def rows(self, chosen: slice) -> Bars:
        """The chosen rows of every column."""
        return Bars(*(getattr(self, column)[chosen] for column in Bars.__slots__))


def parse_timeframe(text: str) -> Timeframe:
    """`[1-59]Min`, `[1-23]Hour`, `1Day`, `1Week`, `[1,2,3,4,6,12]Month`, or one-letter units; else a 400."""
    match = _TIMEFRAME.fullmatch(text)
    if match:
        amount, unit = int(match[1]), match[2]
        if unit in ("Min", "T") and 1 <= amount <= 59:
            return Timeframe(amount, "minute")
        if unit in ("Hour", "H") and 1 <= amount <= 23:
            return Timeframe(60 * amount, "minute")
        if unit in ("Day", "D") and amount == 1:
            return DAILY
        if unit in ("Week", "W") and amount == 1:
            return Timeframe(1, "week")
        if unit in ("Month", "M") and amount in (1, 2, 3, 4, 6, 12):
            return Timeframe(amount, "month")
    raise bad_request(f"invalid timeframe {text!r}; use for example 5Min, 1Hour, 1Day, 1Week or 1Month")


def base_bars(series: Series, at_us: int) -> Bars:
    """The recorded bars that have ended by this moment, as they were recorded."""
    count = series.completed(at_us)
    return Bars(
        series.starts_us[:count], series.opens[:count], series.highs[:count],
        series.lows[:count], series.closes[:count], series.volumes[:count],
    )  # fmt: skip


def visible_bars(series: Series, timeframe: Timeframe, at_us: int) -> Bars:
    """Bars of this timeframe as known at this moment, the last one perhaps still growing.

    A timeframe finer than the recording, or no multiple of it, has no bars.
    """
    known = _known(series, timeframe, at_us)
    older = [_known(coarser, timeframe, at_us) for coarser in series.history if _serves(coarser, timeframe)][:1]
    if not older or not len(older[0]):
        return known
    if not len(known):
        return older[0]
    kept = older[0].rows(slice(0, int(np.searchsorted(older[0].starts_us, known.starts_us[0], "left"))))
    return Bars(*(np.concatenate([getattr(kept, column), getattr(known, column)]) for column in Bars.__slots__))


def _serves(series: Series, timeframe: Timeframe) -> bool:
    if timeframe.unit == "minute":
        return timeframe.span_us % series.timeframe_us == 0
    return True


def _known(series: Series, timeframe: Timeframe, at_us: int) -> Bars:
    if not _serves(series, timeframe):
        return base_bars(series, at_us).rows(slice(0, 0))
    if timeframe.unit == "minute" and timeframe.span_us == series.timeframe_us:
        return base_bars(series, at_us)
    whole, firsts = _aggregated(series, timeframe)
    count = series.completed(at_us)
    buckets = int(np.searchsorted(firsts, count, "left"))
    if buckets == 0 or (buckets < len(firsts) and firsts[buckets] == count) or count == len(series.starts_us):
        return whole.rows(slice(0, buckets))
    begun = slice(int(firsts[buckets - 1]), count)
    growing = (
        series.opens[begun.start], series.highs[begun].max(), series.lows[begun].min(),
        series.closes[count - 1], series.volumes[begun].sum(),
    )  # fmt: skip
    visible = whole.rows(slice(0, buckets))
    prices = (visible.opens, visible.highs, visible.lows, visible.closes, visible.volumes)
    ended = (np.append(column[:-1], last) for column, last in zip(prices, growing, strict=True))
    return Bars(visible.starts_us, *ended)


def _aggregated(series: Series, timeframe: Timeframe) -> tuple[Bars, NDArray[np.intp]]:
    """Whole-recording buckets and each one's first base bar; never shown without cutting at the clock."""
    if timeframe not in series.caches:
        labels = _labels(series, timeframe)
        firsts = np.flatnonzero(np.concatenate([[True], labels[1:] != labels[:-1]]))
        lasts = np.concatenate([firsts[1:], [len(labels)]]) - 1
        whole = Bars(
            labels[firsts],
            series.opens[firsts],
            np.maximum.reduceat(series.highs, firsts),
            np.minimum.reduceat(series.lows, firsts),
            series.closes[lasts],
            np.add.reduceat(series.volumes, firsts),
        )
        series.caches[timeframe] = (whole, firsts)
    cached: tuple[Bars, NDArray[np.intp]] = series.caches[timeframe]
    return cached


def _labels(series: Series, timeframe: Timeframe) -> Micros:
    """The label of each base bar's bucket: crypto counts in UTC, stocks in New York wall time."""
    if series.asset_class == CRYPTO:
        return _floored(series.starts_us, timeframe)
    import pandas as pd

    local = pd.to_datetime(series.starts_us, unit="us", utc=True).tz_convert("America/New_York")
    wall_us = local.tz_localize(None).as_unit("us").to_numpy().astype(np.int64)
    labels = pd.to_datetime(_floored(wall_us, timeframe), unit="us").tz_localize("America/New_York")
    utc = labels.tz_convert("UTC").tz_localize(None).as_unit("us")
    return np.asarray(utc.to_numpy(), dtype="datetime64[us]").astype(np.int64)


def _floored(times_us: Micros, timeframe: Timeframe) -> Micros:
    days = times_us // DAY_US * DAY_US
    if timeframe.unit == "minute":
        return days + (times_us - days) // timeframe.span_us * timeframe.span_us
    if timeframe.unit == "day":
        return days
    if timeframe.unit == "week":
        return (times_us - _MONDAY_US) // _WEEK_US * _WEEK_US + _MONDAY_US
    months = times_us.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    floored = months // timeframe.amount * timeframe.amount
    return floored.astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)
