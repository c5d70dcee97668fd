"""Small option facts: a chain of SPY at 100 around a hand-made table of quotes, in an open session of a Monday, and
structures held on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import sqrt
from typing import Any

import numpy as np

from core.model.bars import as_datetime64
from core.model.judgement import Opportunity, Refusal, Snapshot
from core.model.market import AssetClass, Clock, LastTrade, TradingSession
from core.model.options import Chain, contract
from core.model.orders import Position
from core.model.trades import Trade
from core.modules.options import Options
from core.modules.options.view import Outlook, View
from tests.builders import account, asset, bars, booked, books, position, snapshot, trade, usd

NOW = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)
EXPIRY = date(2026, 4, 10)
SESSION = TradingSession(date(2026, 3, 2), NOW.replace(hour=14, minute=30), NOW.replace(hour=21))
OPEN = Clock(NOW, True, NOW.replace(day=3, hour=14, minute=30), SESSION.closes_at)
CLOSED = replace(OPEN, is_open=False)

Row = tuple[str, float, float, float]
"""C or P with its strike, bid, ask, delta."""

CALLS: tuple[Row, ...] = (
    ("C95", 6.40, 6.60, 0.75),
    ("C98", 4.30, 4.40, 0.62),
    ("C100", 3.10, 3.20, 0.54),
    ("C102", 2.00, 2.10, 0.42),
    ("C105", 1.00, 1.05, 0.30),
    ("C107", 0.62, 0.66, 0.22),
    ("C109", 0.36, 0.39, 0.12),
)
PUTS: tuple[Row, ...] = (
    ("P105", 6.10, 6.30, -0.70),
    ("P102", 4.00, 4.10, -0.56),
    ("P100", 2.90, 3.00, -0.46),
    ("P98", 2.00, 2.10, -0.37),
    ("P96", 1.30, 1.35, -0.30),
    ("P95", 1.00, 1.05, -0.25),
    ("P93", 0.62, 0.66, -0.18),
    ("P91", 0.36, 0.39, -0.11),
)
ALL = (*CALLS, *PUTS)


def occ(name: str, expiry: date = EXPIRY, underlying: str = "SPY") -> str:
    """`C105` of SPY as its OCC symbol."""
    return f"{underlying}{expiry:%y%m%d}{name[0]}{int(float(name[1:]) * 1000):08d}"


def chain(rows: Sequence[Row] = ALL, *, expiry: date = EXPIRY, underlying: str = "SPY", **columns: Any) -> Chain:
    """Contracts quoted a minute ago at 20 % volatility, open interest 500; `columns` replace whole columns."""
    n = len(rows)
    named = [contract(occ(name, expiry, underlying)) for name, *_ in rows]
    plain = Chain(
        underlying=underlying,
        symbols=tuple(each.symbol for each in named),
        is_call=np.array([each.right == "call" for each in named]),
        expiry=np.array([each.expiry for each in named], dtype="datetime64[D]"),
        strike=np.array([float(each.strike) for each in named]),
        bid=np.array([row[1] for row in rows]),
        ask=np.array([row[2] for row in rows]),
        quoted_at=np.full(n, as_datetime64(NOW - timedelta(minutes=1))),
        implied_volatility=np.full(n, 0.20),
        delta=np.array([row[3] for row in rows]),
        gamma=np.full(n, 0.03),
        theta=np.full(n, -0.04),
        vega=np.array([0.16 - 0.25 * abs(0.5 - abs(row[3])) for row in rows]),
        open_interest=np.full(n, 500.0),
    )
    wide: dict[str, Any] = {
        name: np.full(n, value) if np.ndim(value) == 0 else np.asarray(value) for name, value in columns.items()
    }
    return replace(plain, **wide)


def view(outlook: Outlook = Outlook.BULLISH, **changes: Any) -> View:
    score = {"bullish": 0.8, "bearish": -0.8, "neutral": 0.0, "unclear": 0.2}[outlook]
    return replace(View("SPY", usd(100), score, outlook, 0.25, 0.20), **changes)


def closes(drift: float = 0.0, *, volatility: float = 0.25, n_bars: int = 120, last: float = 100.0) -> list[float]:
    """Closes that swing up and down by the same step every day, their volatility, and drift; ending at `last`."""
    step = volatility / sqrt(252)
    logs = [drift * day + step / 2 * (-1) ** day for day in range(n_bars)]
    return [last * float(np.exp(value - logs[-1])) for value in logs]


def moment(of: Chain | None = None, *, drift: float = 0.004, volatility: float = 0.25, **changes: Any) -> Snapshot:
    """A Monday in session: SPY at 100 and rising, its chain, an account of level 3, nothing held."""
    known = of if of is not None else chain()
    name = known.underlying
    plain = snapshot(
        bars=bars({name: closes(drift, volatility=volatility)}, as_of=NOW),
        module="options",
        cycle_id="options-1",
        as_of=NOW,
        account=account(options_level=3, options_buying_power_usd=usd(100_000)),
        assets={name: asset(name, asset_class=AssetClass.STOCK, quantity_increment=usd(1))},
        quotes={},
        last_trades={name: LastTrade(name, usd(100), NOW - timedelta(seconds=30))},
        chains={name: known},
        clock=OPEN,
        sessions=(SESSION,),
    )
    return replace(plain, **changes)


def option(name: str, quantity: int, entry: str, now: str | None = None, **changes: Any) -> Position:
    """So many contracts, negative when written, opened at `entry` a share and priced by the broker at `now`."""
    symbol = occ(name) if name[0] in "CP" else name
    price, count = usd(now or entry), Decimal(quantity)
    return position(
        symbol,
        str(quantity),
        asset_class=AssetClass.OPTION,
        average_entry_price=usd(entry),
        price=str(price),
        market_value_usd=count * price * 100,
        **changes,
    )


def opened(name: str, structure: str = "s-1", **changes: Any) -> Trade:
    """The books' trade of one contract, four days old."""
    plain = trade(
        occ(name) if name[0] in "CP" else name,
        asset_class=AssetClass.OPTION,
        opened_at=NOW - timedelta(days=4),
        entries=(booked("1", "1", at=NOW - timedelta(days=4)),),
        strategy="bull_call_spread",
        trade_id=f"{structure}-{name}",
        structure_id=structure,
        underlying="SPY",
        multiplier=usd(100),
    )
    return replace(plain, **changes)


