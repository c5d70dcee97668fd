"""The receipts of the best and the worst trade, and the costs, from the documents that a run kept or without them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from cli.figures.performance import Performance, performance
from cli.report_costs import AdviceCost, advice_cost, costs_section
from cli.report_receipts import Documents, kept_receipts, receipt_sections
from core.documents import document
from core.model.orders import Side
from core.model.trades import Trade
from core.ports import Write
from core.state.sqlite import SqliteStore
from tests.reporting.facts import BTC, contract, cycle, day, history, receipt_write, trade

WON, LOST = trade(0, "110"), trade(2, "90")


def run_of(*trades: Trade) -> Performance:
    return performance(history([cycle(number, "1000") for number in range(5)], trades), taker_fee_frac=Decimal(0))


def order_write(of: Trade, **changes: Any) -> Write:
    """The order that entered a trade, as its document says."""
    name = of.entries[0].client_order_id
    fields = {
        "side": "buy",
        "purpose": "entry",
        "quantity": "10",
        "symbol": of.symbol,
        "limit_price": "100.5",
        "contracts": [],
        "time_in_force": "ioc",
        "order_class": "simple",
        "status": "filled",
        "reason": "momentum score +0.50, trend_up; size set by what one entry may cost",
        "created_at": day(0),
    }
    return Write(f"orders/{name}", document({**fields, **changes}, account_id="paper-1"))


def kept_of(run: Performance, *writes: Write) -> Documents:
    store = SqliteStore(":memory:")
    store.commit(writes)
    return kept_receipts(store, run)


def test_what_was_seen_why_it_was_entered_its_size_and_its_fills_are_told_step_by_step() -> None:
    run = run_of(WON, LOST)

    best, worst = receipt_sections(run, kept_of(run, receipt_write(0), order_write(WON)))

    assert best.rows == (
        ("Seen by the cycle that entered", "bid 99.00, ask 101.00"),
        ("Why it was entered", "momentum score +0.50, trend up"),
        ("What set its size", "what one entry may cost"),
        ("What was ordered", "buy 10 BTC/USD at 100.5 or better, at once or not at all; filled"),
        ("Planned exits", "stop 90.00, target 120.00"),
        ("2024-01-01 00:00 UTC", "bought 10 BTC/USD at 100.00, fee $2.50"),
        ("2024-01-02 00:00 UTC", "sold 9.975 BTC/USD at 110.00, fee $2.74"),
        ("Why it ended", "stop: 90 is at or below 90.00"),
        ("Result", "+$94.51, after fees of $5.24, held 24 h"),
    )
    assert (best.title, best.notes) == ("The best trade, step by step", ())
    assert worst.title == "The worst trade, step by step"
    assert worst.basis == "n = 1 trade, 2024-01-03 to 2024-01-04: BTC/USD, momentum"


def test_without_documents_only_the_trade_itself_is_told() -> None:
    """I-31: a backtest keeps no receipts, and what is not known is left out."""
    (alone,) = receipt_sections(run_of(WON), {})

    assert alone.title == "The closed trade, step by step"
    assert [name for name, _ in alone.rows] == [
        "Planned exits",
        "2024-01-01 00:00 UTC",
        "2024-01-02 00:00 UTC",
        "Why it ended",
        "Result",
    ]
    assert alone.notes == ("No order and no receipt of its cycle are kept here, so less is known of it.",)
    assert receipt_sections(run_of(), {}) == ()


def test_contracts_are_told_as_they_were_bought_written_and_ended() -> None:
    bought = contract("AAPL240119C00200000", Side.BUY, "5", "0")
    ended = tuple(replace(fill, client_order_id="") for fill in bought.exits)
    written = contract("AAPL240119C00210000", Side.SELL, "2", "1")
    run = run_of(replace(bought, exits=ended, exit_reason="expired: on 2024-01-19", max_loss_usd=Decimal(150)), written)

    (spread,) = receipt_sections(run, {})

    assert [told for _, told in spread.rows[1:5]] == [
        "bought 1 AAPL240119C00200000 at 5.00, no fee",
        "sold 1 AAPL240119C00210000 at 2.00, no fee",
        "1 AAPL240119C00200000 left without an order or a payment (expired: on 2024-01-19)",
        "bought 1 AAPL240119C00210000 at 1.00, no fee",
    ]


def test_a_structure_s_size_is_told_by_the_room_that_it_had() -> None:
    put = contract("AAPL240119P00200000", Side.BUY, "5", "7")
    reason = "long put, spreads $0.25, room for 1 under what one structure may lose; size set by that room"
    run = run_of(put)

    (told,) = receipt_sections(run, kept_of(run, order_write(put, reason=reason, contracts=["buy to open 1 X"])))

    assert ("What set its size", "room for 1 under what one structure may lose") in told.rows


def test_delivered_shares_point_at_the_option_that_brought_them() -> None:
    (told,) = receipt_sections(run_of(replace(WON, strategy="delivered")), {})

    assert told.notes == ("An option delivered these shares at its strike; its own cost and end are another trade.",)


def test_many_fills_are_counted_beyond_a_dozen() -> None:
    part = replace(LOST.entries[0], quantity=Decimal("0.5"), fee_quantity=Decimal("0.00125"))
    parts = tuple(replace(part, fill_id=f"in-{n}") for n in range(20))

    (told,) = receipt_sections(run_of(replace(LOST, entries=parts)), {})

    assert ("More fills", "9, in the documents of the trade") in told.rows


def test_questions_to_a_model_are_summed_and_taken_off_the_result_beside_it() -> None:
    store = SqliteStore(":memory:")
    runs = [("0.15", 0), ("0", 1), ("0.35", 2)]
    store.commit(
        [
            Write(f"intelligence_runs/{n}", document({"timestamp": day(n), "cost_usd": usd}, account_id="paper-1"))
            for usd, n in runs
        ]
    )

    advice = advice_cost(store)
    told = costs_section(run_of(WON), advice)

    assert advice == AdviceCost(3, 2, Decimal("0.50"), day(0), day(2))
    assert told.rows == (
        ("Fees, 2 fills, within the results", "$5.24"),
        # half of 99 to 101 on 10 coins and on 9.975
        ("Spread, estimated, 2 of 2 fills of closed trades, within the results", "$19.98"),
        ("Questions to a language model, 2 of 3 runs asked, not within them", "$0.50"),
        ("Realised profit and loss, less these questions", "+$94.01"),
    )
    assert "`make cost`" in told.notes[-1]


def test_the_cloud_is_counted_by_the_bill_that_its_owner_names() -> None:
    """Twelve bills of $36.50 are $1.20 a day."""
    run = replace(run_of(WON), first_at=day(0), last_at=day(10))

    told = costs_section(run, None, Decimal("36.50"))

    assert told.rows[-1] == ("The cloud, of $36.50 a month, not within the results", "$12.00")
    assert not any("make cost" in note for note in told.notes)


def test_a_run_without_intelligence_paid_nobody_and_says_so() -> None:
    for advice in (None, advice_cost(SqliteStore(":memory:"))):
        told = costs_section(run_of(), advice)

        assert told.rows == (("Fees, 0 fills, within the results", "$0.00"),)
        assert told.notes[0].startswith("No run of the market intelligence is on record")


def test_the_symbol_of_the_receipt_is_the_trade_s_own() -> None:
    run = run_of(replace(WON, symbol="SOL/USD"))

    (told,) = receipt_sections(run, kept_of(run, receipt_write(0)))

    assert BTC not in told.rows[0][1]
    assert told.rows[0][0] == "Planned exits"
