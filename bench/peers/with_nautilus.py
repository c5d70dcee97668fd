"""The job in nautilus_trader: on bars alone its exchange fills a market order at once, at the close of the signal."""

from decimal import Decimal
from typing import Any

import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.config import LoggingConfig, StrategyConfig
from nautilus_trader.indicators import SimpleMovingAverage
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import Equity
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.trading.strategy import Strategy

from bench.peers.job import FAST, SLOW, Job, Outcome, work

VENUE = Venue("XNAS")


class CrossoverConfig(StrategyConfig, frozen=True):
    bar_types: tuple[BarType, ...]
    entry_usd: float


class Crossover(Strategy):
    def __init__(self, config: CrossoverConfig) -> None:
        super().__init__(config)
        self.means = {each: (SimpleMovingAverage(FAST), SimpleMovingAverage(SLOW)) for each in config.bar_types}
        self.before = dict.fromkeys(config.bar_types, 0.0)
        self.held = dict.fromkeys(config.bar_types, 0)
        self.names = {each.instrument_id: each for each in config.bar_types}
        self.fills: list[tuple[str, int, float, float]] = []

    def on_start(self) -> None:
        for bar_type, means in self.means.items():
            for mean in means:
                self.register_indicator_for_bars(bar_type, mean)
            self.subscribe_bars(bar_type)

    def on_bar(self, bar: Any) -> None:
        fast, slow = self.means[bar.bar_type]
        if not slow.initialized:
            return
        apart = fast.value - slow.value
        before, self.before[bar.bar_type] = self.before[bar.bar_type], apart or self.before[bar.bar_type]
        held = self.held[bar.bar_type]
        if apart < 0 < before and held:
            self.order(bar.bar_type.instrument_id, OrderSide.SELL, held)
        elif before < 0 < apart and not held:
            units = int(self.config.entry_usd // float(bar.close))
            if units:
                self.order(bar.bar_type.instrument_id, OrderSide.BUY, units)

    def order(self, instrument_id: Any, side: Any, units: int) -> None:
        self.submit_order(self.order_factory.market(instrument_id, side, Quantity.from_int(units)))

    def on_order_filled(self, event: Any) -> None:
        units = float(event.last_qty) if event.order_side == OrderSide.BUY else -float(event.last_qty)
        self.held[self.names[event.instrument_id]] += int(units)
        self.fills.append((event.instrument_id.symbol.value, event.ts_event, units, float(event.last_px)))


def prepared(job: Job) -> Any:
    """An engine that holds the instruments and their bars."""
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        venue=VENUE,
        oms_type=OmsType.NETTING,
        account_type=AccountType.CASH,
        base_currency=USD,
        starting_balances=[Money(job.cash_usd, USD)],
    )
    step = "1-DAY" if job.is_daily else "1-MINUTE"
    bar_types = []
    for row, name in enumerate(job.names):
        instrument = _instrument(name, job.fee_frac)
        engine.add_instrument(instrument)
        bar_type = BarType.from_str(f"{instrument.id}-{step}-LAST-EXTERNAL")
        columns = {each: getattr(job, each)[row] for each in ("open", "high", "low", "close", "volume")}
        frame = pd.DataFrame(columns, pd.DatetimeIndex(job.times, tz="UTC", name="timestamp"))
        engine.add_data(BarDataWrangler(bar_type, instrument).process(frame), sort=False)
        bar_types.append(bar_type)
    engine.sort_data()
    strategy = Crossover(CrossoverConfig(bar_types=tuple(bar_types), entry_usd=job.entry_usd))
    engine.add_strategy(strategy)
    return engine, strategy


def trade(job: Job, ready: Any) -> Outcome:
    engine, strategy = ready
    engine.run()
    first, step = (int(each.astype("datetime64[ns]").astype(int)) for each in (job.times[0], job.times[1]))
    step -= first
    fills = [(int(name[1:]), (at - first) // step, units, price) for name, at, units, price in strategy.fills]
    held = dict.fromkeys(range(len(job.close)), 0.0)
    for row, _, units, _ in fills:
        held[row] += units
    cash = engine.cache.account_for_venue(VENUE).balance_total(USD).as_double()
    return Outcome(fills, cash + sum(units * job.close[row, -1] for row, units in held.items()))


def _instrument(name: str, fee_frac: float) -> Any:
    return Equity(
        instrument_id=InstrumentId(Symbol(name), VENUE),
        raw_symbol=Symbol(name),
        currency=USD,
        price_precision=6,
        price_increment=Price.from_str("0.000001"),
        lot_size=Quantity.from_int(1),
        maker_fee=Decimal(str(fee_frac)),
        taker_fee=Decimal(str(fee_frac)),
        ts_event=0,
        ts_init=0,
    )


if __name__ == "__main__":
    work("nautilus_trader", prepared, trade)
