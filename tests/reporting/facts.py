"""Literal runs for reports: cycles, trades whose results are worked by hand, and receipts as the store keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from core.documents import document
from core.model.judgement import Mode, Refusal
from core.model.market import AssetClass
from core.model.orders import Side
from core.model.trades import BookedFill, Trade
from core.ports import Write
from core.reporting.history import CycleFacts, History

MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
BTC, ETH = "BTC/USD", "ETH/USD"
QUOTE = (Decimal(99), Decimal(101))


def day(number: int) -> datetime:
    """Midnight, this many days after Monday 2024-01-01."""
    return MONDAY + timedelta(days=number)


def cycle(
    number: int,
    equity: str,
    cash: str | None = None,
    *,
    mode: tuple[Mode, str, str] = (Mode.ACTIVE, "cronfolio", "first run"),
    mode_at: datetime | None = None,
    quotes: Mapping[str, tuple[Decimal, Decimal]] | None = None,
    refusals: Sequence[Refusal] = (),
    duration_ms: float | None = 20.0,
    module: str = "crypto",
    invested_usd: Mapping[AssetClass, Decimal] | None = None,
    regime: str = "",
) -> CycleFacts:
    """The cycle at midnight of that day; all cash and one quote of BTC unless said otherwise."""
    return CycleFacts(
        module=module,
        as_of=day(number),
        equity_usd=Decimal(equity),
        cash_usd=Decimal(cash or equity),
        invested_usd=invested_usd or {},
        mode=mode[0],
        mode_by=mode[1],
        mode_reason=mode[2],
        mode_at=day(number) if mode_at is None else mode_at,
        quotes={BTC: QUOTE} if quotes is None else quotes,
        refusals=tuple(refusals),
        duration_ms=duration_ms,
        regime=regime,
    )


def trade(
    number: int,
    exit_price: str | None,
    *,
    symbol: str = BTC,
    strategy: str = "momentum",
    reason: str = "stop: 90 is at or below 90.00",
) -> Trade:
    """Ten coins bought at 100 on that day and, with an exit price, all sold the day after, at 25 basis points each way.

    The purchase costs 1000 and leaves 9.975 coins. Sold at 110: 1097.25 - 2.743125 - 1000 = 94.506875, fees 5.243125.
    Sold at 90: 897.75 - 2.244375 - 1000 = -104.494375, fees 4.744375.
    """
    name = f"{symbol.replace('/', '')}-entry-{number}"
    entry = BookedFill(f"{name}-in", name, Decimal(10), Decimal(100), day(number), Decimal("0.025"), Decimal(0), True)
    exits: tuple[BookedFill, ...] = ()
    if exit_price is not None:
        price, coins = Decimal(exit_price), Decimal("9.975")
        fee = coins * price * Decimal("0.0025")
        exits = (BookedFill(f"{name}-out", name, coins, price, day(number + 1), Decimal(0), fee, True),)
    return Trade(
        trade_id=name,
        symbol=symbol,
        asset_class=AssetClass.CRYPTO,
        strategy=strategy,
        opened_at=day(number),
        entries=(entry,),
        exits=exits,
        stop_price=Decimal(90),
        target_price=Decimal(120),
        exit_reason=reason if exits else "",
        features={},
        cycle_id=f"crypto_cycle-{number}",
    )


def contract(symbol: str, side: Side, price_in: str, price_out: str | None, closed_on: int = 2) -> Trade:
    """One contract of a spread that was opened on the first day."""
    plain = trade(0, price_out, symbol=symbol, strategy="bull_call_spread", reason="profit: doubled")
    entry = replace(plain.entries[0], quantity=Decimal(1), price=Decimal(price_in), fee_quantity=Decimal(0))
    exits = [replace(fill, quantity=Decimal(1), fee_usd=Decimal(0), at=day(closed_on)) for fill in plain.exits]
    return replace(
        plain,
        trade_id=f"AAPL-spread-0-{symbol}",
        asset_class=AssetClass.OPTION,
        entries=(entry,),
        exits=tuple(exits),
        side=side,
        multiplier=Decimal(100),
        structure_id="AAPL-spread-0",
        underlying="AAPL",
    )


def history(cycles: Sequence[CycleFacts], trades: Sequence[Trade] = ()) -> History:
    return History(tuple(cycles), tuple(trades))


def receipt_write(number: int, **changes: Any) -> Write:
    """A finished cycle as the store keeps it: BTC was quoted and its entry refused."""
    report: dict[str, Any] = {
        "outcome": "done",
        "module": "crypto",
        "as_of": day(number).isoformat(),
        "equity_usd": "1000.00",
        "cash_usd": "900.00",
        "invested_usd": {"crypto": "100.00"},
        "mode": "ACTIVE",
        "mode_by": "cronfolio",
        "mode_reason": "first run of this account",
        "mode_at": day(0).isoformat(),
        "symbols": [
            {
                "symbol": BTC,
                "seen": {"bid": 99.0, "ask": 101.0},
                "refused": [
                    {"rule": "costs", "reason": "expected edge 0.10% does not beat 0.50%", "strategy": "momentum"}
                ],
                "done": [],
            },
            {"symbol": ETH, "seen": {}, "refused": [], "done": []},
        ],
    }
    body = {
        "state": "done",
        "started_at": day(number),
        "finished_at": day(number) + timedelta(milliseconds=25),
        "report": {**report, **changes},
    }
    return Write(f"cycles/crypto_cycle-{number}", document(body, account_id="paper-1"))


def trade_write(of: Trade) -> Write:
    return Write(
        f"trades/{of.trade_id}", document(of, account_id="paper-1", outcome=of.outcome, closed_at=of.closed_at)
    )
