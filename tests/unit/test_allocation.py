"""The class share, the drawdown's size factor and the marks that both are measured against."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.judgement import Mode, ModeState
from core.model.limits import Costs, RiskLimits
from core.model.market import AssetClass
from core.model.trades import EquityMarks, TrackRecord
from core.risk.allocation import class_share, class_shares
from core.risk.drawdown import drawdown_frac, marked, size_factor
from core.risk.edge import expected_edge_frac, round_trip_cost_frac
from tests.builders import AS_OF, books, marks, mode_state, snapshot, usd

FRACTIONS = st.decimals(-1, 1, places=4)
RISK = RiskLimits()


def tracked(closed: int, winning: int) -> TrackRecord:
    return TrackRecord(closed, winning, usd(0), usd(0))


def shares(closed: int, winning: int, month: Decimal | None, limits: RiskLimits = RISK) -> dict[AssetClass, Decimal]:
    return {each: frac for each, (frac, _) in class_shares(tracked(closed, winning), month, limits).items()}


def reason(closed: int, winning: int, month: Decimal | None, of: AssetClass = AssetClass.CRYPTO) -> str:
    return class_shares(tracked(closed, winning), month, RISK)[of][1]


@pytest.mark.parametrize(
    ("closed", "winning", "month", "share"),
    [
        (100, 70, "-0.0501", "0.20"),
        (0, 0, "-0.0501", "0.20"),
        (100, 70, "-0.05", "0.60"),
        (0, 0, "0", "0.25"),
        (29, 29, "0.10", "0.25"),
        (30, 30, "0", "0.60"),
        (100, 44, "0", "0.25"),
        (100, 45, "0", "0.40"),
        (100, 60, "0", "0.40"),
        (100, 61, "0", "0.60"),
    ],
)
def test_crypto_share_follows_the_table(closed: int, winning: int, month: str, share: str) -> None:
    """W-37: the win rate is of closed trades, at least 30 of them, or there is none."""
    assert shares(closed, winning, usd(month))[AssetClass.CRYPTO] == usd(share)


def test_unknown_month_has_the_share_of_a_bad_one() -> None:
    """A missing base is not a change of zero."""
    unknown = snapshot(books=books(marks=marks(month_start_usd=usd(0))))

    assert class_share(unknown, AssetClass.CRYPTO) == (usd("0.20"), "the equity at the month's start is not known")


@pytest.mark.parametrize(
    ("closed", "winning", "stocks", "options"),
    [
        (0, 0, "0.46875", "0.28125"),  # 75 % are left of the 80 % that both would take
        (100, 50, "0.375", "0.225"),
        (100, 70, "0.25", "0.15"),
    ],
)
def test_stocks_and_options_share_what_crypto_leaves(closed: int, winning: int, stocks: str, options: str) -> None:
    """W-42: the caps of the classes sum to the whole account and no further."""
    found = shares(closed, winning, usd(0))

    assert (found[AssetClass.STOCK], found[AssetClass.OPTION]) == (usd(stocks), usd(options))
    assert sum(found.values()) == 1


def test_lower_caps_that_fit_are_left_as_they_are() -> None:
    small = RiskLimits(max_stock_frac=usd("0.30"), max_option_frac=usd("0.05"))

    found = shares(0, 0, usd(0), small)

    assert (found[AssetClass.STOCK], found[AssetClass.OPTION]) == (usd("0.30"), usd("0.05"))


def test_share_gives_its_reason_in_figures() -> None:
    assert "12 closed trades" in reason(12, 6, usd(0))
    assert "50% of 40" in reason(40, 20, usd(0))
    assert "7.0%" in reason(40, 20, usd("-0.07"))
    assert "crypto may hold 40%" in reason(40, 20, usd(0), AssetClass.STOCK)


CAPS = st.decimals("0.01", "0.5", places=2), st.decimals("0.01", "0.3", places=2)


@given(st.integers(0, 200), st.integers(0, 200), st.none() | FRACTIONS, *CAPS)
def test_classes_together_never_exceed_the_account(
    closed: int, winning: int, month: Decimal | None, stock_cap: Decimal, option_cap: Decimal
) -> None:
    """I-12, W-42: 60 + 70 + 30 % were possible once."""
    limits = RiskLimits(max_stock_frac=stock_cap, max_option_frac=option_cap)

    found = shares(closed, min(winning, closed), month, limits)

    assert sum(found.values()) <= 1 + usd("1e-20")
    assert found[AssetClass.STOCK] <= stock_cap
    assert found[AssetClass.OPTION] <= option_cap


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 200), FRACTIONS, FRACTIONS)
def test_worse_month_or_record_never_gives_a_larger_share(
    closed: int, one: int, other: int, month: Decimal, worse_month: Decimal
) -> None:
    """I-18: nothing is raised to win a loss back; a bad month moves no money from crypto to the other classes."""
    fewer, more = sorted((min(one, closed), min(other, closed)))
    low, high = sorted((month, worse_month))

    assert shares(closed, fewer, low)[AssetClass.CRYPTO] <= shares(closed, more, high)[AssetClass.CRYPTO]
    for each, share in shares(closed, more, low).items():
        assert share <= shares(closed, more, high)[each]


@pytest.mark.parametrize(
    ("down", "factor"),
    [
        ("0", "1"),
        ("0.0499", "1"),
        ("0.05", "0.75"),
        ("0.0799", "0.75"),
        ("0.08", "0.5"),
        ("0.1499", "0.5"),
        ("0.15", "0"),
        ("0.9", "0"),
    ],
)
def test_drawdown_shrinks_in_steps(down: str, factor: str) -> None:
    assert size_factor(usd(down)) == usd(factor)


@given(st.decimals(0, 1, places=4), st.decimals(0, 1, places=4))
def test_deeper_drawdown_never_has_a_larger_factor(one: Decimal, other: Decimal) -> None:
    """I-18."""
    shallow, deep = sorted((one, other))

    assert 0 <= size_factor(deep) <= size_factor(shallow) <= 1


@pytest.mark.parametrize(("equity", "peak", "down"), [("90", "100", "0.1"), ("100", "100", "0"), ("110", "100", "0")])
def test_drawdown_is_measured_from_the_peak(equity: str, peak: str, down: str) -> None:
    assert drawdown_frac(usd(equity), usd(peak)) == usd(down)


def moved(
    equity: int = 100_000, *, as_of: datetime = AS_OF, mode: ModeState | None = None, before: EquityMarks | None = None
) -> EquityMarks:
    return marked(before or marks(), usd(equity), as_of, mode or mode_state())


def test_peak_rises_with_equity_and_does_not_fall() -> None:
    assert moved(104_000).peak_usd == 104_000
    assert moved(96_000).peak_usd == 100_000


def test_month_start_stays_within_the_month() -> None:
    after = moved(96_000, as_of=datetime(2026, 3, 31, 23, 59, tzinfo=UTC))

    assert (after.month_start_usd, after.day) == (usd(100_000), date(2026, 3, 31))


@pytest.mark.parametrize("as_of", [datetime(2026, 4, 1, tzinfo=UTC), datetime(2027, 3, 2, tzinfo=UTC)])
def test_new_month_starts_at_its_first_equity(as_of: datetime) -> None:
    """I-10: the base is what the account was worth, never a constant."""
    assert moved(96_000, as_of=as_of).month_start_usd == 96_000


def test_peak_starts_anew_once_after_a_person_resumed() -> None:
    resumed = mode_state(at=datetime(2026, 3, 2, 9, tzinfo=UTC))

    after = moved(80_000, mode=resumed)
    later = moved(79_000, mode=resumed, before=after)

    assert (after.peak_usd, after.peak_since) == (usd(80_000), resumed.at)
    assert later.peak_usd == 80_000


@pytest.mark.parametrize(
    ("mode", "by"),
    [(Mode.ACTIVE, "cronfolio"), (Mode.ACTIVE, "breaker:daily_loss"), (Mode.REDUCING, "person:ann")],
)
def test_nothing_else_starts_the_peak_anew(mode: Mode, by: str) -> None:
    state = mode_state(mode, by=by, at=datetime(2026, 3, 2, 9, tzinfo=UTC))

    assert moved(80_000, mode=state).peak_usd == 100_000


def test_expected_edge_by_hand() -> None:
    """0.10 * 0.5 * 4 % * sqrt(20 days) = 0.894 %."""
    assert expected_edge_frac(0.5, 0.04, Costs()) == pytest.approx(0.00894427191)


def test_round_trip_costs_two_taker_fees_and_the_spread() -> None:
    assert round_trip_cost_frac(0.001, Costs()) == pytest.approx(0.006)


def test_no_score_no_edge() -> None:
    assert expected_edge_frac(0.0, 0.04, Costs()) == 0.0
    assert expected_edge_frac(-0.5, 0.04, Costs()) < 0
