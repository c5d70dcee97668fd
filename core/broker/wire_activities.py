"""Alpaca's account activities: fills, fees, and how options end.

https://docs.alpaca.markets/docs/non-trade-activities-for-option-events
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from core.broker.reading import UtcTime, Wire, parsed
from core.errors import BadFacts
from core.model.market import joined
from core.model.orders import Delivery, FeePosting, Fill, OptionEvent, OptionEventKind, Side

TradedSide = Annotated[Side, BeforeValidator(lambda side: "sell" if side == "sell_short" else side)]
"""Fills of a sale that opens a short position say `sell_short`."""


class _Fill(Wire):
    id: str
    order_id: str
    symbol: str
    side: TradedSide
    qty: Decimal = Field(gt=0)
    price: Decimal = Field(ge=0)
    transaction_time: UtcTime


class _Fee(Wire):
    id: str
    symbol: str = ""
    date: date
    qty: Decimal | None = None
    net_amount: Decimal


class _OptionActivity(Wire):
    """Canceled entries, and those that are still pending, never happened."""

    id: str
    activity_type: str
    symbol: str
    date: date
    qty: Decimal
    net_amount: Decimal
    status: Literal["executed", "correct"] = "executed"


def fill(raw: Any) -> Fill:
    """A fill, or a part of one. A leg of a spread may be given away at a price of zero."""
    wire = parsed(_Fill, raw, "fill")
    symbol = joined(wire.symbol)
    return Fill(wire.id, wire.order_id, symbol, wire.side, wire.qty, wire.price, wire.transaction_time)


def coin_fee(raw: Any) -> FeePosting:
    """A CFEE: coins taken from what was bought; its quantity is negative."""
    wire = parsed(_Fee, raw, "coin fee")
    if wire.qty is None:
        raise BadFacts(f"coin fee {wire.id} has no quantity")
    return FeePosting(wire.id, joined(wire.symbol), Side.BUY, wire.date, -wire.qty, Decimal(0))


def dollar_fee(raw: Any) -> FeePosting:
    """A FEE: dollars taken from the proceeds of a sale; its net amount is negative.

    Regulatory fees of stocks and options are a day's total and name no symbol; theirs is empty.
    """
    wire = parsed(_Fee, raw, "dollar fee")
    return FeePosting(wire.id, joined(wire.symbol), Side.SELL, wire.date, Decimal(0), -wire.net_amount)


def option_event(raw: Any) -> OptionEvent:
    """An OPEXP, OPASN or OPEXC; Alpaca's quantity is negative where it takes from a long position."""
    wire = parsed(_OptionActivity, raw, "option event")
    if not wire.qty:
        raise BadFacts(f"option event {wire.id} of {wire.symbol} has no quantity")
    return OptionEvent(wire.id, OptionEventKind(wire.activity_type), wire.symbol, abs(wire.qty), wire.date)


def delivery(raw: Any) -> Delivery:
    """An OPTRD: the shares that an exercise or assignment moved, at what they moved in cash.

    The price is net amount / quantity, because Alpaca's own example of an exercise gives another one as `price`.
    """
    wire = parsed(_OptionActivity, raw, "delivery")
    if not wire.qty or wire.qty * wire.net_amount >= 0:
        raise BadFacts(
            f"delivery {wire.id} moves {wire.qty} {wire.symbol} for {wire.net_amount} dollars; one must come, one go"
        )
    side = Side.BUY if wire.qty > 0 else Side.SELL
    return Delivery(wire.id, wire.symbol, side, abs(wire.qty), -wire.net_amount / wire.qty, wire.date)
