"""A person's way out of drift: the broker's positions become the books."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import requests

from core.app import Instance
from core.control import set_mode
from core.cycle.adopt import adopt
from core.errors import BadRequest
from core.execution.lots import OVERSOLD
from core.model.judgement import Mode
from core.reporting.history import stored_trades
from core.settings import load
from core.state.sqlite import SqliteStore
from tests.cycle.conftest import NewStand, Stages
from tests.cycle.delivery import deliver
from tests.cycle.market import EXIT_OF_BTC
from tests.cycle.scenes import STOCKS
from tests.cycle.stand import Stand

DAY = timedelta(days=1)
HAND = {"APCA-API-KEY-ID": "hand", "APCA-API-SECRET-KEY": "hand"}


def sell_by_hand(stand: Stand, symbol: str, quantity: str) -> None:
    order = {"symbol": symbol, "side": "sell", "type": "market", "time_in_force": "gtc", "qty": quantity}
    requests.post(f"{stand.url}/v2/orders", json=order, headers=HAND, timeout=10).raise_for_status()


def settled_until(stand: Stand, days: int) -> None:
    stand.live_days(EXIT_OF_BTC, days)


def test_adopting_ends_the_drift_and_keeps_mode_record_and_peak(crowded: NewStand) -> None:
    """I-09, I-36: a trade by hand stops entries until a person has looked; then the broker's word counts."""
    with crowded() as stand:
        assert deliver(stand.environ, f"crypto_cycle-{EXIT_OF_BTC:%Y-%m-%dT%H:%M:%SZ}") == "done"
        settled_until(stand, 2)
        sell_by_hand(stand, "ETH/USD", "1")
        stand.advance_to(EXIT_OF_BTC + 3 * DAY)
        assert deliver(stand.environ, "crypto_cycle-manual-sees-drift") == "done"
        before = stand.books()
        world = Instance(load(stand.environ)).world()
        set_mode(world.store, Mode.REDUCING, reason="sold by hand", by="anna", at=EXIT_OF_BTC + 3 * DAY)

        after = adopt(world, reason="sold one ETH by hand", by="anna")

        held = {position["symbol"]: Decimal(position["qty"]) for position in stand.ledger()["positions"]}
        assert {trade.symbol: trade.open_quantity for trade in after.open_trades} == held
        assert (after.record, after.marks) == (before.record, before.marks)
        assert after.cash_usd == pytest.approx(Decimal(stand.ledger()["cash_usd"]), abs=Decimal("0.01"))
        assert stand.books() == after
        (mode,) = world.store.read(["control/mode"])
        assert mode is not None
        assert mode.data["mode"] == "REDUCING"


def test_nothing_is_adopted_while_an_order_is_on_its_way(crowded: NewStand) -> None:
    with crowded() as stand:
        assert deliver(stand.environ, f"crypto_cycle-{EXIT_OF_BTC:%Y-%m-%dT%H:%M:%SZ}") == "done"

        with pytest.raises(BadRequest, match="not settled yet"):
            adopt(Instance(load(stand.environ)).world(), reason="too early", by="anna")

        assert deliver(stand.environ, "crypto_cycle-manual-next") == "done"


def test_adopting_needs_a_reason(crowded: NewStand) -> None:
    with crowded() as stand, pytest.raises(BadRequest, match="reason"):
        adopt(Instance(load(stand.environ)).world(), reason=" ", by="anna")


def test_resting_brackets_outlive_the_adoption_and_close_what_was_adopted(stages: Stages, tmp_path: Path) -> None:
    """I-09, I-38: brackets rest for weeks; were they in its way, a person could never end a drift."""
    with replace(stages(STOCKS), folder=tmp_path).stand() as stand:
        stand.live("stocks", STOCKS.at)
        stand.trade_by_hand("GOOGL", "buy", "7")
        for minutes in (5, 10):
            stand.live("stocks", STOCKS.at + timedelta(minutes=minutes))
        before = stand.books()

        after = adopt(Instance(load(stand.environ)).world(), reason="bought seven GOOGL", by="anna")

        held = {position["symbol"]: Decimal(position["qty"]) for position in stand.ledger()["positions"]}
        assert {trade.symbol: trade.position_quantity for trade in after.open_trades} == held
        assert {each.client_order_id for each in after.unsettled} == {each.client_order_id for each in before.unsettled}
        assert after.unsettled
        for hours in (1, 24):
            stand.live("stocks", STOCKS.at + timedelta(hours=hours))
        assert stand.differences() == []
        # A hundred shares by hand make activities due: what filled before the adoption is read again and not booked.
        stand.trade_by_hand("TSLA", "buy", "100")
        stand.live("stocks", STOCKS.at + timedelta(hours=25))
        booked = [each.position_quantity for each in stand.books().open_trades if each.symbol == "NVDA"]
        assert booked == [held["NVDA"]]


def test_shares_by_hand_that_an_exit_sells_leave_no_short_in_the_books(stages: Stages, tmp_path: Path) -> None:
    """I-09: the exit sells what the broker holds; the next look sees that nobody is owed the five."""
    with replace(stages(STOCKS), folder=tmp_path).stand() as stand:
        requests.delete(f"{stand.url}/v2/orders", headers=HAND, timeout=10).raise_for_status()
        stand.trade_by_hand("AAPL", "buy", "5")
        stand.advance_to(STOCKS.at + timedelta(minutes=5))
        for minutes in (10, 15, 20):
            stand.live("stocks", STOCKS.at + timedelta(minutes=minutes))

        store = SqliteStore(stand.folder / "state.db")
        trades = {trade.strategy: trade for trade in stored_trades(store) if trade.symbol == "AAPL"}
        store.close()
        sold = [fill["qty"] for fill in stand.ledger()["fills"] if (fill["symbol"], fill["side"]) == ("AAPL", "sell")]
        assert sold == ["50"]
        assert {name: trade.closed_quantity for name, trade in trades.items()} == {"breakout": 45, OVERSOLD: 5}
        assert "AAPL" not in {trade.symbol for trade in stand.books().open_trades}
