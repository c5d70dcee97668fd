"""The rendered report: from no trade to many, in the terminal, Markdown, HTML and as a picture."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from rich.console import Console

from cli.charts import DARK, LIGHT, equity_chart, spread_dates
from cli.charts_results import results_chart
from cli.demo import Concluded, all_accounts
from cli.figures.performance import Performance, performance
from cli.reconcile import Line, Proof
from cli.report import html, markdown, terminal
from cli.report_page import Page, Surroundings, report_page
from cli.sections import Section
from core.model.judgement import Mode, ModeState, Refusal
from core.model.orders import Side
from core.reporting.history import CycleFacts
from tests.reporting.facts import BTC, ETH, contract, cycle, day, history, trade

PNG = b"\x89PNG\r\n\x1a\n"
PROOF = Proof("2024-01-10T00:00:00Z", 1, (Line("Cash", Decimal("995.25"), Decimal("995.25"), Decimal("0.01"), "$"),))


def run_of(trades: int, **changes: object) -> Performance:
    """Ten days at a falling equity with this many closed trades, every third of them a win."""
    closed = [trade(number, "90" if number % 3 else "110", symbol=(BTC, ETH)[number % 2]) for number in range(trades)]
    cycles = [cycle(number, str(1000 - 10 * number), "500") for number in range(10)]
    cycles[0] = replace(cycles[0], **changes)  # type: ignore[arg-type]
    return performance(history(cycles, closed), taker_fee_frac=Decimal("0.0025"))


def page_of(run: Performance, mode: ModeState | None = None) -> Page:
    calls = {"GET /v1beta3/crypto/us/latest/quotes": 10, "POST /v2/orders": 5}
    return report_page(run, Surroundings("a test", ("one limit",), calls, (20, 30), PROOF, mode))


def in_terminal(page: Page, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(terminal(page))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def renderings(page: Page) -> list[str]:
    return [in_terminal(page), markdown(page, "equity.png"), html(page, b"light", b"dark")]


@pytest.mark.parametrize(
    ("trades", "claim"), [(0, "no win rate to state"), (1, "20.7% to 100.0%"), (60, "22.7% to 45.9%")]
)
def test_every_rendering_states_the_trades_and_their_interval(trades: int, claim: str) -> None:
    page = page_of(run_of(trades))

    for shown in renderings(page):
        assert claim in shown
        assert f"n = {trades} closed trade" in shown
        assert "n = 10 cycles, 2024-01-01 to 2024-01-10" in shown
        assert "-9.00%" in shown


@pytest.mark.parametrize("width", [80, 60, 40])
def test_a_narrow_terminal_wraps_and_cuts_nothing_off(width: int) -> None:
    trades = [
        trade(number, price, strategy="mean_reversion", reason=f"{reason}: in words")
        for number, (price, reason) in enumerate([("90", "stop"), ("210", "trailing_stop"), ("90", "time_stop")])
    ]
    refused = (Refusal(BTC, "symbol_hourly_limit", "2 orders of BTC/USD within the hour, at most 2"),)
    cycles = [cycle(0, "100000", refusals=refused), cycle(1, "99000", "50000"), cycle(2, "98000")]
    page = page_of(performance(history(cycles, trades), taker_fee_frac=Decimal("0.0025")))

    shown = in_terminal(page, width)

    assert max(len(line) for line in shown.splitlines()) <= width
    assert "\u2026" not in shown
    assert shown.rstrip().endswith("equal to the cent: yes")
    words = {word for section in page.sections for row in section.rows for cell in row for word in cell.split()}
    assert [word for word in sorted(words) if word not in shown] == []
    keys = {line[:14].rstrip() for line in shown.splitlines()}
    assert {"stop", "time stop", "trailing stop", "mean reversion"} <= keys


def test_the_mode_in_force_is_the_first_word_unless_it_is_active() -> None:
    emergency = ModeState(Mode.HALTED, "emergency", "person:ann", day(12))

    for shown in renderings(page_of(run_of(1), emergency)):
        sentence = " ".join(shown.split()).partition("Trading mode now: ")[2]
        assert sentence.startswith("HALTED (no orders at all: open positions are not watched), set by ann at ")
        assert shown.index("emergency") < shown.index("The account")
    active = ModeState(Mode.ACTIVE, "first run", "cronfolio", day(0))
    assert all("Trading mode now" not in shown for shown in renderings(page_of(run_of(1), active)))


def test_the_first_cards_set_the_return_beside_cash_and_the_same_exposure() -> None:
    quotes = [{BTC: (Decimal(price), Decimal(price))} for price in (100, 80)]
    cycles = [cycle(0, "1000", "800", quotes=quotes[0]), cycle(1, "900", "720", quotes=quotes[1])]

    page = page_of(performance(history(cycles), taker_fee_frac=Decimal(0)))

    # a fifth was invested on average: 0.2 * -20 %
    assert [(tile.label, tile.value) for tile in page.tiles[:4]] == [
        ("Return", "-10.00%"),
        ("Cash", "0.00%"),
        ("Buy and hold 20.0%", "-4.00%"),
        ("Buy and hold 100%", "-20.00%"),
    ]


def section_of(page: Page, title: str) -> Section:
    (found,) = (section for section in page.sections if section.title.startswith(title))
    return found


def test_stops_are_told_by_module_with_their_overshoot_and_with_who_was_watching() -> None:
    cycles = [cycle(number, "1000") for number in range(3)]
    gapped = trade(1, "74")
    gapped = replace(gapped, entries=tuple(replace(fill, price=Decimal(75)) for fill in gapped.entries))
    run = performance(history(cycles, [trade(0, "85.5"), gapped]), taker_fee_frac=Decimal("0.0025"))

    page = page_of(run)
    stops = section_of(page, "Stops")

    # 85.5 is 5 % below the stop of 90: 9.975 coins for 4.50 less each
    assert stops.rows == (("crypto", "1", "-10.00%", "-14.50%", "-$99.75", "-$144.64", "5.0%", "5.0%"),)
    assert stops.notes[0].endswith("In all it cost $44.89.")
    assert stops.notes[1].startswith("Not counted: 1 trade bought at or below its own stop")
    assert "judged by cycles alone (crypto every 24 h): " in stops.notes[2]
    assert "Whole shares have their stop at the broker" in stops.notes[2]
    assert any(limit.endswith("only when a cycle runs: crypto every 24 h.") for limit in page.limits)


def test_an_option_sold_at_its_stop_is_named() -> None:
    put = contract("AAPL250718P00185000", Side.BUY, "2.51", "0.83")
    put = replace(put, strategy="protective_put", exit_reason="stop: -$168.00 on a debit of $251.00")

    stops = section_of(page_of(performance(history([cycle(0, "1000")], [put]), taker_fee_frac=Decimal(0))), "Stops")

    assert stops.notes[1] == (
        "Option sold at its stop: protective put on AAPL, opened 2024-01-01: -$168.00, where the cycle that judged it "
        "saw -$168.00 on a debit of $251.00."
    )


def test_alarms_are_told_with_the_pace_that_left_the_gap() -> None:
    """I-38: that nobody looked after a position is in the report."""
    alarm = "2 ETH/USD without a live exit: last looked at 825 minutes ago"
    cycles = [replace(cycle(number, "1000"), alarms=(alarm,) * (number > 1)) for number in range(4)]
    often = (replace(cycle(3, "1000", module="stocks"), as_of=day(3) + timedelta(minutes=15 * n)) for n in (1, 2, 3))
    cycles += often

    alarms = section_of(page_of(performance(history(cycles), taker_fee_frac=Decimal(0))), "Positions without")

    assert alarms.rows[:2] == (("Alarms", "2"), ("Cycles that raised any", "2 of 7"))
    assert "Here cycles ran less often than that (crypto every 24 h)" in alarms.notes[0]
    assert alarms.notes[1] == f"The first in its own words: {alarm}."
    assert section_of(page_of(run_of(0)), "Positions without").notes == (
        "No cycle found a position without a live exit.",
    )


def test_alarms_by_the_schedule_alone_are_left_out_with_the_reason() -> None:
    """I-38: with a day between cycles every position is unwatched in each of them; other alarms are told all the same,
    and where quotes are watched between the cycles these are, too."""
    idle = "2 ETH/USD without a live exit: no stop rests at the broker; last looked at 825 minutes ago"
    lost = "2 ETH/USD without a live exit: the books hold it, and no position of it can be read at the broker"
    cycles = [replace(cycle(number, "1000"), alarms=(idle,)) for number in range(4)]

    def alarms_of(*further: CycleFacts, watched: str = "") -> Section:
        run = performance(history([*cycles, *further]), taker_fee_frac=Decimal(0))
        return section_of(report_page(run, Surroundings("a test", watched=watched)), "Positions without")

    assert alarms_of().rows == ()
    assert alarms_of().notes[0].startswith("Not counted: cycles ran less often (crypto every 24 h) than the 20 min")
    assert alarms_of(watched="By the monitor.").rows[0] == ("Alarms", "4")
    told = alarms_of(replace(cycle(4, "1000"), alarms=(idle, lost)))
    assert told.rows[:2] == (("Alarms", "1"), ("Cycles that raised any", "1 of 5"))
    assert "(crypto every 24 h), and alarms of that kind are not counted." in told.notes[0]


def test_open_trades_are_listed_with_what_they_may_lose_together() -> None:
    spread = [
        replace(contract(f"AAPL240119C00{strike}000", side, price, None), max_loss_usd=Decimal(150), stop_price=None)
        for strike, side, price in (("200", Side.BUY, "5"), ("210", Side.SELL, "2"))
    ]
    run = performance(history([cycle(0, "1000", "500")], [trade(0, None), *spread]), taker_fee_frac=Decimal(0))

    listed = section_of(page_of(run), "Open trades")

    assert listed.rows == (
        ("BTC/USD momentum: 9.975", "2024-01-01", "$1,000.00", "$1,000.00", "90.00"),
        (
            "AAPL bull call spread: 1 AAPL240119C00200000, -1 AAPL240119C00210000",
            "2024-01-01",
            "$300.00",
            "$300.00",
            "none",
        ),
        ("all", "", "$1,300.00", "$1,300.00", ""),
    )
    assert listed.notes[0].startswith("Options may lose $300.00 in all")
    assert "would come to -$102.25" in listed.notes[1]


def test_where_options_traded_the_basket_is_no_fair_yardstick_and_their_spread_is_missing() -> None:
    closed = contract("AAPL240119C00200000", Side.BUY, "5", "7")
    page = page_of(performance(history([cycle(0, "1000")], [trade(0, "110"), closed]), taker_fee_frac=Decimal(0)))

    beside = section_of(page, "Beside cash").notes[0]
    assert "an option's market value is not its exposure" in beside
    assert "fair" not in beside
    assert any("no quotes of option contracts" in note for note in section_of(page, "Closed trades").notes)
    plain = page_of(run_of(3))
    assert "fair yardsticks" in section_of(plain, "Beside cash").notes[0]
    assert not any("option" in note for note in section_of(plain, "Closed trades").notes)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ((True, True), "it had no idea: the market was never as it asks"),
        ((True, False), "no idea in the cycles that could see the market (1 of 2)"),
        ((False, False), "no cycle could see the market (0 of 2)"),
    ],
)
def test_a_strategy_without_ideas_is_told_with_what_its_cycles_could_see(seen: tuple[bool, ...], words: str) -> None:
    cycles = [replace(cycle(0, "1000", module="options"), could_see=each) for each in seen]
    run = performance(history(cycles), taker_fee_frac=Decimal(0), strategies={"options": ["iron_condor"]})

    ((name, _, reason),) = section_of(page_of(run), "Strategies that").rows

    assert name == "iron condor (options)"
    assert reason.startswith(words)


def test_words_of_a_receipt_are_shown_plain_and_settings_stay() -> None:
    refused = (Refusal(BTC, "held_for_orders", "the exit says time_stop: see MARKET_TIER"),)

    (row,) = section_of(page_of(run_of(0, refusals=refused)), "What was not traded").rows

    assert row == ("held for orders", "1", "2024-01-01 BTC/USD: the exit says time stop: see MARKET_TIER")


def test_each_of_several_accounts_is_named_and_their_trades_are_summed() -> None:
    page = report_page(run_of(1), Surroundings("a test", account="account 1 of 2: crypto and stocks"))

    assert all("report, account 1 of 2: crypto and stocks" in shown for shown in renderings(page))
    concluded = [Concluded(True, {"crypto": 60, "stocks": 19}), Concluded(True, {"stocks": 1, "options": 1})]
    assert all_accounts(concluded) == (
        "Over the 2 accounts: 81 closed trades (crypto 60, options 1, stocks 20); all books equal to the cent: yes"
    )
    assert all_accounts([concluded[0], Concluded(False, {})]).endswith("all books equal to the cent: no")


def test_dates_below_a_chart_divide_its_span_evenly() -> None:
    first = date(2025, 6, 16)

    assert spread_dates(first, first) == [first]
    assert spread_dates(first, first + timedelta(days=2)) == [first + timedelta(days=number) for number in range(3)]
    assert spread_dates(first, first + timedelta(days=24)) == [first + timedelta(days=4 * n) for n in range(7)]


def test_every_section_says_what_it_rests_on() -> None:
    page = page_of(run_of(5))

    assert all("n = " in section.basis or "trips" in section.basis for section in page.sections)
    assert all("2024-01" in section.basis for section in page.sections)


def test_calls_are_told_in_all_per_cycle_and_by_kind() -> None:
    (calls,) = (section for section in page_of(run_of(1)).sections if section.title.startswith("Calls"))

    assert calls.rows == (
        ("GET /v1beta3/crypto/us/latest/quotes", "10", "1.00"),
        ("POST /v2/orders", "5", "0.50"),
        ("all", "15", "1.50"),
    )


def test_what_a_short_window_cannot_say_takes_no_room() -> None:
    """I-10, I-31: no empty column, no parts of three days, and a yardstick that is another's double is told once."""
    page = page_of(run_of(3))

    risk, parts = section_of(page, "Risk and return"), section_of(page, "Part by part")

    assert risk.columns == ("", "return", "deepest fall")
    assert [row[0] for row in risk.rows] == ["This run", "Buy and hold 47.6%", "Buy and hold 100%"]
    assert (parts.rows, parts.notes) == ((), ("Not divided: 9 daily returns, and 5 parts need 150.",))
    assert [tile.basis for tile in page.tiles if tile.label == "Buy and hold 100%"] == ["BTC"]


