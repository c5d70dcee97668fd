"""Bootstrap samples, worked by hand, and samples of closed trades."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest

from core.errors import BadFacts
from core.ml.samples import FEATURES, STEPS, TRADED, Samples, bootstrap, merged, of_trades
from core.model.bars import Bars, from_rows
from core.model.features import BAR_HOURS, Features
from core.model.limits import Costs, ExitRules, SignalRules
from core.model.market import AssetClass, Timeframe
from core.model.trades import BookedFill, Trade
from core.strategies.strategy import Strategy

N_BARS = 40
ENTRY_AT = 30
RULES = ExitRules(stop_floor_frac=0.10, target_frac=0.20, max_hold_days=5, stop_atr_multiple=100.0)
FREE = Costs(taker_fee_frac=Decimal(0))
DAY_S = 86_400


def _bars(ahead: dict[int, tuple[float, float, float, float]]) -> Bars:
    """A price of 100 on every day but those of `ahead`: open, high, low, close."""
    row = np.array([(day * DAY_S, 100.0, 100.0, 100.0, 100.0, 1.0) for day in range(N_BARS)])
    for day, prices in ahead.items():
        row[day, 1:5] = prices
    return from_rows(Timeframe.DAY, {"BTC/USD": row})


def _one_idea() -> tuple[Features, Strategy]:
    """An idea at ENTRY_AT alone; every other feature is a number everywhere."""
    columns = {name: np.ones((1, N_BARS)) for name in (*FEATURES[:-1], "atr")}
    score = np.zeros((1, N_BARS))
    score[0, ENTRY_AT] = 0.9
    return Features(("BTC/USD",), columns), Strategy("momentum", lambda _: score)


def _learned(bars: Bars, *, spread: float = 0.0, costs: Costs = FREE) -> Samples:
    features, strategy = _one_idea()
    return bootstrap(
        bars,
        features,
        [strategy],
        spread_frac=np.full((1, N_BARS), spread),
        exits=RULES,
        costs=costs,
        signals=SignalRules(),
    )


@pytest.mark.parametrize(
    ("ahead", "outcome", "net_return"),
    [
        ({}, "time", 0.0),
        ({33: (100, 125, 99, 110)}, "target", 0.20),
        ({33: (100, 101, 85, 90)}, "stop", -0.10),
        ({33: (100, 125, 85, 110)}, "stop", -0.10),
        ({33: (80, 81, 79, 80)}, "stop", -0.20),
        ({33: (130, 131, 129, 130)}, "target", 0.30),
        ({35: (100, 108, 99, 107)}, "time", 0.07),
        ({36: (100, 150, 50, 150)}, "time", 0.0),
    ],
)
def test_an_entry_ends_at_the_first_barrier_it_meets(
    ahead: dict[int, tuple[float, float, float, float]], outcome: str, net_return: float
) -> None:
    """Bought at 100 on day 31: stop 90, target 120, five days. Both in one bar: the stop; beyond one: the open."""
    learned = _learned(_bars(ahead))
    assert learned.outcomes == (outcome,)
    assert learned.net_return == pytest.approx([net_return])


@pytest.mark.parametrize(("target_on", "outcome"), [(32, "target"), (33, "time")])
def test_the_time_barrier_counts_days_without_a_bar(target_on: int, outcome: str) -> None:
    """As the exit rule does. Bought on day 31 for five days: 31 and 32 have bars, and the next one is of day 36."""
    bars = _bars({target_on: (100, 125, 99, 110)})
    bars.opened_at[0, 33:] += np.timedelta64(3, "D")
    learned = _learned(bars)
    assert learned.outcomes == (outcome,)
    assert learned.closed_at[0] == np.datetime64("1970-02-03", "us")


def test_spread_and_fees_are_paid_at_both_ends() -> None:
    """Buy at 100.5, 0.25 % taken; sell at 99.5, 0.25 % taken: 99.5 * 0.9975^2 / 100.5 - 1."""
    learned = _learned(_bars({}), spread=0.01, costs=Costs(taker_fee_frac=Decimal("0.0025")))
    assert learned.net_return == pytest.approx([99.5 * 0.9975**2 / 100.5 - 1])


def test_what_was_known_ends_at_the_idea_and_the_trade_begins_after_it() -> None:
    learned = _learned(_bars({}))
    assert learned.opened_at[0] == np.datetime64("1970-02-01", "us")
    assert learned.closed_at[0] == np.datetime64("1970-02-06", "us")
    assert learned.sequences is not None
    assert learned.sequences.shape == (1, STEPS, len(FEATURES))
    assert learned.sequences[0, -1, -1] == learned.x[0, -1] == 0.9
    assert not learned.sequences[0, :-1, -1].any()


def test_an_entry_whose_end_is_not_recorded_is_no_sample() -> None:
    bars = _bars({})
    cut = from_rows(
        Timeframe.DAY, {"BTC/USD": np.array([(d * DAY_S, 100, 100, 100, 100, 1) for d in range(34)], float)}
    )
    features, strategy = _one_idea()
    short = Features(features.symbols, {name: values[:, :34] for name, values in features.columns.items()})
    asked = Strategy("momentum", lambda _: strategy.score(features)[:, :34])
    kwargs = {"exits": RULES, "costs": FREE, "signals": SignalRules()}
    assert len(bootstrap(cut, short, [asked], spread_frac=np.zeros((1, 34)), **kwargs)) == 0  # type: ignore[arg-type]
    assert len(_learned(bars)) == 1


def test_a_feature_that_is_missing_makes_no_sample() -> None:
    features, strategy = _one_idea()
    features.columns["rsi"][0, ENTRY_AT] = np.nan
    learned = bootstrap(
        _bars({}),
        features,
        [strategy],
        spread_frac=np.zeros((1, N_BARS)),
        exits=RULES,
        costs=FREE,
        signals=SignalRules(),
    )
    assert len(learned) == 0


def _trade(**changes: object) -> Trade:
    at = datetime(2024, 3, 1, tzinfo=UTC)

    def fill(name: str, price: int, day: int) -> BookedFill:
        return BookedFill(
            name, "c", Decimal(2), Decimal(price), at.replace(day=day), Decimal(0), Decimal(1), fee_is_posted=True
        )

    trade = Trade(
        trade_id="t",
        symbol="AAPL",
        asset_class=AssetClass.STOCK,
        strategy="momentum",
        opened_at=at,
        entries=(fill("a", 100, 1),),
        exits=(fill("b", 110, 9),),
        stop_price=None,
        target_price=None,
        exit_reason="signal: gone",
        features=dict.fromkeys(FEATURES, 0.5),
        cycle_id="c1",
    )
    return replace(trade, **changes)  # type: ignore[arg-type]


def test_a_closed_trade_is_a_sample_with_its_own_features_and_its_realised_return() -> None:
    """Bought for 201 with the fee, sold for 219: 18 / 201."""
    learned, refused = of_trades([_trade()])
    assert (learned.source, learned.outcomes, refused) == (TRADED, ("signal",), ())
    assert learned.net_return == pytest.approx([18 / 201])
    assert learned.x.tolist() == [[0.5] * len(FEATURES)]


def test_open_trades_and_trades_without_features_are_no_samples() -> None:
    known = dict.fromkeys(FEATURES[1:], 0.5)
    learned, refused = of_trades([_trade(exits=()), _trade(features=known)])
    assert len(learned) == 0
    assert refused == ("t: volatility is not known",)


def test_trades_decided_on_other_bars_are_no_samples_of_days() -> None:
    """W-29: four hours are not a day, and a trade that does not say how long its bars were is not either."""
    known = dict.fromkeys(FEATURES, 0.5)
    by_hours = _trade(trade_id="hours", features={**known, BAR_HOURS: 4.0})
    by_days = _trade(trade_id="days", features={**known, BAR_HOURS: 24.0})
    learned, refused = of_trades([by_hours, by_days, _trade(trade_id="silent")], bar_hours=24)
    assert len(learned) == 1
    assert refused == (
        "hours: it was decided on bars of 4.0 hours, not of 24",
        "silent: it was decided on bars of unknown many hours, not of 24",
    )
    assert len(of_trades([by_hours, by_days])[0]) == 2


def test_samples_of_different_features_are_not_put_together() -> None:
    one = of_trades([_trade()])[0]
    with pytest.raises(BadFacts, match="cannot be put together"):
        merged([one, replace(one, names=("renamed", *FEATURES[1:]))], TRADED)
