"""The receipt: for every symbol what was seen, which rules refused, what was done. It is stored and answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.cycle.look import BrokerFacts
from core.cycle.world import CycleRequest
from core.documents import plain
from core.execution.settle import Settlement
from core.model.judgement import Decision, ModeState
from core.model.trades import Books, OrderRecord, Trade
from core.settings import Settings
from core.units import dollars


def receipt(
    settings: Settings,
    request: CycleRequest,
    facts: BrokerFacts,
    mode: ModeState,
    decision: Decision | None,
    settlements: Sequence[Settlement],
    records: Sequence[OrderRecord],
    books: Books,
) -> dict[str, Any]:
    """The report of one cycle in a store's terms. `decision` None: an earlier delivery decided, this one resumed."""
    closed = {trade.trade_id: trade for settlement in settlements for trade in settlement.trades if not trade.is_open}
    account = facts.account
    return {
        "outcome": "done",
        "cycle_id": request.cycle_id,
        "module": request.module,
        "as_of": facts.as_of.isoformat(),
        "resumed": decision is None,
        "mode": mode.mode.value,
        "mode_reason": mode.reason,
        "mode_by": mode.by,
        "mode_at": mode.at.isoformat(),
        "equity_usd": dollars(account.equity_usd),
        "cash_usd": dollars(account.cash_usd),
        "realised_usd": dollars(books.record.realised_usd),
        "closed_trades": books.record.closed_trades,
        "symbols": [] if decision is None else _symbols(decision, records),
        "orders": [_order(record) for record in records],
        "fills": [
            {
                "symbol": fill.symbol,
                "side": fill.side.value,
                "quantity": plain(fill.quantity),
                "price": plain(fill.price),
            }
            for settlement in settlements
            for fill in settlement.new_fills
        ],
        "trades_closed": [_closed(trade) for trade in closed.values()],
        "notes": [note for settlement in settlements for note in settlement.notes],
        "origin": settings.origin,
        "revision": settings.k_revision,
        "config_version": settings.config_version,
    }


def _symbols(decision: Decision, records: Sequence[OrderRecord]) -> list[dict[str, Any]]:
    views = {view.symbol: dict(view.facts) for view in decision.views}
    names = dict.fromkeys((*views, *(refusal.symbol for refusal in decision.refusals)))
    return [
        {
            "symbol": symbol,
            "seen": views.get(symbol, {}),
            "refused": [
                {"rule": refusal.rule, "reason": refusal.reason}
                for refusal in decision.refusals
                if refusal.symbol == symbol
            ],
            "done": [_sentence(record) for record in records if record.intent.symbol == symbol],
        }
        for symbol in names
    ]


def _order(record: OrderRecord) -> dict[str, Any]:
    intent = record.intent
    return {
        "client_order_id": record.client_order_id,
        "symbol": intent.symbol,
        "side": intent.side.value,
        "purpose": intent.purpose.value,
        "quantity": plain(intent.quantity),
        "limit_price": plain(intent.limit_price),
        "status": record.status.value,
        "reason": intent.reason,
        "note": record.note,
    }


def _sentence(record: OrderRecord) -> str:
    intent = record.intent
    price = "at market" if intent.limit_price is None else f"at most {intent.limit_price}"
    ending = f": {record.note}" if record.note else ""
    return f"{intent.side} {plain(intent.quantity)} {intent.symbol} {price}, {record.status}{ending} ({intent.reason})"


def _closed(trade: Trade) -> dict[str, Any]:
    return {
        "trade_id": trade.trade_id,
        "symbol": trade.symbol,
        "strategy": trade.strategy,
        "realised_usd": dollars(trade.realised_usd),
        "fees_usd": dollars(trade.fees_usd),
        "fees_are_posted": trade.fees_are_posted,
        "outcome": trade.outcome.value,
        "exit_reason": trade.exit_reason,
    }
