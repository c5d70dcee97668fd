"""Recorded option chains: what was quoted, with the moment of each recording. Nothing here looks ahead."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from venue.calendar import Sessions
from venue.options.greeks import SMALLEST_VOLATILITY, Greeks, greeks
from venue.wire import DAY_US, from_float

if TYPE_CHECKING:
    import pandas as pd

US_OPTION = "us_option"
MULTIPLIER = Decimal(100)
_OCC = re.compile(r"([A-Z]{1,6})(\d{2})(\d{2})(\d{2})([CP])(\d{8})")
_YEAR_US = 365 * DAY_US
# 5 to 10 % of a day's contracts have no open interest; on days with far more zeros the recorder had
# not been told (2025-06-26: 80 %, 2025-07-03: 28 %), and 0 means unknown there.
_MOST_ZEROS_FRAC = 0.2


@dataclass(frozen=True, slots=True)
class Contract:
    """One listed option on 100 shares, as its OCC symbol names it."""

    symbol: str
    underlying: str
    expiry: date
    is_call: bool
    strike: Decimal

    def intrinsic_usd(self, spot: Decimal) -> Decimal:
        """What exercising at this spot is worth, per share; negative when out of the money."""
        return spot - self.strike if self.is_call else self.strike - spot


def parse_contract(symbol: str) -> Contract | None:
    """AAPL250620C00195000 is the 195.00 call of 2025-06-20; None when the name is no OCC symbol."""
    match = _OCC.fullmatch(symbol)
    if match is None:
        return None
    root, year, month, day, kind, strike = match.groups()
    try:
        expiry = date(2000 + int(year), int(month), int(day))
    except ValueError:
        return None
    return Contract(symbol, root, expiry, kind == "C", Decimal(int(strike)) / 1000)


@dataclass(frozen=True, slots=True)
class OptionQuote:
    """A recorded bid and ask per share and their moment; `takeable` contracts may fill against it."""

    bid: Decimal
    ask: Decimal
    as_of_us: int
    takeable: Decimal

    @property
    def mid(self) -> Decimal:
        return (self.bid + self.ask) / 2


@dataclass(frozen=True)
class Chain:
    """One underlying's contracts as recorded at one moment; columns of equal length, sorted by symbol.

    NaN where the recording has no number. `open_interest` is NaN where the recorder's 0 means unknown.
    """

    underlying: str
    as_of_us: int
    spot: float
    symbols: tuple[str, ...]
    bids: NDArray[np.float64]
    asks: NDArray[np.float64]
    last_prices: NDArray[np.float64]
    last_trades_us: NDArray[np.int64]
    volumes: NDArray[np.float64]
    open_interest: NDArray[np.float64]
    implied_volatilities: NDArray[np.float64]
    _greeks: dict[int, Greeks | None] = field(default_factory=dict, repr=False)

    @cached_property
    def contracts(self) -> tuple[Contract, ...]:
        """The contract of each row."""
        parsed = tuple(parse_contract(symbol) for symbol in self.symbols)
        return tuple(contract for contract in parsed if contract is not None)

    @cached_property
    def rows(self) -> dict[str, int]:
        """The row of each symbol."""
        return {symbol: row for row, symbol in enumerate(self.symbols)}

    def quote(self, row: int) -> OptionQuote:
        """The row's bid and ask; at most a tenth of the day's volume or open interest, and one, may fill."""
        traded = np.nanmax([self.volumes[row], self.open_interest[row], 0.0])
        takeable = max(Decimal(int(traded)) // 10, Decimal(1))
        return OptionQuote(from_float(self.bids[row]), from_float(self.asks[row]), self.as_of_us, takeable)

    def implied_volatility(self, row: int) -> float | None:
        """The recorded one; None where the recorder found none."""
        volatility = float(self.implied_volatilities[row])
        return volatility if volatility >= SMALLEST_VOLATILITY else None

    def greeks(self, row: int, closes_us: int) -> Greeks | None:
        """Greeks of the recorded moment; None without a bid or a volatility. Worked out once.

        closes_us: the close of the contract's expiry day.
        """
        if row not in self._greeks:
            contract, volatility = self.contracts[row], self.implied_volatility(row)
            known = None
            if volatility is not None and self.bids[row] > 0:
                known = greeks(
                    is_call=contract.is_call,
                    spot=self.spot,
                    strike=float(contract.strike),
                    years=(closes_us - self.as_of_us) / _YEAR_US,
                    volatility=volatility,
                )
            self._greeks[row] = known
        return self._greeks[row]


@dataclass(frozen=True)
class Chains:
    """Every underlying's recordings, oldest first."""

    by_underlying: dict[str, tuple[Chain, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.by_underlying)

    @cached_property
    def moments_us(self) -> dict[str, list[int]]:
        """When each underlying was recorded."""
        return {name: [chain.as_of_us for chain in chains] for name, chains in self.by_underlying.items()}

    def known(self, underlying: str, at_us: int) -> Chain | None:
        """The latest recording at or before this moment."""
        return next(iter(self._newest_first(underlying, at_us)), None)

    def find(self, symbol: str, at_us: int) -> tuple[Chain, int] | None:
        """The latest recording that holds the contract, and its row; None for one not known by then."""
        contract = parse_contract(symbol)
        if contract is None:
            return None
        chains = self._newest_first(contract.underlying, at_us)
        return next(((chain, chain.rows[symbol]) for chain in chains if symbol in chain.rows), None)

    def quote(self, symbol: str, at_us: int) -> OptionQuote | None:
        """The contract's latest recorded quote by this moment, however old."""
        found = self.find(symbol, at_us)
        return found[0].quote(found[1]) if found else None

    def _newest_first(self, underlying: str, at_us: int) -> tuple[Chain, ...]:
        moments = self.moments_us.get(underlying, [])
        return self.by_underlying.get(underlying, ())[: bisect_right(moments, at_us)][::-1]


def expiry_close_us(contract: Contract, sessions: Sessions) -> int:
    """When the contract stops trading: the close of its expiry day, or of the session before a holiday."""
    return int(sessions.closes_us[bisect_right(sessions.dates, contract.expiry) - 1])


def read_chains(frame: pd.DataFrame) -> Chains:
    """Chains from recorded rows, one a contract and day; the columns are those of `chains.parquet`."""
    frame = frame[frame["contract_size"] == "REGULAR"]
    zeros = (frame["open_interest"] == 0).groupby(frame["snapshot_date"]).transform("mean")
    unknown = (frame["open_interest"] == 0) & (zeros > _MOST_ZEROS_FRAC)
    frame = frame.assign(open_interest=frame["open_interest"].mask(unknown))
    by_underlying: dict[str, list[Chain]] = {}
    for (underlying, _), rows in frame.sort_values(["as_of", "symbol"]).groupby(["underlying", "as_of"], sort=True):
        by_underlying.setdefault(str(underlying), []).append(_chain(str(underlying), rows))
    return Chains(
        {name: tuple(sorted(found, key=lambda chain: chain.as_of_us)) for name, found in by_underlying.items()}
    )


def _chain(underlying: str, rows: pd.DataFrame) -> Chain:
    columns = (rows[name].to_numpy(dtype=np.float64) for name in ("bid", "ask", "last_price"))
    bids, asks, last_prices = columns
    return Chain(
        underlying=underlying,
        as_of_us=_microseconds(rows["as_of"])[0].item(),
        spot=round(float(rows["spot_price"].iloc[0]), 4),  # recorded in single precision
        symbols=tuple(rows["symbol"].tolist()),
        bids=bids,
        asks=asks,
        last_prices=last_prices,
        last_trades_us=_microseconds(rows["last_trade_at"]),
        volumes=rows["volume"].to_numpy(dtype=np.float64),
        open_interest=rows["open_interest"].to_numpy(dtype=np.float64),
        implied_volatilities=rows["implied_volatility"].to_numpy(dtype=np.float64),
    )


def _microseconds(column: pd.Series) -> NDArray[np.int64]:
    naive = column.dt.as_unit("us").dt.tz_localize(None)
    return np.asarray(naive.to_numpy(), dtype="datetime64[us]").astype(np.int64)
