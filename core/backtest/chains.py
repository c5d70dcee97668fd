"""Recorded option chains as the broker's data API would tell them at a moment: the option data port of a backtest."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np

from core.backtest.quotes import Calendar, microseconds
from core.backtest.recording import RecordedChain
from core.model.options import Chain, Contract, contract, merged
from core.ports import ChainWindow
from core.units import decimal_from_float

parsed = cache(contract)
"""The contract of an OCC symbol, parsed once."""

Row = tuple[RecordedChain, int]


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


class RecordedChains:
    """Every underlying's recordings, read at a moment."""

    def __init__(self, recorded: Mapping[str, tuple[RecordedChain, ...]], calendar: Calendar) -> None:
        self.by_underlying = recorded
        self.moments_us = {
            name: microseconds(np.array([chain.at for chain in chains])) for name, chains in recorded.items()
        }
        self._calendar = calendar
        self._rows: dict[tuple[str, int], dict[str, int]] = {}

    def __bool__(self) -> bool:
        return bool(self.by_underlying)

    def known(self, underlying: str, at_us: int) -> RecordedChain | None:
        """The latest recording by this moment."""
        count = bisect_right(self.moments_us.get(underlying, ()), at_us)
        return self.by_underlying[underlying][count - 1] if count else None

    def find(self, symbol: str, at_us: int) -> tuple[Row, int] | None:
        """The latest recording that holds the contract, its row there and its moment; None if it is not known yet."""
        underlying = parsed(symbol).underlying
        moments = self.moments_us.get(underlying, [])
        for index in range(bisect_right(moments, at_us) - 1, -1, -1):
            recorded = self.by_underlying[underlying][index]
            rows = self._rows.setdefault((underlying, index), {})
            if not rows:
                rows |= {name: row for row, name in enumerate(recorded.chain.symbols)}
            if symbol in rows:
                return (recorded, rows[symbol]), moments[index]
        return None

    def quote(self, symbol: str, at_us: int) -> OptionQuote | None:
        """The contract's latest recorded quote, however old; at most a tenth of the day's volume or open interest, and
        one contract, may fill against it."""
        found = self.find(symbol, at_us)
        if found is None:
            return None
        (recorded, row), as_of_us = found
        traded = np.nanmax([recorded.volume[row], recorded.chain.open_interest[row], 0.0])
        bid, ask = (decimal_from_float(side[row]) for side in (recorded.chain.bid, recorded.chain.ask))
        return OptionQuote(bid, ask, as_of_us, max(Decimal(int(traded)) // 10, Decimal(1)))

    def spot_quote(self, underlying: str, at_us: int) -> OptionQuote | None:
        """The latest recorded price of the underlying, to both sides and for any quantity."""
        recorded = self.known(underlying, at_us)
        if recorded is None:
            return None
        spot = decimal_from_float(recorded.spot)
        return OptionQuote(spot, spot, microseconds(np.array([recorded.at]))[0], Decimal("Infinity"))

    def ends_us(self, option: Contract) -> int:
        """When the contract stops trading: the close of its expiry day, or of the session before a holiday."""
        return self._calendar.closes_us[bisect_right(self._calendar.days, option.expiry) - 1]

    # As the option data port tells it

    def chain(self, window: ChainWindow, at_us: int) -> Chain:
        """The window of the latest recording, without what has expired."""
        recorded = self.known(window.underlying, at_us)
        if recorded is None:
            return _nothing(window.underlying)
        rows = self._alive(recorded, window.first_expiry, window.last_expiry, at_us)
        strikes = recorded.chain.strike[rows]
        inside = (strikes >= float(window.lowest_strike)) & (strikes <= float(window.highest_strike))
        return _told(recorded, rows[inside])

    def contracts(self, symbols: Sequence[str], at_us: int) -> tuple[Chain, ...]:
        """The named contracts, a chain an underlying, each by the latest recording that holds it."""
        chains: dict[str, Chain] = {}
        for symbol in sorted(set(symbols)):
            if (found := self.find(symbol, at_us)) is not None:
                recorded, row = found[0]
                name, told = recorded.chain.underlying, _told(recorded, np.array([row]))
                chains[name] = merged(chains[name], told) if name in chains else told
        return tuple(chains.values())

    def open_interest(self, underlyings: Sequence[str], first: date, last: date, at_us: int) -> Mapping[str, int]:
        """Open interest of the latest recordings by contract; without what is not known."""
        interest: dict[str, int] = {}
        for underlying in underlyings:
            recorded = self.known(underlying, at_us)
            for row in [] if recorded is None else self._alive(recorded, first, last, at_us):
                assert recorded is not None
                if not np.isnan(recorded.chain.open_interest[row]):
                    interest[recorded.chain.symbols[row]] = int(recorded.chain.open_interest[row])
        return interest

    def _alive(self, recorded: RecordedChain, first: date, last: date, at_us: int) -> Any:
        """(n,) the rows whose expiry lies in [first, last] and has not passed."""
        expiry = recorded.chain.expiry
        inside = (expiry >= np.datetime64(first)) & (expiry <= np.datetime64(last))
        for day in np.unique(expiry[inside]):
            row = int(np.argmax(expiry == day))
            if self.ends_us(parsed(recorded.chain.symbols[row])) <= at_us:
                inside &= expiry != day
        return np.flatnonzero(inside)


def _told(recorded: RecordedChain, rows: Any) -> Chain:
    """These rows with their greeks; open interest comes from elsewhere, as at Alpaca."""
    whole = recorded.chain
    columns: dict[str, Any] = {name: getattr(whole, name)[rows] for name in _COLUMNS}
    unknown = (np.nan,) * 4
    greeks = np.array([recorded.greeks(int(row)) or unknown for row in rows], dtype=np.float64).reshape(-1, 4)
    columns |= dict(zip(("delta", "gamma", "theta", "vega"), greeks.T, strict=True))
    columns["open_interest"] = np.full(len(rows), np.nan)
    return replace(whole, symbols=tuple(whole.symbols[row] for row in rows), **columns)


def _nothing(underlying: str) -> Chain:
    columns: dict[str, Any] = {name: np.empty(0) for name in _COLUMNS}
    columns |= {
        "is_call": np.empty(0, dtype=np.bool_),
        "expiry": np.empty(0, dtype="datetime64[D]"),
        "quoted_at": np.empty(0, dtype="datetime64[us]"),
    }
    return Chain(underlying, (), **columns)


_COLUMNS = tuple(field.name for field in fields(Chain) if field.name not in ("underlying", "symbols"))
