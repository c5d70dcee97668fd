"""What the broker trades for the account when an option ends that it cannot deliver: booked though no order is ours."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from cli.reconcile import proof
from core.reporting.history import stored_trades
from core.state.sqlite import SqliteStore
from tests.cycle.conftest import Stages
from tests.cycle.new_york import DELIVERED, EVE, MONDAY
from tests.cycle.scenes import HOUR, OPTIONS
from tests.cycle.stand import standing


def test_shares_that_the_broker_buys_to_deliver_for_a_put_are_booked(stages: Stages, tmp_path: Path) -> None:
    """I-09: at 94 the put at 95 is exercised; without shares the broker buys a hundred and delivers them."""
    with standing(stages(OPTIONS).recording, EVE, tmp_path, environ=OPTIONS.environ) as stand:
        stand.trade_by_hand(DELIVERED, "buy", "1")
        stand.live("options", EVE + timedelta(minutes=10))
        stand.live("options", MONDAY)
        stand.live("options", MONDAY + HOUR)

        ledger, store = stand.ledger(), SqliteStore(tmp_path / "state.db")
        bought = [fill for fill in ledger["fills"] if fill["symbol"] == "AMZN"]
        assert [(fill["side"], fill["qty"], fill["price"]) for fill in bought] == [("buy", "100", "94")]
        assert stand.differences() == []
        realised_usd = {trade.symbol: trade.realised_usd for trade in stored_trades(store)}
        # 100 * (95 - 94); the put had cost 86
        assert (realised_usd["AMZN"], realised_usd[DELIVERED]) == (Decimal(100), Decimal(-86))
        lines = {line.name: (line.ours, line.venue) for line in proof(store, ledger).lines}
        # the order by hand is not ours, and the broker's own is nobody's
        assert lines["Orders placed"] == (Decimal(3), Decimal(4))
        assert lines["Contracts that were exercised"] == (Decimal(1), Decimal(1))
        store.close()
