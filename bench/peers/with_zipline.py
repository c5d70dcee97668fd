"""The job in zipline-reloaded: orders fill at the next bar's close, and cash may go below zero. Days come from memory,
minutes from zipline's own store on disk."""

from collections import deque
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy
from exchange_calendars import get_calendar
from zipline import TradingAlgorithm
from zipline.api import order, set_commission, set_slippage
from zipline.assets import AssetDBWriter, AssetFinder
from zipline.data.bcolz_minute_bars import BcolzMinuteBarReader, BcolzMinuteBarWriter
from zipline.data.data_portal import DataPortal
from zipline.data.in_memory_daily_bars import InMemoryDailyBarReader
from zipline.finance.commission import PerDollar
from zipline.finance.metrics.metric import DailyLedgerField, Transactions
from zipline.finance.slippage import NoSlippage
from zipline.finance.trading import SimulationParameters
from zipline.utils.calendar_utils import get_calendar as right_sided

from bench.peers.job import FAST, SLOW, Job, Outcome, work

COLUMNS = ("open", "high", "low", "close", "volume")
MINUTES_A_DAY = 1_440
MILLIONTH = 1_000_000


class Bars(InMemoryDailyBarReader):
    """Zipline's reader over data frames, with the look-ups that it leaves broken."""

    @property
    def last_available_dt(self) -> Any:
        return self._sessions[-1]

    def get_value(self, sid: Any, dt: Any, field: str) -> float:
        return float(self._values[field][self._sessions.get_loc(dt), int(sid)])

    def get_last_traded_dt(self, asset: Any, dt: Any) -> Any:
        return dt


def prepared(job: Job) -> Any:
    return _days(job) if job.is_daily else _minutes(job)


def _days(job: Job) -> Any:
    days = job.times.astype("datetime64[D]")
    # a day without bars before and after: zipline leaves out the first one and looks up the one after the last
    calendar = get_calendar("24/7", start=str(days[0] - 1), end=str(days[-1] + 1))
    sessions = pd.date_range(days[0] - 1, days[-1] + 1)
    rows = range(len(job.close))
    frames = {
        name: pd.DataFrame(getattr(job, name).T, sessions[1:-1], list(rows)).reindex(sessions) for name in COLUMNS
    }
    reader = Bars(frames, calendar, pd.Series("USD", list(rows)))
    finder = _finder(job, sessions)
    portal = DataPortal(finder, trading_calendar=calendar, first_trading_day=sessions[0], equity_daily_reader=reader)
    return calendar, sessions[:-1], sessions[1:-1], finder, portal


def _minutes(job: Job) -> Any:
    """Zipline's store of minutes, written to disk and opened. Its reader takes the calendar's own span, so the bars are
    laid on the calendar's first sessions; prices are kept there in millionths, which the bars have."""
    calendar = right_sided("24/7")
    n_days = -(-len(job.times) // MINUTES_A_DAY)
    sessions = calendar.sessions[1 : 1 + n_days]
    minutes = pd.date_range(calendar.session_first_minute(sessions[0]), periods=len(job.times), freq="min")
    folder = mkdtemp(dir=".")
    writer = BcolzMinuteBarWriter(folder, calendar, sessions[0], sessions[-1], MINUTES_A_DAY, MILLIONTH)
    for row in range(len(job.close)):
        frame = pd.DataFrame({name: getattr(job, name)[row] for name in COLUMNS}, minutes)
        writer.write_sid(row, frame, invalid_data_behavior="raise")
    finder = _finder(job, sessions)
    portal = DataPortal(
        finder,
        trading_calendar=calendar,
        first_trading_day=sessions[0],
        equity_minute_reader=BcolzMinuteBarReader(folder),
    )
    return calendar, sessions, minutes, finder, portal


def _finder(job: Job, sessions: Any) -> AssetFinder:
    equities = pd.DataFrame(
        {"symbol": job.names, "start_date": sessions[0], "end_date": sessions[-1], "exchange": "NYSE"},
        index=list(range(len(job.close))),
    )
    engine = sqlalchemy.create_engine("sqlite://")
    exchanges = pd.DataFrame({"exchange": ["NYSE"], "canonical_name": ["NYSE"], "country_code": ["US"]})
    AssetDBWriter(engine).write(equities=equities, exchanges=exchanges)
    return AssetFinder(engine)


def trade(job: Job, ready: Any) -> Outcome:
    calendar, sessions, bars, finder, portal = ready
    assets = finder.retrieve_all(range(len(job.close)))

    def initialize(context: Any) -> None:
        set_commission(us_equities=PerDollar(job.fee_frac))
        set_slippage(us_equities=NoSlippage())
        context.closes = deque(maxlen=SLOW + 1)

    def handle_data(context: Any, data: Any) -> None:
        # kept here, since zipline's own history rounds prices to a tenth of a cent
        if not bars[0] <= (data.current_session if job.is_daily else data.current_dt) <= bars[-1]:
            return
        context.closes.append([data.current(each, "close") for each in assets])
        if len(context.closes) <= SLOW:
            return
        closes = np.array(context.closes)
        now = closes[-FAST:].mean(axis=0) - closes[-SLOW:].mean(axis=0)
        before = closes[-FAST - 1 : -1].mean(axis=0) - closes[-SLOW - 1 : -1].mean(axis=0)
        positions = context.portfolio.positions
        for row, asset in enumerate(assets):
            if now[row] < 0 < before[row] and asset in positions:
                order(asset, -positions[asset].amount)
            elif before[row] < 0 < now[row] and asset not in positions:
                order(asset, int(job.entry_usd // closes[-1, row]))

    run = TradingAlgorithm(
        initialize=initialize,
        handle_data=handle_data,
        data_portal=portal,
        trading_calendar=calendar,
        sim_params=SimulationParameters(
            sessions[0],
            sessions[-1],
            calendar,
            capital_base=job.cash_usd,
            data_frequency="daily" if job.is_daily else "minute",
        ),
        metrics_set={Transactions(), DailyLedgerField("portfolio.portfolio_value")},
        benchmark_returns=pd.Series(0.0, sessions),
    )
    told = run.run()
    done = [each for day in told["transactions"] for each in day]
    times = pd.DatetimeIndex([each["dt"] for each in done])
    places = bars.get_indexer(times.normalize().tz_localize(None) if job.is_daily else times).tolist()
    fills = [(int(each["sid"]), bar, each["amount"], each["price"]) for bar, each in zip(places, done, strict=True)]
    return Outcome(fills, float(told["portfolio_value"].iloc[-1]))


if __name__ == "__main__":
    work("zipline-reloaded", prepared, trade)
