"""What our own closed trades change in an entry: nothing before twenty, then less of what lost, and never more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from scipy.stats import t as student  # type: ignore[import-untyped]

from core.decide import decide
from core.documents import document, parsed
from core.ml.adaptation import MIN_TRADES, Belief, belief
from core.model.edges import HALF_LIFE_DAYS, faded, with_closed
from core.model.judgement import Decision, Snapshot
from core.model.limits import Session
from core.model.market import AssetClass
from core.model.orders import OrderIntent
from core.model.trades import Books, Edge, Trade
from core.modules import module_named
from core.ports import Document
from tests.builders import AS_OF, BTC, booked, books, falling, limits, position, rising, snapshot, trade

CRYPTO = module_named("crypto")
STRATEGY, HOUR = "crypto momentum", "crypto 12h"


def _edge(returns: list[float]) -> Edge:
    return Edge(len(returns), len(returns), sum(returns), sum(each**2 for each in returns), AS_OF, AS_OF)


LOSES_A_LITTLE = _edge([0.03, -0.05] * 10)
"""Twenty trades of -1 % on average, by hand in `test_the_posterior_by_hand`."""
LOSES_ALWAYS = _edge([-0.01] * 20)
GAINS = _edge([0.05, -0.01] * 10)


def _decided(edges: Mapping[str, Edge], **changes: Any) -> Decision:
    moment = snapshot({BTC: rising()}, books=books(edges=edges), **changes)
    return decide(moment, CRYPTO)


def _entry(decision: Decision) -> OrderIntent:
    (entry,) = decision.intents
    return entry


def _believed(edge: Edge) -> Belief:
    found = belief([edge])
    assert found is not None
    return found


def test_the_posterior_by_hand() -> None:
    """y = -0.01, 20 trades and 10 of prior: mean -0.2 / 30; variance (0.032 + 20 / 3 * 0.01^2) / 20 = 0.0016333;
    the mean's 0.0016333 / 30 * 20 / 18 = 0.0077778^2; z = -0.8571."""
    found = _believed(LOSES_A_LITTLE)
    assert found.mean == pytest.approx(-0.2 / 30)
    assert found.probability == pytest.approx(0.1957, abs=1e-4)
    assert _believed(_edge([0.0] * 20)).probability == 0.5


@pytest.mark.parametrize("seed", range(5))
def test_the_posterior_agrees_with_students_t(seed: int) -> None:
    returns = np.random.default_rng(seed).normal(0.005, 0.05, size=60)
    n, k, mean = 60, 10, returns.mean()
    scale = np.sqrt((((returns - mean) ** 2).sum() + k * n / (k + n) * mean**2) / n / (k + n))
    exact = student.sf(0, df=n, loc=n * mean / (n + k), scale=scale)
    assert _believed(_edge(returns.tolist())).probability == pytest.approx(exact, abs=0.005)


def test_without_closed_trades_decisions_are_the_same_byte_for_byte() -> None:
    """With too few of them as well: nineteen losses say nothing yet."""
    plain = repr(_decided({}))
    assert repr(_decided({STRATEGY: _edge([-0.05] * (MIN_TRADES - 1))})) == plain
    assert repr(_decided({"crypto breakout": LOSES_ALWAYS, "us_equity momentum": LOSES_ALWAYS})) == plain
    assert repr(_decided({STRATEGY: GAINS, HOUR: GAINS})) == plain, "a strategy that gains is bought as it was"


def test_a_strategy_that_loses_is_bought_less_and_says_why() -> None:
    """W-33: an estimate that is shrunk, and 0.196 / 0.25 = 0.78 of the size."""
    before, after = _entry(_decided({})), _entry(_decided({STRATEGY: LOSES_A_LITTLE}))
    assert after.quantity == pytest.approx(before.quantity * Decimal("0.78"), rel=Decimal("1e-6"))
    assert after.reason.startswith(before.reason.split(";")[0])
    said = "at 78% of its size: 20 trades of momentum leave -0.67% a trade, 20% sure of a gain"
    assert said in after.reason


def test_a_strategy_that_surely_loses_is_not_bought() -> None:
    decision = _decided({STRATEGY: LOSES_ALWAYS})
    assert decision.intents == ()
    (refusal,) = (each for each in decision.refusals if each.rule == "realised_edge")
    assert (refusal.symbol, refusal.strategy) == (BTC, "momentum")
    assert refusal.reason == "20 trades of momentum leave -0.67% a trade, 0% sure of a gain"


