"""Small literal facts for tests: each builder gives a plain, sound value; a test names only what it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from core.indicators import features
from core.model import intelligence as told
from core.model.bars import Bars, FloatArray, empty_bars, from_rows
from core.model.judgement import Mode, ModeState, Snapshot
from core.model.limits import Costs, ExitRules, Limits, RiskLimits, SafetyLimits, Session, SignalRules
from core.model.market import Asset, AssetClass, Quote, Timeframe
from core.model.orders import (
    Account,
    FeePosting,
    Fill,
    Order,
    OrderIntent,
    OrderStatus,
    OrderType,
    Position,
    Purpose,
    Side,
    TimeInForce,
)
from core.model.trades import BookedFill, Books, EquityMarks, OrderRecord, TrackRecord, Trade

AS_OF = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TODAY = AS_OF.date()
ACCOUNT_ID = "paper-1"
BTC, ETH, LTC = "BTC/USD", "ETH/USD", "LTC/USD"
COIN_STEP = Decimal("0.000000001")
ZERO = Decimal(0)


def usd(value: str | int | float | Decimal) -> Decimal:
    """A decimal from what reads well in a test."""
    return Decimal(str(value))


def account(**changes: Any) -> Account:
    """100,000 dollars, all in cash, unchanged since yesterday."""
    plain = Account(
        account_id=ACCOUNT_ID,
        cash_usd=usd(100_000),
        equity_usd=usd(100_000),
        last_equity_usd=usd(100_000),
        non_marginable_buying_power_usd=usd(100_000),
        buying_power_usd=usd(200_000),
        is_trading_allowed=True,
        restriction="",
    )
    return replace(plain, **changes)


def asset(symbol: str = BTC, **changes: Any) -> Asset:
    plain = Asset(
        symbol=symbol,
        asset_class=AssetClass.CRYPTO,
        tradable=True,
        min_order_quantity=usd("0.0001"),
        quantity_increment=COIN_STEP,
        price_increment=usd("0.01"),
    )
    return replace(plain, **changes)


def quote(symbol: str = BTC, bid: str = "99.95", ask: str = "100.05", **changes: Any) -> Quote:
    return replace(Quote(symbol, usd(bid), usd(ask), AS_OF - timedelta(seconds=5)), **changes)


def position(symbol: str = BTC, quantity: str = "10", price: str = "100", **changes: Any) -> Position:
    """A position bought at its present price, all of it free to sell."""
    plain = Position(
        symbol=symbol,
        asset_class=AssetClass.CRYPTO,
        quantity=usd(quantity),
        available_quantity=usd(quantity),
        average_entry_price=usd(price),
        market_value_usd=usd(quantity) * usd(price),
        price=usd(price),
    )
    return replace(plain, **changes)


def intent(symbol: str = BTC, purpose: Purpose = Purpose.ENTRY, **changes: Any) -> OrderIntent:
    opens = purpose.opens_risk
    plain = OrderIntent(
        client_order_id=f"{symbol.replace('/', '')}-{purpose}-1",
        symbol=symbol,
        asset_class=AssetClass.CRYPTO,
        side=Side.BUY if opens else Side.SELL,
        purpose=purpose,
        order_type=OrderType.LIMIT if opens else OrderType.MARKET,
        time_in_force=TimeInForce.IOC if opens else TimeInForce.GTC,
        quantity=usd(1),
        limit_price=usd(100) if opens else None,
        reference_price=usd(100),
        strategy="momentum",
        reason="momentum score +0.80" if opens else "stop: 90 is at or below 90.00",
        expires_at=AS_OF + timedelta(minutes=4) if opens else None,
        stop_price=usd(90) if opens else None,
        target_price=usd(120) if opens else None,
    )
    return replace(plain, **changes)


def record(of: OrderIntent | None = None, **changes: Any) -> OrderRecord:
    """An order of ours that the broker has accepted and not filled yet; its broker id is its own id and `@`."""
    meant = of or intent()
    plain = OrderRecord(
        intent=meant,
        cycle_id="crypto-1",
        planned_at=AS_OF,
        status=OrderStatus.ACCEPTED,
        order_id=f"{meant.client_order_id}@",
        filled_quantity=ZERO,
        booked_quantity=ZERO,
        note="",
    )
    return replace(plain, **changes)


def order(of: OrderIntent | None = None, filled: str = "0", **changes: Any) -> Order:
    """The broker's view of an intent; filled in full it is `filled`, else still open."""
    meant = of or intent()
    done = usd(filled) == meant.quantity
    plain = Order(
        order_id=f"{meant.client_order_id}@",
        client_order_id=meant.client_order_id,
        symbol=meant.symbol,
        asset_class=meant.asset_class,
        side=meant.side,
        order_type=meant.order_type,
        status=OrderStatus.FILLED if done else OrderStatus.ACCEPTED,
        quantity=meant.quantity,
        filled_quantity=usd(filled),
        limit_price=meant.limit_price,
        submitted_at=AS_OF,
    )
    return replace(plain, **changes)


