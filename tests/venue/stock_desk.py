"""Stock sessions around 100 dollars, and what a trader of groups looks at."""

from __future__ import annotations

from typing import Any

QUIET = (100.0, 101.0, 99.0, 100.0, 1000.0)
RISES = (102.0, 112.0, 101.0, 110.0, 1000.0)
FALLS = (98.0, 99.0, 90.0, 92.0, 1000.0)
TOUCHES_BOTH = (100.0, 115.0, 90.0, 100.0, 1000.0)
EXITS = {"take_profit": {"limit_price": "110"}, "stop_loss": {"stop_price": "95"}}
BRACKET = {"order_class": "bracket", "time_in_force": "gtc", **EXITS}
OCO = {"order_class": "oco", "type": "limit", "time_in_force": "gtc", **EXITS}
FIRST_CLOSE, SECOND_CLOSE, THIRD_CLOSE = (f"2024-01-0{day}T21:00:00Z" for day in (2, 3, 4))


def legs(trader: Any, parent: Any) -> tuple[Any, ...]:
    return trader.exchange.legs(trader.now(parent))


def statuses(trader: Any, parent: Any) -> list[str]:
    """The parent's status, then its legs'."""
    return [order.status for order in (trader.now(parent), *legs(trader, parent))]


def holder(desk: Any, stock: Any, *rows: Any) -> Any:
    """Ten shares were bought at 100.10 at the first session's open; its close has come."""
    trader = desk(stock(QUIET, *rows))
    trader.order("buy", "10")
    trader.until(FIRST_CLOSE)
    return trader
