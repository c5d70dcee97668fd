"""The eight strategies by hand-worked numbers, and what holds for every structure whatever the quotes."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.judgement import Refusal
from core.model.limits import Costs
from core.model.options import Right, contract
from core.model.orders import PositionIntent
from core.modules.options.contracts import by_delta
from core.modules.options.strategies import STRATEGIES, menu
from core.modules.options.structure import Strategy, Structure, built, expected_gain
from core.modules.options.view import Outlook
from tests.builders import usd
from tests.unit.option_facts import ALL, Row, chain, occ, view

BY_NAME = {strategy.name: strategy for strategy in STRATEGIES}

# name, contracts of a unit, net price, most to lose, most to gain, breakevens, takes (USD a unit), risk (USD a unit)
WORKED = [
    ("long_call", {"C98": 1}, "4.40", "4.40", "Infinity", ["102.40"], "440", "440"),
    ("bull_call_spread", {"C100": 1, "C105": -1}, "2.20", "2.20", "2.80", ["102.20"], "220", "220"),
    ("bear_put_spread", {"P102": 1, "P96": -1}, "2.80", "2.80", "3.20", ["99.20"], "280", "280"),
    ("protective_put", {"P95": 1}, "1.05", "6.05", "Infinity", ["101.05"], "105", "105"),
    ("covered_call", {"C107": -1}, "-0.62", "99.38", "7.62", ["99.38"], "0", "124"),
    ("cash_secured_put", {"P95": -1}, "-1.00", "94.00", "1.00", ["94.00"], "9500", "9400"),
    ("straddle", {"C100": 1, "P100": 1}, "6.20", "6.20", "Infinity", ["93.80", "106.20"], "620", "620"),
    (
        "iron_condor",
        {"P91": 1, "P93": -1, "C107": -1, "C109": 1},
        "-0.46",
        "1.54",
        "0.46",
        ["92.54", "107.46"],
        "200",
        "154",
    ),
]


def proposed(name: str) -> Structure:
    structure = BY_NAME[name].propose(view(), chain())
    assert isinstance(structure, Structure)
    return structure


@pytest.mark.parametrize(("name", "parts", "net", "loss", "gain", "even", "takes", "risk"), WORKED)
def test_a_strategy_has_the_cost_and_outcomes_worked_by_hand(
    name: str, parts: dict[str, int], net: str, loss: str, gain: str, even: list[str], takes: str, risk: str
) -> None:
    structure = proposed(name)

    assert {part.symbol: count for part, count in structure.parts} == {occ(each): n for each, n in parts.items()}
    assert structure.net_price == usd(net)
    assert structure.max_loss == usd(loss)
    assert structure.max_gain == usd(gain)
    assert [usd(each) for each in even] == list(structure.breakevens)
    assert structure.unit_cost_usd == usd(takes)
    assert structure.unit_risk_usd == usd(risk)


def test_every_strategy_is_worked_by_hand() -> None:
    assert {name for name, *_ in WORKED} == set(BY_NAME)


def test_what_is_bought_comes_first_in_an_order_and_every_leg_says_what_it_does() -> None:
    legs = proposed("iron_condor").legs

    assert [leg.position_intent for leg in legs] == [PositionIntent.BUY_TO_OPEN] * 2 + [PositionIntent.SELL_TO_OPEN] * 2
    assert {leg.ratio for leg in legs} == {1}


def test_a_structure_has_the_greeks_of_its_contracts() -> None:
    """Delta 0.54 - 0.30 on a hundred shares at $100 is $2,400; the equal decay of both cancels."""
    greeks = proposed("bull_call_spread").greeks

    assert greeks.delta_usd == usd(2400)
    assert greeks.theta_usd == 0


def test_the_expected_gain_is_direction_plus_volatility() -> None:
    """Score 0.8, 25 % a year: 0.1 * 0.8 * 0.25 / sqrt(252) * sqrt(20) = 0.563 %, times 0.62 of $100 is $0.349.

    5 points of volatility below what is realised, 0.13 a point, half of it trusted: $0.325.
    """
    gain = expected_gain(proposed("long_call"), view(), Costs(skill=0.10, horizon_days=20))

    assert gain == pytest.approx(0.3493 + 0.325, abs=1e-3)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_without_a_fitting_contract_there_is_no_structure(strategy: Strategy) -> None:
    far = chain((("C150", 0.50, 0.52, 0.01), ("P50", 0.50, 0.52, -0.01)))

    answer = strategy.propose(view(), far)

    assert isinstance(answer, Refusal)
    assert answer.rule == "contracts"


def test_quotes_at_which_nothing_can_be_lost_are_not_believed() -> None:
    """A spread of 5 points for a credit of 1 would be a gift."""
    gift = chain((("C100", 0.90, 1.00, 0.54), ("C105", 2.00, 2.10, 0.30)))

    answer = BY_NAME["bull_call_spread"].propose(view(), gift)

    assert isinstance(answer, Refusal)
    assert answer.rule == "quotes"


def test_calls_that_nothing_covers_cannot_be_made_into_a_structure() -> None:
    call = by_delta(chain(), Right.CALL, low=0.20, high=0.30)

    with pytest.raises(ValueError, match="nothing covers"):
        built("naked_call", view(), (call, -1))


def test_contracts_of_two_expiries_cannot_be_made_into_a_structure() -> None:
    near = by_delta(chain(), Right.CALL, low=0.50, high=0.60)
    far = by_delta(chain(expiry=date(2026, 4, 17)), Right.CALL, low=0.25, high=0.35)

    with pytest.raises(ValueError, match="mixes expiries"):
        built("diagonal", view(), (far, 1), (near, -1))


@pytest.mark.parametrize(
    ("outlook", "implied", "names"),
    [
        (Outlook.BULLISH, 0.20, ["long_call", "bull_call_spread"]),
        (Outlook.BULLISH, 0.30, ["cash_secured_put", "bull_call_spread"]),
        (Outlook.BEARISH, 0.20, ["protective_put", "bear_put_spread"]),
        (Outlook.BEARISH, 0.30, ["protective_put", "bear_put_spread"]),
        (Outlook.NEUTRAL, 0.30, ["covered_call", "iron_condor"]),
        (Outlook.NEUTRAL, 0.20, ["straddle"]),
    ],
)
def test_the_strategy_follows_from_direction_and_the_price_of_volatility(
    outlook: Outlook, implied: float, names: list[str]
) -> None:
    fitting = menu(view(outlook, implied_volatility=implied, realised_volatility=0.25))

    assert isinstance(fitting, tuple)
    assert [strategy.name for strategy in fitting] == names


def test_an_unclear_view_calls_for_nothing_and_says_why() -> None:
    fitting = menu(view(Outlook.UNCLEAR))

    assert isinstance(fitting, Refusal)
    assert fitting.rule == "unclear"


quotes = st.tuples(st.integers(1, 4000), st.integers(0, 300)).map(lambda pair: (pair[0] / 100, sum(pair) / 100))


@st.composite
def tables(draw: st.DrawFn) -> tuple[Row, ...]:
    """The contracts of the hand-made table at any quotes and with any deltas of their sign."""
    rows = []
    for name, *_, delta in ALL:
        bid, ask = draw(quotes)
        size = draw(st.one_of(st.just(abs(delta)), st.floats(0.01, 0.99)))
        moved = size if delta > 0 else -size
        rows.append((name, bid, ask, moved))
    return tuple(rows)


@given(tables())
def test_the_most_that_can_be_lost_is_the_worst_point_of_the_payoff(table: tuple[Row, ...]) -> None:
    """No structure of any strategy loses more than its stated loss anywhere from zero to a thousand times the spot.

    The payoff is worked out anew from the legs' own names.
    """
    grid = [Decimal(cents) / 4 for cents in range(0, 800)] + [usd(100_000)]
    for strategy in STRATEGIES:
        structure = strategy.propose(view(), chain(table))
        if isinstance(structure, Refusal):
            continue
        asks = {occ(name): usd(ask) for name, _, ask, _ in table}
        bids = {occ(name): usd(bid) for name, bid, _, _ in table}
        outcomes = []
        for price in grid:
            result = price - 100 if structure.on_shares else Decimal(0)
            for leg in structure.legs:
                named, bought = contract(leg.symbol), leg.position_intent is PositionIntent.BUY_TO_OPEN
                worth = max(Decimal(0), price - named.strike if named.right == "call" else named.strike - price)
                result += worth - asks[leg.symbol] if bought else bids[leg.symbol] - worth
            outcomes.append(result)
        assert min(outcomes) == -structure.max_loss
        assert structure.unit_risk_usd > 0
        assert structure.unit_cost_usd >= 0