def test_a_sharpe_ratio_above_zero_beside_a_loss_is_explained() -> None:
    values = ["1000", *(str(usd) for _ in range(35) for usd in (1250, 990))]
    cycles = [cycle(number, usd) for number, usd in enumerate(values)]

    notes = section_of(page_of(performance(history(cycles), taker_fee_frac=Decimal(0))), "Risk and return").notes

    assert any(
        note.startswith("The Sharpe ratio is of the mean daily return, and the return compounds") for note in notes
    )
    assert not any(note.startswith("The Sharpe ratio") for note in section_of(page_of(run_of(3)), "Risk").notes)


def test_a_test_of_chance_is_not_told_as_a_probability_of_being_right() -> None:
    cycles = [cycle(number, str(1000 + number % 7)) for number in range(60)]

    notes = section_of(page_of(performance(history(cycles), taker_fee_frac=Decimal(0))), "Risk and return").notes

    assert any(note.startswith("A rule worth nothing shows a lower Sharpe ratio in 5") for note in notes), notes
    assert not any("probability that the true" in note for note in notes)


def test_what_took_no_time_that_could_be_told_has_no_latency() -> None:
    """I-31: a backtest waits for nobody, and nought milliseconds would be a claim."""
    cycles = [cycle(number, "1000", duration_ms=None) for number in range(3)]

    page = report_page(performance(history(cycles), taker_fee_frac=Decimal(0)), Surroundings("a backtest"))

    assert not any("How long" in section.title for section in page.sections)
    assert any("How long" in section.title for section in page_of(run_of(1)).sections)


