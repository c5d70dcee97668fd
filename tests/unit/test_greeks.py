"""The greeks of all options together, and how much more fits under their limits."""

from __future__ import annotations

import pytest

from core.model.judgement import Refusal
from core.model.limits import OptionRules
from core.risk.greeks import Greeks, held, of_contracts, room
from tests.builders import position, usd
from tests.unit.option_facts import chain, option

EQUITY = usd(100_000)
RULES = OptionRules(max_portfolio_delta_usd_frac=0.5, max_daily_theta_frac=0.001)


def test_greeks_count_a_hundred_shares_a_contract_and_written_ones_the_other_way() -> None:
    """Two bought at 0.54 and two written at 0.30: 2 * 100 * 0.24 * $100 = $4,800, and their decay cancels."""
    total = held((option("C100", 2, "3"), option("C105", -2, "1"), position()), {"SPY": chain()}, {"SPY": usd(100)})

    assert total == Greeks(usd(4800), usd(0))


@pytest.mark.parametrize("missing", ["chain", "contract", "spot", "delta"])
def test_a_held_option_without_greeks_makes_the_sum_unknown(missing: str) -> None:
    known = chain(delta=float("nan")) if missing == "delta" else chain()
    chains = {} if missing == "chain" else {"SPY": known}
    spots = {} if missing == "spot" else {"SPY": usd(100)}

    answer = held((option("C101" if missing == "contract" else "C100", 1, "3"),), chains, spots)

    assert isinstance(answer, Refusal)
    assert answer.rule == "greeks"


@pytest.mark.parametrize(("quantity", "is_known"), [(1, True), (-1, False)])
def test_what_nobody_bids_for_moves_with_nothing_unless_it_was_written(quantity: int, is_known: bool) -> None:
    worthless = chain((("P91", 0.0, 0.02, float("nan")),))

    answer = held((option("P91", quantity, "0.40"),), {"SPY": worthless}, {"SPY": usd(100)})

    assert (answer == Greeks(usd(0), usd(0))) is is_known


@pytest.mark.parametrize(
    ("now_delta", "now_theta", "delta", "theta", "units"),
    [
        (0, 0, 6_000, 0, "8.333"),  # 50,000 / 6,000
        (20_000, 0, 6_000, 0, "5"),  # 30,000 left
        (20_000, 0, -6_000, 0, "11.667"),  # the other way: 70,000
        (-50_000, 0, -6_000, 0, "0"),
        (0, -40, 0, -4, "15"),  # 100 a day in all, 60 left
        (0, -140, 0, -4, "0"),  # already over: nothing more
        (0, -140, 6_000, 4, "8.333"),  # what earns decay is bound by delta alone
        (0, -80, 6_000, -10, "2"),  # the tighter of both
    ],
)
def test_room_is_what_delta_and_decay_leave(now_delta: int, now_theta: int, delta: int, theta: int, units: str) -> None:
    now, unit = Greeks(usd(now_delta), usd(now_theta)), Greeks(usd(delta), usd(theta))

    assert float(room(now, unit, EQUITY, RULES)) == pytest.approx(float(units), abs=1e-3)


def test_more_of_the_same_leaves_less_room() -> None:
    unit = of_contracts(usd(1), 0.5, -0.05, usd(100))
    before = room(Greeks(usd(0), usd(0)), unit, EQUITY, RULES)

    after = room(Greeks(usd(0), usd(0)).plus(unit, usd(3)), unit, EQUITY, RULES)

    assert after == before - 3
