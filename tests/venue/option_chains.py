"""Literal option chains: a few contracts of XYZ, quoted at a few moments of the first week of 2024."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pandas as pd

from venue.options.chains import Chains, read_chains
from venue.options.underlyings import with_spots
from venue.recording import Recording

TUESDAY, WEDNESDAY, FRIDAY = "2024-01-02T19:30:00+00:00", "2024-01-03T19:30:00+00:00", "2024-01-05T19:30:00+00:00"
THIS_WEEK, NEXT_WEEK = date(2024, 1, 5), date(2024, 1, 12)


def occ(kind: str, strike: float, expiry: date = THIS_WEEK, underlying: str = "XYZ") -> str:
    """The OCC symbol of a call (C) or put (P)."""
    return f"{underlying}{expiry:%y%m%d}{kind}{int(strike * 1000):08d}"


CALL_95, CALL_100, CALL_105 = (occ("C", strike) for strike in (95, 100, 105))
PUT_90, PUT_95, PUT_100 = (occ("P", strike) for strike in (90, 95, 100))
LATER_CALL_105 = occ("C", 105, NEXT_WEEK)
# bid and ask per share
QUOTES = {
    CALL_95: (5.8, 6.0),
    CALL_100: (2.9, 3.0),
    CALL_105: (1.0, 1.1),
    PUT_90: (0.5, 0.6),
    PUT_95: (1.4, 1.5),
    PUT_100: (2.8, 2.9),
    LATER_CALL_105: (1.9, 2.1),
}


def rows(as_of: str, spot: float, quotes: dict[str, tuple[float, float]] | None = None, **columns: Any) -> pd.DataFrame:
    """One recording; `columns` replaces a column for every contract."""
    moment = pd.Timestamp(as_of)
    quotes = QUOTES if quotes is None else quotes
    facts = {
        "underlying": [symbol[:-15] for symbol in quotes],
        "snapshot_date": moment.date(),
        "as_of": moment,
        "symbol": list(quotes),
        "bid": [bid for bid, _ in quotes.values()],
        "ask": [ask for _, ask in quotes.values()],
        "last_price": 1.0,
        "last_trade_at": moment,
        "volume": 1000.0,
        "open_interest": 500.0,
        "implied_volatility": 0.3,
        "spot_price": spot,
        "contract_size": "REGULAR",
    }
    return pd.DataFrame(facts | columns)


def recording(*recorded: pd.DataFrame, series: Any = (), returns: dict[str, float] | None = None) -> Recording:
    """A recording of these chains; `returns`: XYZ's log return by ISO date."""
    chains: Chains = read_chains(pd.concat(recorded, ignore_index=True))
    days = returns or {}
    frame = pd.DataFrame(
        {
            "symbol": ["XYZ"] * len(days),
            "t": pd.to_datetime([f"{day}T05:00:00Z" for day in days], utc=True),
            "log_return": list(days.values()),
        }
    )
    notes: list[str] = []
    full = with_spots({one.symbol: one for one in series}, chains, frame, notes)
    return Recording(full, tuple(notes), chains)


def leg(symbol: str, intent: str, ratio: str = "1") -> dict[str, str]:
    """A leg of a multi-leg order."""
    return {"symbol": symbol, "ratio_qty": ratio, "position_intent": intent, "side": intent.split("_")[0]}


def moment(text: str) -> datetime:
    """An aware time."""
    return datetime.fromisoformat(text)


def place(trader: Any, symbol: str, side: str, qty: str = "1", **fields: Any) -> Any:
    """The answer to a simple order; a market order unless the fields say otherwise."""
    body = {"symbol": symbol, "side": side, "qty": qty, "type": "market", "time_in_force": "day"} | fields
    return trader.http.post("/v2/orders", json={name: value for name, value in body.items() if value is not None})


def place_legs(trader: Any, legs: list[dict[str, str]], qty: str = "1", **fields: Any) -> Any:
    """The answer to a multi-leg order."""
    body = {"order_class": "mleg", "qty": qty, "type": "market", "time_in_force": "day", "legs": legs} | fields
    return trader.http.post("/v2/orders", json={name: value for name, value in body.items() if value is not None})


def answer_of(response: Any) -> tuple[int, int | None]:
    """The status and, of a refusal, its code."""
    return response.status_code, response.json().get("code") if response.status_code != 200 else None


def cash(trader: Any) -> str:
    """The account's cash."""
    return trader.get("/v2/account")["cash"]


BULL_CALL = [leg(CALL_100, "buy_to_open"), leg(CALL_105, "sell_to_open")]
BULL_PUT = [leg(PUT_95, "sell_to_open"), leg(PUT_90, "buy_to_open")]
IRON_CONDOR = [*BULL_PUT, leg(CALL_105, "sell_to_open"), leg(occ("C", 110), "buy_to_open")]
WIDE = QUOTES | {occ("C", 110): (0.2, 0.3)}
