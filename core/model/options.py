"""Option contracts: their names, and the chain of one underlying as columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.model.bars import FloatArray, TimeArray, as_datetime64
from core.model.market import Quote

MULTIPLIER = Decimal(100)
"""Shares a standard contract; contracts adjusted for corporate actions (another multiplier) are not traded."""

_OCC = re.compile(r"([A-Z]{1,5})(\d{2})(\d{2})(\d{2})([CP])(\d{8})")


class Right(StrEnum):
    CALL = "call"
    PUT = "put"


@dataclass(frozen=True, slots=True)
class Contract:
    """What an OCC symbol says: `AAPL250718C00200000` is the right to buy 100 AAPL at 200 until 2025-07-18."""

    symbol: str
    underlying: str
    expiry: date
    right: Right
    strike: Decimal


def contract(symbol: str) -> Contract:
    """The contract an OCC symbol names; ValueError for any other text (adjusted roots such as AAPL1 included)."""
    match = _OCC.fullmatch(symbol)
    if match is None:
        raise ValueError(f"{symbol!r} is no OCC option symbol like AAPL250718C00200000")
    root, year, month, day, right, strike = match.groups()
    expiry = date(2000 + int(year), int(month), int(day))
    return Contract(symbol, root, expiry, Right.CALL if right == "C" else Right.PUT, Decimal(strike) / 1000)


def underlying_of(symbol: str) -> str:
    """The underlying of an OCC symbol; any other symbol, adjusted contracts included, is its own."""
    return contract(symbol).underlying if _OCC.fullmatch(symbol) else symbol


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """Contracts of one underlying, one element a contract in every column; NaN or NaT where the broker gives nothing.

    `expiry`: datetime64[D]. `quoted_at`: datetime64[us], UTC. `strike`, `bid`, `ask` in dollars a share.
    `implied_volatility` a year. `delta`, `gamma`, `theta` (a day), `vega` (a point of volatility): the broker's, a
    share. `open_interest` in contracts.
    """

    underlying: str
    symbols: tuple[str, ...]
    is_call: NDArray[np.bool_]
    expiry: NDArray[np.datetime64]
    strike: FloatArray
    bid: FloatArray
    ask: FloatArray
    quoted_at: TimeArray
    implied_volatility: FloatArray
    delta: FloatArray
    gamma: FloatArray
    theta: FloatArray
    vega: FloatArray
    open_interest: FloatArray


def merged(first: Chain, second: Chain) -> Chain:
    """The first chain's contracts, and those of the second that it does not have."""
    known = set(first.symbols)
    more = np.array([symbol not in known for symbol in second.symbols], dtype=np.bool_)
    columns: dict[str, Any] = {
        field.name: np.concatenate([getattr(first, field.name), getattr(second, field.name)[more]])
        for field in fields(Chain)
        if field.name not in ("underlying", "symbols")
    }
    added = tuple(symbol for symbol in second.symbols if symbol not in known)
    return replace(first, symbols=(*first.symbols, *added), **columns)


def with_open_interest(chain: Chain, by_symbol: Mapping[str, int]) -> Chain:
    """The chain with its contracts' open interest; NaN for a contract that is not named."""
    interest = np.array([by_symbol.get(symbol, np.nan) for symbol in chain.symbols], dtype=np.float64)
    return replace(chain, open_interest=interest)


def requoted(chain: Chain, quotes: Iterable[Quote], now: datetime) -> Chain:
    """The chain with those of these quotes that are of its contracts and no older than the ones it has, unless these
    are of after `now`; zero is no bid or no ask. Volatility and greeks stay as they were."""
    rows = {symbol: row for row, symbol in enumerate(chain.symbols)}
    bid, ask, quoted_at = chain.bid.copy(), chain.ask.copy(), chain.quoted_at.copy()
    latest = as_datetime64(now)
    for quote in quotes:
        row, at = rows.get(quote.symbol), as_datetime64(quote.as_of)
        if row is not None and not at < quoted_at[row] <= latest:  # no known time is older than any
            bid[row], ask[row], quoted_at[row] = float(quote.bid), float(quote.ask), at
    return replace(chain, bid=bid, ask=ask, quoted_at=quoted_at)