def test_a_session_is_the_sum_of_its_hours_and_the_worse_of_it_and_the_strategy_decides() -> None:
    """Ten losses at 11 and ten at 12 o'clock are twenty of the session from 10 to 14, and none of another."""
    hours = {"crypto 11h": _edge([-0.01] * 10), HOUR: _edge([-0.01] * 10)}
    midday = Session("midday", 10, 14, ("momentum",), Decimal(1))
    noon = Session("noon", 12, 14, ("momentum",), Decimal(1))
    refused = _decided(hours | {STRATEGY: GAINS}, limits=limits(sessions=(midday,)))
    assert [each.reason.partition(" leave")[0] for each in refused.refusals] == ["20 trades of session midday"]
    assert len(_decided(hours, limits=limits(sessions=(noon,))).intents) == 1


def test_exits_never_ask_what_was_learned() -> None:
    held = {"positions": (position(BTC),), "learned": {"position_size_multiplier": 0.5}}
    exits = [
        decide(snapshot({BTC: falling()}, books=books(edges=edges, trades=(trade(),)), **held), CRYPTO).intents
        for edges in ({}, {STRATEGY: LOSES_ALWAYS, HOUR: LOSES_ALWAYS})
    ]
    assert exits[0] == exits[1] != ()


@examples(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-0.3, 0.3), max_size=60),
    st.lists(st.floats(-0.3, 0.3), max_size=60),
    st.dictionaries(
        st.sampled_from(["confidence_threshold", "momentum_threshold", "position_size_multiplier"]),
        st.floats(0.5, 0.9),
    ),
)
def test_nothing_that_was_learned_enlarges_an_entry(
    by_strategy: list[float], by_hour: list[float], learned: dict[str, float]
) -> None:
    """W-33: models advise, limits rule."""
    plain = _entry(_decided({}))
    for entry in _decided({STRATEGY: _edge(by_strategy), HOUR: _edge(by_hour)}, learned=learned).intents:
        assert entry.quantity <= plain.quantity
        assert replace(entry, quantity=plain.quantity, reason=plain.reason) == plain


def _closed(price: str, **changes: Any) -> Trade:
    """Bought for 1,000 dollars a day ago, sold now."""
    return replace(trade(exits=(booked("10", price),)), **changes)


def test_a_closed_trade_counts_for_its_strategy_and_its_hour() -> None:
    """Sold for 950 and 1,020 of 1,000: -5 % and +2 %."""
    found = with_closed({}, [_closed("95"), _closed("102", trade_id="second")])
    assert set(found) == {STRATEGY, HOUR}
    assert found[STRATEGY] == found[HOUR]
    assert (found[STRATEGY].n, found[STRATEGY].weight) == (2, 2)
    assert found[STRATEGY].total == pytest.approx(-0.03)
    assert found[STRATEGY].squares == pytest.approx(0.0029)


def test_contracts_of_a_structure_count_once_and_of_what_they_could_lose() -> None:
    """50 dollars lost and 20 gained of the 200 that both together could lose: -15 %."""
    option = {"asset_class": AssetClass.OPTION, "strategy": "put_spread", "structure_id": "s", "max_loss_usd": 100}
    legs = [_closed("95", **option), _closed("102", **option, trade_id="second")]
    found = with_closed({}, legs)
    assert set(found) == {"us_option put_spread"}
    assert found["us_option put_spread"].n == 1
    assert found["us_option put_spread"].total == pytest.approx(-0.15)


def test_what_no_decision_of_ours_opened_teaches_nothing() -> None:
    assert with_closed({}, [_closed("95", cycle_id="", strategy="adopted")]) == {}


def test_trades_fade_so_that_what_was_refused_is_tried_again() -> None:
    """After one half-life twenty trades weigh ten, which is too few to refuse anything."""
    later = AS_OF + timedelta(days=HALF_LIFE_DAYS)
    assert faded(LOSES_ALWAYS, later).weight == pytest.approx(10)
    moment = snapshot({BTC: rising()}, books=books(edges={STRATEGY: replace(LOSES_ALWAYS, at=AS_OF)}))
    old = replace(LOSES_ALWAYS, at=AS_OF - timedelta(days=HALF_LIFE_DAYS))
    assert decide(moment, CRYPTO).intents == ()
    assert len(decide(_with_edges(moment, {STRATEGY: old}), CRYPTO).intents) == 1


def _with_edges(moment: Snapshot, edges: Mapping[str, Edge]) -> Snapshot:
    return replace(moment, books=replace(moment.books, edges=edges))


def test_books_keep_what_trades_came_to() -> None:
    known = books(edges={STRATEGY: LOSES_A_LITTLE})
    stored = Document("books/current", document(known, account_id="paper-1"), "1")
    assert parsed(Books, stored) == known
    without = {name: value for name, value in stored.data.items() if name != "edges"}
    assert parsed(Books, replace(stored, data=without)).edges == {}, "books from before have none"
