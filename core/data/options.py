"""Alpaca's option chains: quotes and greeks from the wire straight into columns, and open interest once a day."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Annotated, Any

import msgspec
import numpy as np

from core.broker.connection import AlpacaConnection
from core.model.bars import FloatArray, TimeArray
from core.model.options import MULTIPLIER, Chain
from core.ports import ChainWindow
from core.units import text

PAGE_SNAPSHOTS = 1_000
PAGE_CONTRACTS = 10_000
"""The most that Alpaca gives at once."""

SNAPSHOTS_PATH = "/v1beta1/options/snapshots"
EPOCH = date(1970, 1, 1).toordinal()
NAME = re.compile(r"([A-Z]{1,5})(\d{6})([CP])(\d{8})")
"""Root, expiry as yymmdd, right, strike in thousandths of a dollar; adjusted contracts have a digit in the root."""

NAMES_KEPT = 32_768
"""More than the contracts in reach of all underlyings, whose names are the same in every cycle."""

_Name = tuple[str, int, bool, float]
"""What a contract's name says: root, expiry, whether it is a call, strike."""


# gc=False: these form no cycles, and thousands of them would only set off collections of everything else
class _Quote(msgspec.Struct, gc=False):
    t: Annotated[datetime, msgspec.Meta(tz=True)]
    bp: float
    ap: float


class _Greeks(msgspec.Struct, gc=False):
    delta: float | None = None
    gamma: float | None = None
    theta: float | None = None
    vega: float | None = None


class _Snapshot(msgspec.Struct, rename="camel", gc=False):
    latest_quote: _Quote | None = None
    implied_volatility: float | None = None
    greeks: _Greeks | None = None


class _SnapshotPage(msgspec.Struct):
    snapshots: dict[str, _Snapshot]
    next_page_token: str | None = None


class _Contract(msgspec.Struct):
    symbol: str
    multiplier: Decimal | None = None
    size: Decimal | None = None
    open_interest: int | None = None


class _ContractPage(msgspec.Struct):
    option_contracts: list[_Contract]
    next_page_token: str | None = None


_decode_snapshots = msgspec.json.Decoder(_SnapshotPage).decode
_decode_contracts = msgspec.json.Decoder(_ContractPage, strict=False).decode
_UNKNOWN = _Greeks()


class AlpacaOptions:
    """OptionData. `feed`: `indicative`, which is free and delayed, or `opra`; the quotes' own times tell their age."""

    def __init__(self, data_url: str, trading_url: str, *, key: str, secret: str, feed: str) -> None:
        self._data = AlpacaConnection(data_url, key=key, secret=secret)
        self._trading = AlpacaConnection(trading_url, key=key, secret=secret)
        self._feed = feed
        self._interest: tuple[tuple[Any, ...], Mapping[str, int]] | None = None

    @property
    def calls(self) -> Counter[str]:
        return self._data.calls + self._trading.calls

    def chain(self, window: ChainWindow) -> Chain:
        params = {
            "expiration_date_gte": window.first_expiry.isoformat(),
            "expiration_date_lte": window.last_expiry.isoformat(),
            "strike_price_gte": text(window.lowest_strike),
            "strike_price_lte": text(window.highest_strike),
        }
        found = self._snapshots(f"{SNAPSHOTS_PATH}/{window.underlying}", params)
        return _by_underlying(found).get(window.underlying) or _chain(window.underlying, [])

    def contracts(self, symbols: Sequence[str]) -> tuple[Chain, ...]:
        if not symbols:
            return ()
        return tuple(_by_underlying(self._snapshots(SNAPSHOTS_PATH, {"symbols": ",".join(symbols)})).values())

    def open_interest(self, underlyings: Sequence[str], first_expiry: date, last_expiry: date) -> Mapping[str, int]:
        """Contracts of another size than a hundred shares are left out. The answer is kept until other days are asked
        for, which follow the calendar: it changes once a day."""
        asked = (tuple(underlyings), first_expiry, last_expiry)
        if self._interest is None or self._interest[0] != asked:
            params = {
                "underlying_symbols": ",".join(underlyings),
                "status": "active",
                "expiration_date_gte": first_expiry.isoformat(),
                "expiration_date_lte": last_expiry.isoformat(),
                "limit": PAGE_CONTRACTS,
            }
            pages = self._trading.pages("/v2/options/contracts", params, _decode_contracts, "option contracts")
            contracts = [contract for page in pages for contract in page.option_contracts]
            interest = {
                contract.symbol: contract.open_interest
                for contract in contracts
                if contract.open_interest is not None and contract.multiplier == contract.size == MULTIPLIER
            }
            self._interest = (asked, interest)
        return self._interest[1]

    def _snapshots(self, path: str, params: Mapping[str, str]) -> dict[str, _Snapshot]:
        asked = {**params, "feed": self._feed, "limit": PAGE_SNAPSHOTS}
        found: dict[str, _Snapshot] = {}
        for page in self._data.pages(path, asked, _decode_snapshots, "option snapshots"):
            found |= page.snapshots
        return found