OPTIONS = Options()
Held = Mapping[str, tuple[int, str]]
"""Contracts by name: how many, negative when written, and at which price a share they were opened."""


def holding(held: Held, quotes: tuple[Row, ...] = (), *, spot: str = "100", **changes: Any) -> Snapshot:
    """One structure of the books, its contracts quoted as told, with the market open."""
    trades = tuple(opened(name) for name in held)
    known = {"SPY": chain(quotes)} if quotes else {}
    positions = (*(option(name, count, entry) for name, (count, entry) in held.items()), *changes.pop("more", ()))
    last = {"SPY": LastTrade("SPY", usd(spot), NOW)}
    facts: dict[str, Any] = {"positions": positions, "chains": known, "last_trades": last}
    return moment(**{"books": books(trades=trades), **facts, **changes})


def found(snapshot: Snapshot) -> list[Opportunity | Refusal]:
    return list(OPTIONS.monitor_positions(snapshot))


def marked(snapshot: Snapshot, *prices: str) -> Snapshot:
    """The broker's own price of each contract held, in order."""
    priced = tuple(replace(each, price=usd(now)) for each, now in zip(snapshot.positions, prices, strict=True))
    return replace(snapshot, positions=priced)


def reasons(snapshot: Snapshot) -> list[str]:
    """The first word of each exit's reason."""
    return [exit_.reason.split(":")[0] for exit_ in found(snapshot) if isinstance(exit_, Opportunity)]


CALL: Held = {"C100": (2, "3.00")}
SPREAD: Held = {"C100": (1, "3.00"), "C105": (-1, "1.00")}
CONDOR: Held = {"P91": (1, "0.40"), "P93": (-1, "0.70"), "C107": (-1, "0.70"), "C109": (1, "0.40")}
WRITTEN: Held = {"P95": (-1, "1.00")}


def call(bid: float) -> tuple[Row, ...]:
    return (("C100", bid, bid + 0.10, 0.5),)


def spread(long_bid: float, short_ask: float) -> tuple[Row, ...]:
    return (("C100", long_bid, long_bid + 0.1, 0.5), ("C105", short_ask - 0.1, short_ask, 0.3))


def condor(short_ask: float) -> tuple[Row, ...]:
    """Wings at a bid of 0.10; a debit of 2 * (short ask - 0.10) closes it."""
    wings = (("P91", 0.10, 0.12, -0.1), ("C109", 0.10, 0.12, 0.1))
    return (*wings, ("P93", short_ask - 0.02, short_ask, -0.2), ("C107", short_ask - 0.02, short_ask, 0.2))


def put(ask: float) -> tuple[Row, ...]:
    return (("P95", ask - 0.05, ask, -0.25),)
