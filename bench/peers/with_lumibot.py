"""The job in lumibot: a day's market order fills at the open of the bar whose close was decided on, a minute's at the
next open."""

import os
from typing import Any

os.environ.update(IS_BACKTESTING="True", BACKTESTING_QUIET_LOGS="true", LUMIBOT_DISABLE_DOTENV="1")

import pandas as pd
from lumibot.backtesting import PandasDataBacktesting
from lumibot.entities import Asset, Data, TradingFee
from lumibot.strategies import Strategy
from pandas_market_calendars import get_calendar

from bench.peers.job import FAST, SLOW, Job, Outcome, work

FILLS: list[Any] = []


class Crossover(Strategy):
    def initialize(self) -> None:
        self.sleeptime = "1D" if self.parameters["step"] == "day" else "1M"
        self.set_market("NYSE" if self.parameters["step"] == "day" else "24/7")

    def on_trading_iteration(self) -> None:
        for asset in self.parameters["assets"]:
            bars = self.get_historical_prices(asset, SLOW + 1, self.parameters["step"])
            # what the last bar decides has no next bar anywhere else
            if bars is None or len(bars.df) < SLOW + 1 or bars.df.index[-1] >= self.parameters["last"]:
                continue
            closes = bars.df["close"].to_numpy()
            now = closes[-FAST:].mean() - closes[-SLOW:].mean()
            before = closes[-FAST - 1 : -1].mean() - closes[-SLOW - 1 : -1].mean()
            position = self.get_position(asset)
            if now < 0 < before and position is not None:
                self.submit_order(self.create_order(asset, position.quantity, "sell"))
            elif before < 0 < now and position is None:
                units = int(self.parameters["entry_usd"] // closes[-1])
                if units:
                    self.submit_order(self.create_order(asset, units, "buy"))

    def on_filled_order(self, position: Any, order: Any, price: float, quantity: float, multiplier: float) -> None:
        FILLS.append(
            (order.asset.symbol, self.get_datetime(), float(quantity) * (1 if order.side == "buy" else -1), price)
        )


def prepared(job: Job) -> Any:
    if job.is_daily:
        sessions = get_calendar("NYSE").schedule("2000-01-01", "2010-01-01").index[: len(job.times)]
        index = sessions.tz_localize("America/New_York")
    else:
        index = pd.DatetimeIndex(job.times, tz="UTC").tz_convert("America/New_York")
    step = "day" if job.is_daily else "minute"
    assets = [Asset(name, Asset.AssetType.STOCK) for name in job.names]
    data = {}
    for row, asset in enumerate(assets):
        columns = {each: getattr(job, each)[row] for each in ("open", "high", "low", "close", "volume")}
        data[asset] = Data(asset, pd.DataFrame(columns, index), timestep=step)
    return assets, data, index, step


def trade(job: Job, ready: Any) -> Outcome:
    assets, data, index, step = ready
    FILLS.clear()
    fee = TradingFee(percent_fee=job.fee_frac)
    _, strategy = Crossover.run_backtest(
        PandasDataBacktesting,
        index[0].to_pydatetime(),
        index[-1].to_pydatetime(),
        pandas_data=data,
        budget=job.cash_usd,
        benchmark_asset=None,
        risk_free_rate=0.0,
        analyze_backtest=False,
        show_plot=False,
        save_tearsheet=False,
        show_tearsheet=False,
        show_indicators=False,
        save_stats_file=False,
        show_progress_bar=False,
        quiet_logs=True,
        buy_trading_fees=[fee],
        sell_trading_fees=[fee],
        parameters={"assets": assets, "last": index[-1], "entry_usd": job.entry_usd, "step": step},
    )
    # a day is told as the bar that was decided on, at whose open lumibot fills; a minute as the one it fills in
    bars = {at.timestamp(): bar - job.is_daily for bar, at in enumerate(index)}
    fills = [(int(name[1:]), bars[at.timestamp()], units, float(price)) for name, at, units, price in FILLS]
    return Outcome(fills, float(strategy.portfolio_value))


if __name__ == "__main__":
    work("lumibot", prepared, trade)
