"""The job in backtrader: market orders, filled at the next open, sales first; cash is checked when an order fills."""

from datetime import datetime
from typing import Any

import backtrader

from bench.peers.job import FAST, SLOW, Job, Outcome, work


class Arrays(backtrader.feed.DataBase):
    """A feed over arrays, as backtrader's own feed of data frames but without pandas."""

    params = (("job", None), ("row", 0))

    def start(self) -> None:
        super().start()
        job, row = self.p.job, self.p.row
        times = [backtrader.date2num(at) for at in job.times.astype("datetime64[s]").astype(datetime)]
        columns = (each[row].tolist() for each in (job.open, job.high, job.low, job.close, job.volume))
        self._rows = zip(times, *columns, strict=True)

    def _load(self) -> bool:
        found = next(self._rows, None)
        if found is None:
            return False
        lines = self.lines
        lines.datetime[0], lines.open[0], lines.high[0], lines.low[0], lines.close[0], lines.volume[0] = found
        lines.openinterest[0] = 0
        return True


class Crossover(backtrader.Strategy):
    params = (("entry_usd", 0.0),)

    def __init__(self) -> None:
        means = backtrader.indicators.SimpleMovingAverage
        self.crossings = [
            backtrader.indicators.CrossOver(means(data, period=FAST), means(data, period=SLOW)) for data in self.datas
        ]
        self.fills: list[tuple[int, int, float, float]] = []

    def next(self) -> None:
        for data, crossing in zip(self.datas, self.crossings, strict=True):
            if crossing[0] < 0 and self.getposition(data).size:
                self.close(data)
        for data, crossing in zip(self.datas, self.crossings, strict=True):
            if crossing[0] > 0 and not self.getposition(data).size:
                units = self.p.entry_usd // data.close[0]
                if units:
                    self.buy(data, size=units)

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed:
            done = order.executed
            self.fills.append((order.data.p.row, len(order.data) - 1, done.size, done.price))


def prepared(job: Job) -> Any:
    cerebro = backtrader.Cerebro(stdstats=False)
    for row in range(len(job.close)):
        timeframe = backtrader.TimeFrame.Days if job.is_daily else backtrader.TimeFrame.Minutes
        cerebro.adddata(Arrays(job=job, row=row, timeframe=timeframe))
    cerebro.addstrategy(Crossover, entry_usd=job.entry_usd)
    cerebro.broker.setcash(job.cash_usd)
    cerebro.broker.setcommission(commission=job.fee_frac)
    cerebro.broker.set_checksubmit(False)
    return cerebro


def trade(_job: Job, cerebro: Any) -> Outcome:
    (strategy,) = cerebro.run()
    return Outcome(strategy.fills, cerebro.broker.getvalue())


if __name__ == "__main__":
    work("backtrader", prepared, trade)
