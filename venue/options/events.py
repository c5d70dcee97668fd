"""What happens to option positions besides trades: exercise, assignment, expiry, and the shares they move."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from venue.wire import plain, plain_or_none, rfc3339


class EventKind(StrEnum):
    """Alpaca's activity types."""

    EXERCISE = "OPEXC"
    ASSIGNMENT = "OPASN"
    EXPIRY = "OPEXP"
    SHARES = "OPTRD"


_DESCRIPTIONS = {
    EventKind.EXERCISE: "Option Exercise",
    EventKind.ASSIGNMENT: "Option Assignment",
    EventKind.EXPIRY: "Option Expiry",
    EventKind.SHARES: "Option Trade",
}


@dataclass(frozen=True, slots=True)
class OptionEvent:
    """One activity: `qty` is the signed change of the position in `symbol`, contracts or shares.

    `price` is the strike of shares that moved. `settlement_price` and its time are the spot that decided.
    An exercise or assignment and its shares have one `group_id`.
    """

    event_id: str
    group_id: str
    kind: EventKind
    symbol: str
    qty: Decimal
    price: Decimal | None
    net_amount_usd: Decimal
    at: datetime
    settlement_price: Decimal | None = None
    settlement_price_at: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """The facts of a non-trade activity, as Alpaca shows them
        (https://docs.alpaca.markets/docs/non-trade-activities-for-option-events)."""
        body = {
            "date": f"{self.at:%Y-%m-%d}",
            "created_at": rfc3339(self.at),
            "net_amount": plain(self.net_amount_usd),
            "description": _DESCRIPTIONS[self.kind],
            "symbol": self.symbol,
            "qty": plain(self.qty),
            "group_id": self.group_id,
            "status": "executed",
        }
        return body if self.price is None else body | {"price": plain_or_none(self.price)}