def sent_order(symbol: str = BTC, side: Side = Side.BUY, minutes_ago: float = 0, **changes: Any) -> Order:
    """A finished order of one dollar, for the rules that look at what was sent and when."""
    meant = intent(symbol, Purpose.ENTRY if side is Side.BUY else Purpose.EXIT)
    return order(meant, filled="1", submitted_at=AS_OF - timedelta(minutes=minutes_ago), **changes)


def fill(of: OrderIntent | None = None, quantity: str = "1", price: str = "100", **changes: Any) -> Fill:
    meant = of or intent()
    plain = Fill(
        fill_id=f"{meant.client_order_id}-fill",
        order_id=f"{meant.client_order_id}@",
        symbol=meant.symbol,
        side=meant.side,
        quantity=usd(quantity),
        price=usd(price),
        at=AS_OF,
    )
    return replace(plain, **changes)


def coin_fee(quantity: str, symbol: str = BTC, day: date = TODAY, fee_id: str = "fee-1") -> FeePosting:
    return FeePosting(fee_id, symbol, Side.BUY, day, usd(quantity), ZERO)


def dollar_fee(amount: str, symbol: str = BTC, day: date = TODAY, fee_id: str = "fee-1") -> FeePosting:
    return FeePosting(fee_id, symbol, Side.SELL, day, ZERO, usd(amount))


def booked(quantity: str = "10", price: str = "100", **changes: Any) -> BookedFill:
    """A fill in the books whose fee is posted and was nothing."""
    plain = BookedFill("fill-1", "BTCUSD-entry-1", usd(quantity), usd(price), AS_OF, ZERO, ZERO, True)
    return replace(plain, **changes)


def trade(symbol: str = BTC, quantity: str = "10", price: str = "100", **changes: Any) -> Trade:
    """An open momentum trade of one fill, a day old, without stop and target of its own."""
    name = f"{symbol.replace('/', '')}-entry-0"
    opened_at = changes.get("opened_at", AS_OF - timedelta(days=1))
    plain = Trade(
        trade_id=name,
        symbol=symbol,
        asset_class=AssetClass.CRYPTO,
        strategy="momentum",
        opened_at=opened_at,
        entries=(booked(quantity, price, fill_id=f"{name}-fill", client_order_id=name, at=opened_at),),
        exits=(),
        stop_price=None,
        target_price=None,
        exit_reason="",
        features={},
        cycle_id="crypto-0",
    )
    return replace(plain, **changes)


def books(**changes: Any) -> Books:
    """The books of an account that has traded nothing yet."""
    plain = Books(
        account_id=ACCOUNT_ID,
        opened_on=date(2026, 3, 1),
        starting_cash_usd=usd(100_000),
        cash_usd=usd(100_000),
        trades=(),
        unsettled=(),
        seen_since=AS_OF.replace(hour=0),
        seen_ids=frozenset(),
        record=TrackRecord(0, 0, ZERO, ZERO),
        marks=marks(),
        unfinished_cycle_id=None,
        rejected_at=(),
    )
    return replace(plain, **changes)


def marks(**changes: Any) -> EquityMarks:
    plain = EquityMarks(AS_OF.date(), usd(100_000), usd(100_000), datetime(2026, 3, 1, tzinfo=UTC))
    return replace(plain, **changes)


def mode_state(mode: Mode = Mode.ACTIVE, **changes: Any) -> ModeState:
    return replace(ModeState(mode, "as set up", "person:ann", datetime(2026, 3, 1, tzinfo=UTC)), **changes)


def signal(kind: told.Purpose = told.Purpose.MARKET_REGIME, **changes: Any) -> told.Signal:
    """An adviser's opinion of an hour ago that counts: a bearish market, a risky position of BTC, or BTC to buy."""
    values = {told.Purpose.MARKET_REGIME: ("", "bearish"), told.Purpose.POSITION_RISK: (BTC, "high")}
    symbol, value = values.get(kind, (BTC, "buy"))
    plain = told.Signal(
        kind=kind,
        symbol=symbol,
        value=value,
        confidence=0.9,
        reasoning="seen in the facts",
        source="adviser",
        at=AS_OF - timedelta(hours=1),
        expires_at=AS_OF + timedelta(hours=11),
        score=0.9 if kind is told.Purpose.POSITION_RISK else None,
    )
    return replace(plain, **changes)


