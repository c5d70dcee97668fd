"""The job in `core.backtest.columns`, filled as the command line's last word says."""

import sys

from bench.peers.job import FAST, SLOW, Job, Outcome, work
from core.backtest.columns import FillAt, Screened, Sizing, crossings, moving_average, screen


def screened(job: Job, fill_at: FillAt) -> Screened:
    entries, exits = crossings(moving_average(job.close, FAST), moving_average(job.close, SLOW))
    return screen(
        job.open,
        job.close,
        entries,
        exits,
        cash_usd=job.cash_usd,
        sizing=Sizing(entry_usd=job.entry_usd),
        fee_frac=job.fee_frac,
        fill_at=fill_at,
    )


def outcome(found: Screened) -> Outcome:
    fills = zip(found.row.tolist(), found.bar.tolist(), found.units.tolist(), found.price.tolist(), strict=True)
    return Outcome(list(fills), float(found.equity_usd[-1]))


if __name__ == "__main__":
    filled = FillAt(sys.argv[4])
    work("cronfolio", lambda _job: None, lambda job, _: outcome(screened(job, filled)))
