"""The receipt: for every symbol what was seen, which rules refused, what was done. It is stored and answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.cycle.look import BrokerFacts
from core.cycle.records import IN_THE_WAY, contracts_in_words, to_cancel
from core.cycle.world import CycleRequest
from core.documents import plain
from core.execution.settle import Settlement
from core.model.judgement import Decision, ModeState
from core.model.market import AssetClass
from core.model.options import underlying_of
from core.model.orders import Order, OrderClass, OrderIntent, OrderStatus, Purpose, Side
from core.model.trades import ZERO, Books, OrderRecord, Trade
from core.settings import Settings
from core.units import dollars, text


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
    cancels = [] if decision is None else _cancels(decision, facts, settlements, books)
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
        "invested_usd": {
            kind.value: dollars(
                sum((held.market_value_usd for held in facts.positions if held.asset_class is kind), ZERO)
            )
            for kind in AssetClass
        },
        "realised_usd": dollars(books.record.realised_usd),
        "closed_trades": books.record.closed_trades,
        "symbols": [] if decision is None else _symbols(decision, records, cancels),
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


def _symbols(
    decision: Decision, records: Sequence[OrderRecord], cancels: Sequence[tuple[str, str]]
) -> list[dict[str, Any]]:
    views = {view.symbol: dict(view.facts) for view in decision.views}
    done = [*((record.intent.counts_as, _sentence(record)) for record in records), *cancels]
    refused = (refusal.symbol for refusal in decision.refusals)
    names = dict.fromkeys((*views, *refused, *(name for name, _ in done)))
    return [
        {
            "symbol": symbol,
            "seen": views.get(symbol, {}),
            "refused": [
                {"rule": refusal.rule, "reason": refusal.reason, "strategy": refusal.strategy}
                for refusal in decision.refusals
                if refusal.symbol == symbol
            ],
            "done": [sentence for name, sentence in done if name == symbol],
        }
        for symbol in names
    ]


def _cancels(
    decision: Decision, facts: BrokerFacts, settlements: Sequence[Settlement], books: Books
) -> list[tuple[str, str]]:
    """What this cycle cancels, and what the broker has canceled unfilled since the last: symbol and sentence."""
    why = {record.client_order_id: record.note for record in to_cancel(decision, books, facts.as_of)}
    now = [
        (underlying_of(order.symbol), f"cancel {_listed(order)}: {why.get(order.client_order_id, IN_THE_WAY)}")
        for order in facts.orders
        if order.order_id in decision.cancel_order_ids
    ]
    since = [
        (record.intent.counts_as, f"canceled {_what(record.intent)}: {record.note}")
        for settlement in settlements
        for record in settlement.orders
        if record.status is OrderStatus.CANCELED and record.note and record.filled_quantity == 0 and record.is_over
    ]
    return [*now, *since]


def _listed(order: Order) -> str:
    """The broker's order in words; one by dollars has no quantity."""
    quantity = () if order.quantity is None else (text(order.quantity),)
    return " ".join((order.side, *quantity, order.symbol))


def _order(record: OrderRecord) -> dict[str, Any]:
    intent = record.intent
    return {
        "client_order_id": record.client_order_id,
        "symbol": intent.symbol,
        "side": intent.side.value,
        "purpose": intent.purpose.value,
        "quantity": plain(intent.quantity),
        "order_class": intent.order_class.value,
        "limit_price": plain(intent.limit_price),
        "stop_price": plain(intent.stop_price),
        "target_price": plain(intent.target_price),
        "contracts": contracts_in_words(intent),
        "status": record.status.value,
        "reason": intent.reason,
        "note": record.note,
    }


def _sentence(record: OrderRecord) -> str:
    intent = record.intent
    ending = f": {record.note}" if record.note else ""
    return f"{_meant(intent)}, {record.status}{ending} ({intent.reason})"


def _meant(intent: OrderIntent) -> str:
    """The order in words: `buy 2 AAPL at most 101.5, stop 90, target 120`; of an option order each contract, what they
    cost together and the most that all may lose."""
    return _what(intent) + _priced(intent) + _levels(intent)


def _what(intent: OrderIntent) -> str:
    if intent.order_class is OrderClass.MULTI_LEG:
        each = (f"{leg.position_intent.side} {text(leg.ratio * intent.quantity)} {leg.symbol}" for leg in intent.legs)
        return ", ".join(each)
    return f"{intent.side} {text(intent.quantity)} {intent.symbol}"


def _priced(intent: OrderIntent) -> str:
    limit = intent.limit_price
    if intent.purpose is Purpose.PROTECT:
        return ""
    if limit is None:
        return " at market"
    if intent.order_class is OrderClass.MULTI_LEG:
        return f", for a {'debit' if limit > 0 else 'credit'} of {text(abs(limit))} a share"
    return f" at {'most' if intent.side is Side.BUY else 'least'} {text(limit)}"


def _levels(intent: OrderIntent) -> str:
    """The position's stop and target, or what an option order may lose in all."""
    levels = [
        f", {name} {text(price)}"
        for name, price in (("stop", intent.stop_price), ("target", intent.target_price))
        if price is not None
    ]
    if intent.purpose.opens_risk and intent.max_loss_usd is not None:
        levels.append(f", may lose ${dollars(intent.max_loss_usd * intent.quantity)} in all")
    return "".join(levels)


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
