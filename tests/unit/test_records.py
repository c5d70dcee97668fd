"""What people read of an order and a trade in the store."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.cycle.claim import Claim
from core.cycle.records import documents, to_cancel, with_rejections
from core.documents import document, parsed
from core.execution.settle import Settlement
from core.model.judgement import Decision
from core.model.market import AssetClass
from core.model.orders import Leg, OrderClass, OrderStatus, OrderType, PositionIntent, Purpose, Side
from core.model.trades import Books, LegRecord, OrderRecord, Trade
from core.ports import Document
from tests.builders import ACCOUNT_ID, AS_OF, account, books, fill, intent, mode_state, record, trade, usd
from tests.unit.settling import in_bracket

CALL, HIGHER = "AAPL260417C00200000", "AAPL260417C00210000"
SPREAD = intent(
    "AAPL",
    asset_class=AssetClass.OPTION,
    order_class=OrderClass.MULTI_LEG,
    quantity=usd(3),
    legs=(Leg(CALL, 1, PositionIntent.BUY_TO_OPEN), Leg(HIGHER, 1, PositionIntent.SELL_TO_OPEN)),
)


def written(
    *records: OrderRecord, trades: tuple[Trade, ...] = (), settlement: Settlement | None = None
) -> dict[str, dict[str, object]]:
    settlement = settlement or Settlement(books(), (), trades, (), ())
    held = Claim(
        owner="owner",
        token=1,
        account=account(),
        claimed_at=AS_OF,
        cycle={},
        cycle_path="cycles/stocks-1",
        cycle_version="1",
        lease={},
        lease_version="1",
        books=books(),
        books_version="1",
        mode=mode_state(),
        mode_version="1",
        resumed=False,
        watched={},
    )
    return {each.path: dict(each.data) for each in documents((settlement,), records, held, AS_OF)}


def test_bracket_shows_its_prices_and_its_resting_orders_in_words() -> None:
    meant = intent("AAPL", asset_class=AssetClass.STOCK, order_class=OrderClass.BRACKET)
    legs = (
        LegRecord("1", "AAPL", Side.SELL, OrderType.STOP, True, usd(0)),
        LegRecord("2", "AAPL", Side.SELL, None, False, usd("2.50")),
    )

    shown = written(record(meant, legs=legs))[f"orders/{meant.client_order_id}"]

    assert (shown["order_class"], shown["stop_price"], shown["target_price"]) == ("bracket", "90", "120")
    assert shown["legs"] == ["sell AAPL, stop: open, 0 filled", "sell AAPL: over, 2.5 filled"]


def test_bracket_has_filled_what_it_bought_and_its_legs_what_they_sold() -> None:
    """Ten bought and ten sold at the stop are twenty units to book, and an order of ten that filled ten."""
    meant = intent("AAPL", asset_class=AssetClass.STOCK, order_class=OrderClass.BRACKET, quantity=usd(10))
    legs = (LegRecord("1", "AAPL", Side.SELL, OrderType.STOP, False, usd(10)),)

    shown = written(record(meant, legs=legs, filled_quantity=usd(20)))[f"orders/{meant.client_order_id}"]

    assert (shown["quantity"], shown["filled_quantity"]) == ("10", "10")
    assert shown["legs"] == ["sell AAPL, stop: over, 10 filled"]


@pytest.mark.parametrize(("contracts", "units"), [(0, "0"), (6, "3"), (5, "2")])
def test_spread_has_filled_whole_units_of_its_contracts(contracts: int, units: str) -> None:
    shown = written(record(SPREAD, filled_quantity=usd(contracts)))[f"orders/{SPREAD.client_order_id}"]

    assert shown["filled_quantity"] == units


def test_fill_names_our_order_whichever_of_its_orders_filled() -> None:
    """A stop that fills has an id of the broker's alone; the document leads back to the bracket it hangs on."""
    meant = intent("AAPL", asset_class=AssetClass.STOCK, order_class=OrderClass.BRACKET)
    bracket = record(meant, legs=(LegRecord("stop", "AAPL", Side.SELL, OrderType.STOP, False, usd(1)),))
    fills = (fill(meant, fill_id="in"), fill(meant, fill_id="out", order_id="stop", side=Side.SELL))

    shown = written(settlement=Settlement(books(), (bracket,), (), fills, ()))

    names = [shown[f"trade_history_details/{name}"]["client_order_id"] for name in ("in", "out")]
    assert names == [meant.client_order_id] * 2