@lru_cache(maxsize=NAMES_KEPT)
def _named(symbol: str) -> _Name | None:
    """None for a name of another form, such as an adjusted contract's, and for one whose expiry is no day."""
    found = NAME.fullmatch(symbol)
    if found is None:
        return None
    root, yymmdd, right, thousandths = found.groups()
    expiry = _expiry(yymmdd)
    return None if expiry is None else (root, expiry, right == "C", int(thousandths) / 1000)


@cache
def _expiry(yymmdd: str) -> int | None:
    """Days since 1970, as datetime64[D] counts them; None for what is no day."""
    try:
        return date(2000 + int(yymmdd[:2]), int(yymmdd[2:4]), int(yymmdd[4:])).toordinal() - EPOCH
    except ValueError:
        return None


def _by_underlying(snapshots: Mapping[str, _Snapshot]) -> dict[str, Chain]:
    """A chain for each root, of the contracts whose names tell what they are."""
    rows: dict[str, list[tuple[str, _Name, _Snapshot]]] = {}
    for symbol, snapshot in snapshots.items():
        name = _named(symbol)
        if name is not None:
            rows.setdefault(name[0], []).append((symbol, name, snapshot))
    return {underlying: _chain(underlying, found) for underlying, found in rows.items()}


def _chain(underlying: str, rows: Sequence[tuple[str, _Name, _Snapshot]]) -> Chain:
    quotes = [snapshot.latest_quote for _, _, snapshot in rows]
    greeks = [snapshot.greeks or _UNKNOWN for _, _, snapshot in rows]
    return Chain(
        underlying=underlying,
        symbols=tuple(symbol for symbol, _, _ in rows),
        is_call=np.array([is_call for _, (_, _, is_call, _), _ in rows], dtype=np.bool_),
        expiry=np.array([expiry for _, (_, expiry, _, _), _ in rows], dtype=np.int64).astype("datetime64[D]"),
        strike=_floats([strike for _, (_, _, _, strike), _ in rows]),
        bid=_prices([None if quote is None else quote.bp for quote in quotes]),
        ask=_prices([None if quote is None else quote.ap for quote in quotes]),
        quoted_at=_times([None if quote is None else quote.t.timestamp() for quote in quotes]),
        implied_volatility=_floats([snapshot.implied_volatility for _, _, snapshot in rows]),
        delta=_floats([one.delta for one in greeks]),
        gamma=_floats([one.gamma for one in greeks]),
        theta=_floats([one.theta for one in greeks]),
        vega=_floats([one.vega for one in greeks]),
        open_interest=np.full(len(rows), np.nan),
    )


def _floats(values: Sequence[float | None]) -> FloatArray:
    return np.array(values, dtype=np.float64)  # None becomes NaN


def _prices(values: Sequence[float | None]) -> FloatArray:
    """A negative price is none; zero is Alpaca's word for no bid or no ask and stays."""
    prices = _floats(values)
    prices[prices < 0] = np.nan
    return prices


def _times(epoch_s: Sequence[float | None]) -> TimeArray:
    seconds = _floats(epoch_s)
    times = np.full(len(seconds), "NaT", dtype="datetime64[us]")
    known = ~np.isnan(seconds)
    times[known] = np.rint(seconds[known] * 1e6).astype(np.int64).astype("datetime64[us]")
    return times
