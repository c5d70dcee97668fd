"""Reads what a run left in the store: its receipts and trades. Reports are made from this and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.documents import parsed
from core.errors import BadFacts, BadRequest
from core.model.judgement import Mode, Refusal
from core.model.market import AssetClass
from core.model.orders import OrderStatus
from core.model.trades import Trade
from core.ports import Document, Store
from core.reporting.round_trips import MODULE_OF
from core.units import decimal_from_float

MOST_DOCUMENTS = 1_000_000
"""Far more than a year of cycles every minute: a bound for the query, not a page."""
BROKER = "broker"
"""The rule of what our own rules let pass and the broker refused."""


@dataclass(frozen=True, slots=True)
class CycleFacts:
    """One finished cycle. `invested_usd`: the value of the positions of each asset class, empty in a receipt that does
    not say; `quotes`: (bid, ask) by symbol as the cycle saw them; `could_see`: whether it had what its ideas come from,
    for options the outlook of any underlying; `refusals`: of our rules, then the broker's; `duration_ms`: from the
    broker's clock to the stored receipt, None where nobody waited for one; `regime`: of its market, in words."""

    module: str
    as_of: datetime
    equity_usd: Decimal
    cash_usd: Decimal
    invested_usd: Mapping[AssetClass, Decimal]
    mode: Mode
    mode_by: str
    mode_reason: str
    mode_at: datetime
    quotes: Mapping[str, tuple[Decimal, Decimal]]
    refusals: tuple[Refusal, ...]
    duration_ms: float | None
    alarms: tuple[str, ...] = ()
    could_see: bool = True
    regime: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """A run from its first cycle to its last: cycles and trades, oldest first."""

    cycles: tuple[CycleFacts, ...]
    trades: tuple[Trade, ...]


def read_history(store: Store) -> History:
    """Everything a report needs; `BadRequest` where no cycle has finished yet."""
    stored = store.recent("cycles", order_by="started_at", limit=MOST_DOCUMENTS)
    cycles = [cycle for document in stored if (cycle := cycle_facts(document)) is not None]
    if not cycles:
        raise BadRequest("no cycle has finished in this store yet, so there is nothing to report; run one first")
    cycles.sort(key=lambda cycle: cycle.as_of)
    return History(tuple(cycles), stored_trades(store))


def stored_trades(store: Store) -> tuple[Trade, ...]:
    """Every trade document, oldest first."""
    found = store.recent("trades", order_by="opened_at", limit=MOST_DOCUMENTS)
    trades = [parsed(Trade, document) for document in found]
    return tuple(sorted(trades, key=lambda trade: (trade.opened_at, trade.trade_id)))


def cycle_facts(stored: Document) -> CycleFacts | None:
    """The facts of a finished cycle; None for one that is under way or was given up."""
    report = stored.data.get("report")
    if stored.data.get("state") != "done" or not isinstance(report, Mapping) or report.get("outcome") != "done":
        return None
    try:
        return CycleFacts(
            module=str(report["module"]),
            as_of=datetime.fromisoformat(report["as_of"]),
            equity_usd=Decimal(report["equity_usd"]),
            cash_usd=Decimal(report["cash_usd"]),
            invested_usd={AssetClass(kind): Decimal(usd) for kind, usd in report.get("invested_usd", {}).items()},
            mode=Mode(report["mode"]),
            mode_by=str(report["mode_by"]),
            mode_reason=str(report["mode_reason"]),
            mode_at=datetime.fromisoformat(report["mode_at"]),
            quotes=_quotes(report["symbols"]),
            refusals=(*_refusals(report["symbols"]), *_by_the_broker(report.get("orders", ()))),
            duration_ms=(stored.data["finished_at"] - stored.data["started_at"]).total_seconds() * 1000,
            alarms=tuple(report.get("alarms", ())),
            could_see=report["module"] != MODULE_OF[AssetClass.OPTION]
            or any("outlook" in item["seen"] for item in report["symbols"]),
            regime=next((str(item["seen"]["regime"]) for item in report["symbols"] if "regime" in item["seen"]), ""),
        )
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise BadFacts(f"{stored.path} holds a receipt that cannot be read: {error!r}; was it changed?") from error


def _quotes(symbols: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Decimal, Decimal]]:
    return {
        str(item["symbol"]): (decimal_from_float(item["seen"]["bid"]), decimal_from_float(item["seen"]["ask"]))
        for item in symbols
        if "bid" in item["seen"]
    }


def _refusals(symbols: Sequence[Mapping[str, Any]]) -> tuple[Refusal, ...]:
    return tuple(
        Refusal(str(item["symbol"]), str(refusal["rule"]), str(refusal["reason"]), str(refusal.get("strategy", "")))
        for item in symbols
        for refusal in item["refused"]
    )


def _by_the_broker(orders: Sequence[Mapping[str, Any]]) -> tuple[Refusal, ...]:
    refused = (order for order in orders if order["status"] == OrderStatus.REJECTED)
    return tuple(Refusal(str(order["symbol"]), BROKER, str(order["note"])) for order in refused)
