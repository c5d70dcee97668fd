"""Samples: what was known when a trade was opened, and what the trade came to, net of every cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from core.errors import BadFacts
from core.model.bars import Bars, FloatArray, TimeArray, as_datetime64
from core.model.features import BAR_HOURS, SCORE, Features
from core.model.limits import Costs, ExitRules, SignalRules
from core.model.trades import Trade
from core.strategies.strategy import Strategy

FEATURES = (
    *("volatility", "trend_20", "trend_60", "macd", "rsi", "bollinger", "channel", "obv", "adx"),
    *("cci", "williams", "stochastic", "volume_ratio", SCORE),
)
"""What a model sees, in this order: indicators at the newest completed bar, and the score of the strategy that asks."""

STEPS = 20
"""Bars that a model of sequences sees, the newest last."""

BOOTSTRAP, TRADED = "bootstrap", "traded"

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """n samples in the order of their openings.

    `x`: (n, k) float64 in the order of `names`. `sequences`: (n, STEPS, k), the same features bar by bar; None where
    only the moment of entry is known. `net_return`: (n,) of what was paid. `opened_at`, `closed_at`: (n,) UTC.
    """

    names: tuple[str, ...]
    x: FloatArray
    sequences: FloatArray | None
    net_return: FloatArray
    opened_at: TimeArray
    closed_at: TimeArray
    symbols: tuple[str, ...]
    strategies: tuple[str, ...]
    outcomes: tuple[str, ...]
    source: str

    def __len__(self) -> int:
        return len(self.net_return)

    @property
    def is_profitable(self) -> BoolArray:
        return self.net_return > 0

    def moment(self, place: int) -> datetime:
        """When the sample at this place was opened."""
        opened: datetime = self.opened_at[place].astype("datetime64[us]").item()
        return opened.replace(tzinfo=UTC)

    def rows(self, chosen: IntArray | BoolArray) -> Samples:
        """The chosen samples, in their order."""
        places = np.arange(len(self))[chosen]
        return Samples(
            self.names,
            self.x[places],
            None if self.sequences is None else self.sequences[places],
            self.net_return[places],
            self.opened_at[places],
            self.closed_at[places],
            tuple(self.symbols[place] for place in places),
            tuple(self.strategies[place] for place in places),
            tuple(self.outcomes[place] for place in places),
            self.source,
        )


def bootstrap(
    bars: Bars,
    features: Features,
    strategies: Sequence[Strategy],
    *,
    spread_frac: FloatArray,
    exits: ExitRules,
    costs: Costs,
    signals: SignalRules,
) -> Samples:
    """Every entry that a strategy would have asked for, as if bought at the open of the next bar.

    Triple barriers (Lopez de Prado 2018, chapter 3): stop, target and time of the module's own exit rules. Where one
    bar touches both, the stop counts; a bar that opens beyond a barrier fills there. Time is that of the calendar, as
    the exit rule's is: days without a bar count too. `spread_frac`: (n_symbols, n_bars), paid half at each end, the fee
    at both. Entries whose end is not recorded yet, and those with a feature that cannot be computed, are left out.
    `features` cover all of `bars`.
    """
    days_per_bar = bars.timeframe.length.total_seconds() / 86_400
    horizon = max(1, round(exits.max_hold_days / days_per_bar))
    table = np.stack([features[name] for name in FEATURES[:-1]], axis=-1)
    parts = [
        _of_strategy(strategy, bars, features, table, horizon, spread_frac, exits, costs, signals)
        for strategy in strategies
    ]
    return merged(parts, BOOTSTRAP)


def _of_strategy(
    strategy: Strategy,
    bars: Bars,
    features: Features,
    table: FloatArray,
    horizon: int,
    spread_frac: FloatArray,
    exits: ExitRules,
    costs: Costs,
    signals: SignalRules,
) -> Samples:
    score = strategy.score(features)
    whole = np.concatenate([table, score[..., None]], axis=-1)
    n_bars = bars.close.shape[1]
    is_idea = (1 + score) / 2 >= signals.enter_confidence
    is_idea[:, max(0, n_bars - horizon) :] = False
    is_idea[:, : STEPS - 1] = False
    row, at = np.nonzero(is_idea & np.isfinite(whole).all(axis=-1) & np.isfinite(features["atr"] + spread_frac))
    steps = at[:, None] + np.arange(1 - STEPS, 1)
    sequences = whole[row[:, None], steps]
    later = at[:, None] + np.arange(1, horizon + 1)
    ahead = {name: getattr(bars, name)[row[:, None], later] for name in ("open", "high", "low", "close")}
    is_whole = np.isfinite(sequences).all(axis=(1, 2)) & np.isfinite(ahead["close"]).all(axis=1)
    entry = ahead["open"][:, 0] * (1 + spread_frac[row, at] / 2)
    stop = np.maximum(entry * (1 - exits.stop_floor_frac), entry - exits.stop_atr_multiple * features["atr"][row, at])
    target = entry * (1 + exits.target_frac)
    # A bar of which the larger part lies before the time barrier is held; no change of the hour moves that.
    opened_at, half_bar = bars.opened_at[row[:, None], later], np.timedelta64(bars.timeframe.length) / 2
    is_held = opened_at + half_bar < opened_at[:, :1] + np.timedelta64(timedelta(days=exits.max_hold_days))
    price, last, outcomes = _ends(ahead, is_held, stop, target)
    fee = float(costs.taker_fee_frac)
    net = price * (1 - spread_frac[row, at] / 2) * (1 - fee) ** 2 / entry - 1
    places = np.flatnonzero(is_whole)
    found = Samples(
        FEATURES,
        whole[row, at],
        sequences,
        net,
        bars.opened_at[row, at + 1],
        bars.opened_at[row, later[np.arange(len(row)), last]] + np.timedelta64(bars.timeframe.length),
        tuple(bars.symbols[each] for each in row),
        (strategy.name,) * len(row),
        tuple(outcomes),
        BOOTSTRAP,
    )
    return found.rows(places)


def _ends(
    ahead: Mapping[str, FloatArray], is_held: BoolArray, stop: FloatArray, target: FloatArray
) -> tuple[FloatArray, IntArray, list[str]]:
    """The price at which each entry ended, in which bar ahead, and at which barrier. The first bar ahead is always
    held."""
    hits_stop, hits_target = ahead["low"] <= stop[:, None], ahead["high"] >= target[:, None]
    touched = hits_stop | hits_target
    newest = np.maximum(is_held.sum(axis=1) - 1, 0)
    last = np.where(touched.any(axis=1), np.minimum(touched.argmax(axis=1), newest), newest)
    rows = np.arange(len(last))
    opened = ahead["open"][rows, last]
    is_stop, is_target = hits_stop[rows, last], hits_target[rows, last]
    price = np.where(
        is_stop,
        np.minimum(stop, opened),
        np.where(is_target, np.maximum(target, opened), ahead["close"][rows, last]),
    )
    names = np.where(is_stop, "stop", np.where(is_target, "target", "time"))
    return price, last, names.tolist()


def of_trades(trades: Iterable[Trade], *, bar_hours: float | None = None) -> tuple[Samples, tuple[str, ...]]:
    """One sample a closed trade that stored its features at the entry, and why any other closed trade is none.

    The features are those of the entry's own record, never computed anew; profit is realised, net of fees. `bar_hours`:
    only trades that were decided on bars of this length, as those of hours are nothing like those of days.
    """
    kept: list[Trade] = []
    closed_at: list[np.datetime64] = []
    refused = []
    for trade in sorted(trades, key=lambda trade: (trade.opened_at, trade.trade_id)):
        if trade.is_open or trade.closed_at is None:
            continue
        missing = [name for name in FEATURES if name not in trade.features]
        if missing or trade.cost_usd <= 0:
            refused.append(f"{trade.trade_id}: {', '.join(missing) or 'its cost'} is not known")
            continue
        if bar_hours is not None and trade.features.get(BAR_HOURS) != bar_hours:
            known = trade.features.get(BAR_HOURS, "unknown many")
            refused.append(f"{trade.trade_id}: it was decided on bars of {known} hours, not of {bar_hours:g}")
            continue
        kept.append(trade)
        closed_at.append(as_datetime64(trade.closed_at))
    x = np.array([[trade.features[name] for name in FEATURES] for trade in kept], dtype=np.float64)
    own = Samples(
        FEATURES,
        x.reshape(len(kept), len(FEATURES)),
        None,
        np.array([float(trade.realised_usd / trade.cost_usd) for trade in kept], dtype=np.float64),
        np.array([as_datetime64(trade.opened_at) for trade in kept], dtype="datetime64[us]"),
        np.array(closed_at, dtype="datetime64[us]"),
        tuple(trade.symbol for trade in kept),
        tuple(trade.strategy for trade in kept),
        tuple(trade.exit_reason.partition(":")[0] or "unknown" for trade in kept),
        TRADED,
    )
    return own, tuple(refused)


def without_those_of(learned: Samples, own: Samples) -> Samples:
    """The samples of ideas that no trade of ours was made of on the same day: what really happened counts instead."""
    traded = set(_ideas(own))
    return learned.rows(np.array([idea not in traded for idea in _ideas(learned)], dtype=np.bool_))


def _ideas(samples: Samples) -> list[tuple[str, str, str]]:
    days = samples.opened_at.astype("datetime64[D]").astype(str).tolist()
    return list(zip(samples.symbols, samples.strategies, days, strict=True))


def merged(parts: Sequence[Samples], source: str) -> Samples:
    """All samples of the parts in the order of their openings; `BadFacts` where their features differ."""
    if not parts or any(part.names != parts[0].names for part in parts):
        raise BadFacts(f"samples with the features {[part.names for part in parts]} cannot be put together")
    whole = [part.sequences for part in parts if part.sequences is not None]
    joined = Samples(
        parts[0].names,
        np.concatenate([part.x for part in parts]),
        np.concatenate(whole) if len(whole) == len(parts) else None,
        np.concatenate([part.net_return for part in parts]),
        np.concatenate([part.opened_at for part in parts]),
        np.concatenate([part.closed_at for part in parts]),
        tuple(name for part in parts for name in part.symbols),
        tuple(name for part in parts for name in part.strategies),
        tuple(name for part in parts for name in part.outcomes),
        source,
    )
    return joined.rows(np.lexsort((np.array(joined.strategies), np.array(joined.symbols), joined.opened_at)))
