"""The job in bt, which fills at the close of the signal and lends cash without asking."""

from typing import Any

import bt
import pandas as pd

from bench.peers.job import FAST, SLOW, Job, Outcome, work


class Crossover(bt.Algo):
    """Transacts whole units where the signals say so; sales first."""

    def __init__(self, closes: Any, entry_usd: float) -> None:
        super().__init__()
        fast, slow = closes.rolling(FAST).mean(), closes.rolling(SLOW).mean()
        is_above = fast > slow
        before = is_above.shift(1, fill_value=False)
        is_ready = slow.shift(1).notna()
        self.entries, self.exits = is_above & ~before & is_ready, (fast < slow) & before & is_ready
        self.closes, self.entry_usd = closes, entry_usd

    def __call__(self, target: Any) -> bool:
        exits, entries = self.exits.loc[target.now], self.entries.loc[target.now]
        held = {name: child.position for name, child in target.children.items()}
        for name in exits.index[exits.to_numpy()]:
            if held.get(name):
                target.transact(-held[name], name)
        for name in entries.index[entries.to_numpy()]:
            units = self.entry_usd // self.closes.at[target.now, name]
            if units and not held.get(name):
                target.transact(units, name)
        return True


def prepared(job: Job) -> Any:
    return pd.DataFrame(job.close.T, pd.DatetimeIndex(job.times), job.names)


def trade(job: Job, closes: Any) -> Outcome:
    strategy = bt.Strategy("crossover", [Crossover(closes, job.entry_usd)])
    test = bt.Backtest(
        strategy,
        closes,
        initial_capital=job.cash_usd,
        commissions=lambda units, price: abs(units) * price * job.fee_frac,
        progress_bar=False,
    )
    test.run()
    rows = {name: row for row, name in enumerate(job.names)}
    bars = {at: bar for bar, at in enumerate(closes.index)}
    done = test.strategy.get_transactions()
    fills = [
        (rows[name], bars[at], float(units), float(price))
        for (at, name), units, price in zip(done.index, done["quantity"], done["price"], strict=True)
    ]
    return Outcome(fills, float(test.strategy.value))


if __name__ == "__main__":
    work("bt", prepared, trade)