def limits(
    *,
    risk: RiskLimits | None = None,
    safety: SafetyLimits | None = None,
    exits: ExitRules | None = None,
    costs: Costs | None = None,
    signals: SignalRules | None = None,
    sessions: tuple[Session, ...] | None = None,
) -> Limits:
    """The default limits, but for many entries a cycle, and one session that lasts all day and prefers momentum."""
    all_day = Session("all_day", 0, 24, ("momentum", "breakout", "mean_reversion"), Decimal(1))
    return Limits(
        risk=risk or RiskLimits(),
        safety=safety or SafetyLimits(max_entries_per_cycle=5),
        exits=exits or ExitRules(),
        costs=costs or Costs(),
        signals=signals or SignalRules(),
        sessions=sessions if sessions is not None else (all_day,),
    )


def flat(n_bars: int = 120, price: float = 100.0) -> list[float]:
    return [price] * n_bars


def rising(n_bars: int = 120, last: float = 100.0) -> list[float]:
    """Closes that climb 1.2 % a day with a ripple of 3 %, ending at `last`: a trend that momentum buys."""
    logs = [0.012 * day + 0.03 * (-1) ** day for day in range(n_bars)]
    return [last * float(np.exp(value - logs[-1])) for value in logs]


def falling(n_bars: int = 120, last: float = 100.0) -> list[float]:
    """The mirror image of `rising`: momentum wants out."""
    return [last * last / price for price in rising(n_bars, last)]


def wandering(seed: int, n_bars: int = 120, *, deviation: float = 0.03, last: float = 100.0) -> list[float]:
    """A seeded driftless log random walk that ends at `last`."""
    logs = np.cumsum(np.random.default_rng(seed).normal(0.0, deviation, n_bars))
    return [float(value) for value in last * np.exp(logs - logs[-1])]


def rows(
    closes: Sequence[float],
    *,
    as_of: datetime = AS_OF,
    timeframe: Timeframe = Timeframe.DAY,
    reach: float = 0.01,
    volumes: Sequence[float] | None = None,
) -> FloatArray:
    """One symbol's bars as (n, 6), the newest being the last that ended by `as_of`.

    Each opens at the close before; its range reaches `reach` (a fraction) beyond open and close, alike in logarithms.
    """
    length_s = timeframe.length.total_seconds()
    newest_s = as_of.timestamp() // length_s * length_s - length_s
    close = np.asarray(closes, dtype=float)
    open_ = np.concatenate([close[:1], close[:-1]])
    times = newest_s - length_s * np.arange(len(close))[::-1]
    high, low = np.maximum(open_, close) * (1 + reach), np.minimum(open_, close) / (1 + reach)
    volume = np.full(len(close), 1_000_000.0) if volumes is None else np.asarray(volumes, dtype=float)
    return np.column_stack([times, open_, high, low, close, volume])


def bars(closes: Mapping[str, Sequence[float]], *, timeframe: Timeframe = Timeframe.DAY, **knobs: Any) -> Bars:
    """Bars of several symbols from their closes; the knobs are those of `rows`."""
    return from_rows(timeframe, {symbol: rows(each, timeframe=timeframe, **knobs) for symbol, each in closes.items()})


def snapshot(closes: Mapping[str, Sequence[float]] | None = None, **changes: Any) -> Snapshot:
    """A moment in which every symbol with bars is tradable and quoted around its last close, and nothing is held."""
    known = changes.pop("bars", None) or (bars(closes) if closes else empty_bars(Timeframe.DAY))
    last = {symbol: float(known.close[row, -1]) for row, symbol in enumerate(known.symbols)}
    plain = Snapshot(
        cycle_id="crypto-1",
        module="crypto",
        as_of=AS_OF,
        mode=mode_state(),
        account=account(),
        positions=(),
        orders=(),
        assets={symbol: asset(symbol) for symbol in known.symbols},
        bars=known,
        features=features(known),
        quotes={
            symbol: quote(symbol, bid=f"{price * 0.9995:.4f}", ask=f"{price * 1.0005:.4f}")
            for symbol, price in last.items()
        },
        books=books(),
        limits=limits(),
        gaps=(),
    )
    return replace(plain, **changes)


def holding(position_: Position, *, closes: Sequence[float] | None = None, **changes: Any) -> Snapshot:
    """A snapshot that holds one position which the books explain; without closes it has neither bars nor quotes."""
    symbol = position_.symbol
    own = trade(symbol, str(position_.quantity), str(position_.average_entry_price))
    plain = snapshot({symbol: closes} if closes else None, positions=(position_,), books=books(trades=(own,)))
    return replace(plain, **changes)
