"""The job in vectorbt: signals of one bar traded at the next bar's open, in one group that shares the cash."""

from typing import Any

import numpy as np
import pandas as pd
import vectorbt

from bench.peers.job import FAST, SLOW, Job, Outcome, work


def prepared(job: Job) -> Any:
    index = pd.DatetimeIndex(job.times)
    return pd.DataFrame(job.open.T, index, job.names), pd.DataFrame(job.close.T, index, job.names)


def trade(job: Job, frames: Any) -> Outcome:
    opens, closes = frames
    fast, slow = vectorbt.MA.run(closes, FAST, short_name="fast"), vectorbt.MA.run(closes, SLOW, short_name="slow")
    entries, exits = fast.ma_crossed_above(slow), fast.ma_crossed_below(slow)
    portfolio = vectorbt.Portfolio.from_signals(
        closes,
        entries.vbt.fshift(1, fill_value=False).to_numpy(),
        exits.vbt.fshift(1, fill_value=False).to_numpy(),
        size=np.floor(job.entry_usd / closes.vbt.fshift(1).to_numpy()),
        price=opens,
        fees=job.fee_frac,
        init_cash=job.cash_usd,
        cash_sharing=True,
        allow_partial=False,
        freq="1D",
    )
    orders = portfolio.orders.values
    units = np.where(orders["side"] == 0, orders["size"], -orders["size"])
    fills = zip(orders["col"].tolist(), orders["idx"].tolist(), units.tolist(), orders["price"].tolist(), strict=True)
    return Outcome(list(fills), float(portfolio.value().iloc[-1]))


if __name__ == "__main__":
    work("vectorbt", prepared, trade)