@pytest.mark.parametrize(
    ("purpose", "minutes", "filled", "note"),
    [
        (Purpose.ENTRY, 4, 0, "not filled within 4 minutes"),
        (Purpose.ENTRY, 9, 1, "not filled in full within 4 minutes"),
        (Purpose.ENTRY, 3, 0, "in the way of an exit"),
        (Purpose.EXIT, 9, 0, "in the way of an exit"),
    ],
)
def test_canceled_order_says_why(purpose: Purpose, minutes: int, filled: int, note: str) -> None:
    mine = record(intent("AAPL", purpose, quantity=usd(2)), filled_quantity=usd(filled))
    decision = Decision((), (str(mine.order_id),), (), (), None)
    known = books(unsettled=(mine, record(intent("MSFT"))))

    (found,) = to_cancel(decision, known, AS_OF + timedelta(minutes=minutes))

    assert (found.client_order_id, found.note) == (mine.client_order_id, note)


def test_spread_shows_its_contracts_in_words_and_is_tracked_by_its_underlying() -> None:
    shown = written(record(SPREAD))

    assert shown[f"orders/{SPREAD.client_order_id}"]["contracts"] == [
        f"buy to open 1 {CALL}",
        f"sell to open 1 {HIGHER}",
    ]
    assert "trade_history_tracker/AAPL" in shown


def test_single_option_is_tracked_by_its_underlying() -> None:
    meant = intent(CALL, asset_class=AssetClass.OPTION, underlying="AAPL")

    shown = written(record(meant), record(intent("AAPL", asset_class=AssetClass.STOCK), order_id=None))

    assert shown["trade_history_tracker/AAPL"]["symbol"] == "AAPL"
    assert shown["trade_history_tracker/AAPL"]["last_client_order_id"] == meant.client_order_id
    assert f"trade_history_tracker/{CALL}" not in shown


def test_books_with_a_resting_bracket_survive_storing_and_reading() -> None:
    before = in_bracket()

    assert parsed(Books, Document("books/current", document(before, account_id=ACCOUNT_ID), "1")) == before


def test_trade_of_a_written_contract_shows_what_it_is_and_comes_back_as_it_was() -> None:
    short = trade(
        CALL,
        "2",
        "3",
        asset_class=AssetClass.OPTION,
        side=Side.SELL,
        multiplier=usd(100),
        structure_id="AAPL-entry-1",
        underlying="AAPL",
        max_loss_usd=usd(700),
    )

    shown = written(trades=(short,))[f"trades/{short.trade_id}"]

    assert (shown["side"], shown["multiplier"], shown["underlying"]) == ("sell", "100", "AAPL")
    assert (shown["structure_id"], shown["cost_usd"], shown["account_id"]) == ("AAPL-entry-1", "-600", ACCOUNT_ID)
    assert parsed(Trade, Document("trades/x", shown, "1")) == short


def test_a_refused_order_is_remembered_for_a_day_and_refused_protection_is_not_counted() -> None:
    """Three refusals end all entries; shares that got no stop are watched."""
    no = {"status": OrderStatus.REJECTED, "order_id": None}
    entry, stop = record(intent("AAPL"), **no), record(intent("MSFT", Purpose.PROTECT), **no)
    after = with_rejections(books(), [entry, entry, stop], AS_OF)

    assert (after.rejected_at, after.stops_refused) == ((AS_OF,), {})
    assert with_rejections(after, [], AS_OF + timedelta(days=1)).rejected_at == ()