def test_shares_that_an_option_delivered_are_told_beside_their_contract() -> None:
    delivered = replace(trade(2, "110"), strategy="delivered")

    notes = section_of(
        page_of(performance(history([cycle(0, "1000")], [delivered]), taker_fee_frac=Decimal(0))), "Closed"
    )

    assert any("+$94.51 with n = 1; they belong to contracts that closed at zero" in note for note in notes.notes)
    assert not any("delivered" in note for note in section_of(page_of(run_of(3)), "Closed trades").notes)


def test_the_proof_is_the_last_word_everywhere() -> None:
    page = page_of(run_of(1))

    assert in_terminal(page).rstrip().endswith("equal to the cent: yes")
    assert markdown(page, "equity.png").rstrip().endswith("**equal to the cent: yes**")
    assert html(page, b"", b"").rindex("equal to the cent: yes") > html(page, b"", b"").rindex("<table")


def test_a_stored_run_has_no_proof_and_makes_no_claim_of_one() -> None:
    """I-31, I-67: what is not known is not shown."""
    page = report_page(run_of(1), Surroundings("from a store"))

    assert page.proof is None
    assert all("equal to the cent" not in shown for shown in renderings(page))


def test_breaker_trips_and_resets_are_listed() -> None:
    tripped = {"mode": Mode.REDUCING, "mode_by": "breaker:peak_drawdown", "mode_reason": "drawdown 15.2%"}

    (section,) = (one for one in page_of(run_of(0, **tripped)).sections if one.title.startswith("Breaker"))

    assert section.basis.startswith("1 trip, 0 resets by a person")
    assert section.rows[0] == ("2024-01-01 00:00", "peak drawdown", "REDUCING", "drawdown 15.2%")


def test_a_reason_cannot_write_into_the_html_page() -> None:
    page = page_of(run_of(0, refusals=(Refusal(BTC, "costs", "<script>1 | 2"),)))

    assert "&lt;script&gt;1 | 2" in html(page, b"", b"")
    assert "<script>1 \\| 2" in markdown(page, "equity.png")


def test_the_html_page_needs_no_other_file() -> None:
    shown = html(page_of(run_of(3)), b"light", b"dark")

    assert "data:image/png;base64,bGlnaHQ=" in shown
    assert not any(word in shown for word in ("http://", "https://", "<script", "<link"))


@pytest.mark.parametrize("changes", [{}, {"quotes": {}}])
def test_the_picture_is_a_png_and_the_same_for_the_same_run(changes: dict[str, object]) -> None:
    run = run_of(3, **changes)

    light = equity_chart(run, LIGHT)

    assert light.startswith(PNG)
    assert light == equity_chart(run, LIGHT)
    assert light != equity_chart(run, DARK)
    assert results_chart(run, LIGHT) == results_chart(run, LIGHT)
