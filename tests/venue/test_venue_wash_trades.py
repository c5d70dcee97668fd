"""Alpaca's table of wash trades: which order on the other side is refused while one rests, and what is exempt."""

from __future__ import annotations

from typing import Any

import pytest

from tests.venue.stock_desk import QUIET, holder
from venue.wire import ApiError

TRAIL = {"type": "trailing_stop", "trail_price": "5", "time_in_force": "gtc"}
# existing order, new order on the other side, refused? The buy limit of "crossing" is at or above the sell limit.
WASH_TRADES = [
    ("market", "market", True), ("market", "limit", True), ("market", "stop", True), ("market", "stop_limit", True),
    ("stop", "market", True), ("stop", "limit", True), ("stop", "stop", True), ("stop", "stop_limit", True),
    ("limit", "market", True), ("limit", "limit crossing", True), ("limit", "limit", False),
    ("limit", "stop", True), ("limit", "stop_limit crossing", True), ("limit", "stop_limit", False),
    ("stop_limit", "market", True), ("stop_limit", "limit crossing", True), ("stop_limit", "limit", False),
    ("stop_limit", "stop", True), ("stop_limit", "stop_limit crossing", True), ("stop_limit", "stop_limit", False),
]  # fmt: skip
# buys rest below the market and sells above it, unless they are to cross
PRICES: dict[tuple[str, str], dict[str, str]] = {
    ("limit", "buy"): {"limit_price": "95"},
    ("limit", "sell"): {"limit_price": "110"},
    ("limit crossing", "buy"): {"limit_price": "115"},
    ("limit crossing", "sell"): {"limit_price": "80"},
    ("stop", "buy"): {"stop_price": "105"},
    ("stop", "sell"): {"stop_price": "96"},
    ("stop_limit", "buy"): {"stop_price": "101", "limit_price": "95"},
    ("stop_limit", "sell"): {"stop_price": "99", "limit_price": "110"},
    ("stop_limit crossing", "buy"): {"stop_price": "101", "limit_price": "115"},
    ("stop_limit crossing", "sell"): {"stop_price": "99", "limit_price": "80"},
}


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize(("existing", "new", "is_refused"), WASH_TRADES)
def test_the_wash_trade_table(desk: Any, stock: Any, existing: str, new: str, is_refused: bool, side: str) -> None:
    trader = holder(desk, stock, QUIET)
    other = "sell" if side == "buy" else "buy"

    def order(kind: str, side: str) -> dict[str, Any]:
        return {"type": kind.split()[0], "time_in_force": "day"} | PRICES.get((kind, side), {})

    resting = trader.order(side, "1", **order(existing, side))
    body = {"symbol": "AAPL", "side": other, "qty": "1"} | order(new, other)
    response = trader.http.post("/v2/orders", json=body)

    if not is_refused:
        assert response.status_code == 200
        return
    answer = response.json()
    kind = "limit" if "limit" in existing else "market/stop"
    assert (response.status_code, answer["code"]) == (403, 40310000)
    assert answer["existing_order_id"] == resting.order_id
    assert answer["reject_reason"] == f"opposite side {kind} order exists"


def test_groups_and_trailing_stops_are_no_wash_trades_but_a_working_leg_can_be_hit(desk: Any, stock: Any) -> None:
    trader = holder(desk, stock, QUIET)
    exits = {"take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "90"}}
    trader.order("buy", "1", type="limit", limit_price="95", time_in_force="gtc")

    oco = trader.order("sell", "5", type="limit", order_class="oco", time_in_force="gtc", **exits)
    trader.order("sell", "5", **TRAIL)
    trader.order("buy", "1", order_class="bracket", time_in_force="gtc", **exits)

    with pytest.raises(ApiError) as refusal:
        trader.order("buy", "1")
    assert refusal.value.body["existing_order_id"] == oco.order_id


def test_the_legs_of_an_unfilled_bracket_are_not_in_the_market(desk: Any, stock: Any) -> None:
    trader = desk(stock(QUIET))
    exits = {"take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "90"}}
    trader.order("buy", "1", type="limit", limit_price="95", order_class="bracket", time_in_force="gtc", **exits)

    assert trader.order("buy", "1").status == "accepted"
