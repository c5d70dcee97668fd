"""The stocks we know: 41 symbols in four tiers, each with its sector and its group, and the options' underlyings."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

BENCHMARK = "SPY"
"""What relative strength is measured against, and whose trend is the market's."""

TIER_MIN_CONFIDENCE = {1: 0.60, 2: 0.55, 3: 0.65, 4: 0.70}
"""The higher of this and MIN_CONFIDENCE must be reached to enter."""

UNLISTED_TIER = 2


class Group(StrEnum):
    """What kind of symbol it is; the group decides which strategies may trade it."""

    CORE_ETF = "core_etf"
    STOCK = "stock"
    SECTOR_ETF = "sector_etf"
    LEVERAGED = "leveraged"
    LONG_VOLATILITY = "long_volatility"
    SHORT_VOLATILITY = "short_volatility"
    HAVEN = "haven"


@dataclass(frozen=True, slots=True)
class Listing:
    """One symbol's place in the universe. `exposure_factor`: dollars of market for each dollar held."""

    symbol: str
    tier: int
    sector: str
    group: Group = Group.STOCK
    exposure_factor: Decimal = Decimal(1)

    @property
    def min_confidence(self) -> float:
        return TIER_MIN_CONFIDENCE[self.tier]


_THREEFOLD = Decimal(3)

UNIVERSE = (
    Listing("SPY", 1, "market", Group.CORE_ETF),
    Listing("QQQ", 1, "market", Group.CORE_ETF),
    Listing("IWM", 1, "small_cap", Group.CORE_ETF),
    Listing("AAPL", 2, "technology"),
    Listing("MSFT", 2, "technology"),
    Listing("GOOGL", 2, "communications"),
    Listing("AMZN", 2, "consumer"),
    Listing("TSLA", 2, "consumer"),
    Listing("NVDA", 2, "technology"),
    Listing("META", 2, "communications"),
    Listing("NFLX", 2, "communications"),
    Listing("XLK", 2, "technology", Group.SECTOR_ETF),
    Listing("XLV", 2, "healthcare", Group.SECTOR_ETF),
    Listing("XLF", 2, "finance", Group.SECTOR_ETF),
    Listing("XLE", 2, "energy", Group.SECTOR_ETF),
    Listing("XLY", 2, "consumer", Group.SECTOR_ETF),
    Listing("AMD", 3, "technology"),
    Listing("CRM", 3, "technology"),
    Listing("ADBE", 3, "technology"),
    Listing("PYPL", 3, "finance"),
    Listing("BABA", 3, "international"),
    Listing("DIS", 3, "communications"),
    Listing("V", 3, "finance"),
    Listing("MA", 3, "finance"),
    Listing("JPM", 3, "finance"),
    Listing("BAC", 3, "finance"),
    Listing("TQQQ", 3, "technology", Group.LEVERAGED, _THREEFOLD),
    Listing("UPRO", 3, "market", Group.LEVERAGED, _THREEFOLD),
    Listing("SOXL", 3, "technology", Group.LEVERAGED, _THREEFOLD),
    Listing("TSM", 4, "international"),
    Listing("ASML", 4, "international"),
    Listing("SAP", 4, "international"),
    Listing("NVO", 4, "international"),
    Listing("UNH", 4, "healthcare"),
    Listing("JNJ", 4, "healthcare"),
    Listing("PG", 4, "consumer"),
    Listing("KO", 4, "consumer"),
    Listing("VXX", 4, "volatility", Group.LONG_VOLATILITY),
    Listing("SVXY", 4, "volatility", Group.SHORT_VOLATILITY),
    Listing("TLT", 4, "bonds", Group.HAVEN),
    Listing("GLD", 4, "gold", Group.HAVEN),
)

UNDERLYINGS = ("SPY", "QQQ", "IWM", "AAPL", "MSFT", "GOOGL", "TSLA", "NVDA")
"""What options are traded on."""

_LISTINGS = {listing.symbol: listing for listing in UNIVERSE}
_LISTINGS["GOOG"] = _LISTINGS["GOOGL"]
"""Another share class of the same company falls under the same rules."""


def listing(symbol: str) -> Listing:
    """The symbol's listing; a symbol that we do not know is a stock of tier 2 in a sector of its own."""
    return _LISTINGS.get(symbol) or Listing(symbol, UNLISTED_TIER, symbol)


def sector(symbol: str) -> str:
    """The sector whose cap the symbol falls under; an unknown symbol is its own, so that strangers share no cap."""
    return listing(symbol).sector


def exposure_factor(symbol: str) -> Decimal:
    """Dollars of market for each dollar held: three for a 3x ETF."""
    return listing(symbol).exposure_factor


def stock_symbols(tier: int) -> tuple[str, ...]:
    """The symbols of the tiers 1 to `tier`, in the order of the tiers."""
    return tuple(listing.symbol for listing in UNIVERSE if listing.tier <= tier)
