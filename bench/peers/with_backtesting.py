"""The job in backtesting.py, which trades one symbol: each has an account of its own with all the cash."""

from typing import Any

import pandas as pd
from backtesting import Backtest, Strategy
from backtesting.lib import crossover

from bench.peers.job import FAST, SLOW, Job, Outcome, work


def mean(values: Any, n_bars: int) -> Any:
    return pd.Series(values).rolling(n_bars).mean()


class Crossover(Strategy):
    entry_usd = 0.0

    def init(self) -> None:
        self.fast = self.I(mean, self.data.Close, FAST)
        self.slow = self.I(mean, self.data.Close, SLOW)

    def next(self) -> None:
        if self.position:
            if crossover(self.slow, self.fast):
                self.position.close()
        elif crossover(self.fast, self.slow):
            units = self.entry_usd // self.data.Close[-1]
            if units:
                self.buy(size=int(units))


def prepared(job: Job) -> Any:
    index = pd.DatetimeIndex(job.times)
    names = ("Open", "High", "Low", "Close", "Volume")
    tables = (job.open, job.high, job.low, job.close, job.volume)
    return [
        pd.DataFrame({name: table[row] for name, table in zip(names, tables, strict=True)}, index)
        for row in range(len(job.close))
    ]


def trade(job: Job, frames: Any) -> Outcome:
    fills: list[tuple[int, int, float, float]] = []
    final_usd = job.cash_usd
    for row, frame in enumerate(frames):
        run = Backtest(frame, Crossover, cash=job.cash_usd, commission=job.fee_frac, finalize_trades=False)
        stats = run.run(entry_usd=job.entry_usd)
        final_usd += float(stats["Equity Final [$]"]) - job.cash_usd
        done = stats["_trades"]
        fills += zip([row] * len(done), done["EntryBar"], done["Size"], done["EntryPrice"], strict=True)
        fills += zip([row] * len(done), done["ExitBar"], -done["Size"], done["ExitPrice"], strict=True)
        fills += [(row, open_.entry_bar, open_.size, open_.entry_price) for open_ in stats["_strategy"].trades]
    return Outcome(fills, final_usd)


if __name__ == "__main__":
    work("backtesting", prepared, trade)
