"""Random accounts over all classes for property tests, and what they put to work, counted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from core.model.bars import Bars
from core.model.judgement import Opportunity, Refusal, Snapshot, SymbolView, Target
from core.model.limits import RiskLimits, SafetyLimits
from core.model.market import AssetClass, Timeframe
from core.model.orders import Leg, OrderIntent, OrderType, PositionIntent, Purpose, Side, TimeInForce
from core.model.trades import TrackRecord
from core.modules.module import Universe
from core.settings import Settings
from core.units import floor_to
from tests.builders import (
    AS_OF,
    BTC,
    COIN_STEP,
    ETH,
    LTC,
    account,
    asset,
    books,
    intent,
    limits,
    marks,
    order,
    position,
    record,
    snapshot,
    trade,
    usd,
)

COIN, SHARE, OPTION = AssetClass.CRYPTO, AssetClass.STOCK, AssetClass.OPTION
STEPS = {COIN: COIN_STEP, SHARE: usd(1), OPTION: usd(1)}
SYMBOLS = {
    COIN: (BTC, ETH, LTC),
    SHARE: ("AAPL", "NVDA", "META", "GOOG", "TQQQ", "XYZ"),
    OPTION: ("AAPL", "NVDA", "SPY"),
}
THREEFOLD = {"TQQQ": 3}
FREE = SafetyLimits(
    max_entries_per_5_minutes=99, max_entries_per_cycle=99, max_entries_per_day=99, max_position_drift_frac=usd(99)
)


def contract_of(underlying: str) -> str:
    return f"{underlying}260417C00200000"


@dataclass
class Desk:
    """A module whose ideas and exits are given, and which orders them plainly, as the real ones do."""

    asset_class: AssetClass
    ideas: tuple[Opportunity, ...] = ()
    exits: tuple[Opportunity, ...] = ()
    strategy_names: tuple[str, ...] = ()

    def universe(self, settings: Settings) -> Universe:
        return Universe((), self.asset_class, Timeframe.DAY)

    def analyze_opportunities(self, snapshot: Snapshot) -> tuple[Opportunity | Refusal, ...]:
        return self.ideas

    def monitor_positions(self, snapshot: Snapshot) -> tuple[Opportunity | Refusal, ...]:
        return self.exits

    def plan_trades(self, targets: Sequence[Target], snapshot: Snapshot) -> tuple[OrderIntent, ...]:
        return tuple(self._intent(target) for target in targets)

    def day_ends_at(self, snapshot: Snapshot) -> datetime:
        return AS_OF + timedelta(hours=12)

    def views(self, snapshot: Snapshot) -> tuple[SymbolView, ...]:
        return ()

    def _intent(self, target: Target) -> OrderIntent:
        idea = target.opportunity
        opens = idea.purpose.opens_risk
        return OrderIntent(
            client_order_id=f"{idea.counts_as}-{idea.purpose}",
            symbol=idea.symbol,
            asset_class=self.asset_class,
            side=Side.BUY if opens else Side.SELL,
            purpose=idea.purpose,
            order_type=OrderType.LIMIT if opens else OrderType.MARKET,
            time_in_force=TimeInForce.DAY,
            quantity=floor_to(target.quantity, STEPS[self.asset_class]),
            limit_price=idea.limit_price,
            reference_price=idea.reference_price,
            strategy=idea.strategy,
            reason=idea.reason,
            expires_at=None,
            legs=idea.legs,
            underlying=idea.underlying,
            unit_cost_usd=idea.unit_cost_usd,
            max_loss_usd=idea.unit_risk_usd,
        )


@dataclass
class Ledger:
    """Dollars at work by class and name, counted by hand while an account is drawn."""

    amounts: dict[tuple[AssetClass, str], Decimal] = field(default_factory=dict)
    option_risk: Decimal = Decimal(0)
    unlisted: Decimal = Decimal(0)

    def add(self, of: AssetClass, name: str, dollars: Decimal) -> None:
        dollars *= THREEFOLD.get(name, 1) if of is SHARE else 1
        self.amounts[of, name] = self.amounts.get((of, name), Decimal(0)) + dollars


def between(chance: Random, low: str | int, high: str | int) -> Decimal:
    """A number with two decimals, every one alike."""
    return usd(chance.randrange(int(usd(low) * 100), int(usd(high) * 100) + 1)) / 100


def risk_limits(chance: Random) -> RiskLimits:
    """Limits anywhere below the hard maxima, more often near them."""
    return RiskLimits(
        max_entry_frac=between(chance, "0.01", "0.15"),
        max_symbol_frac=max(between(chance, "0.02", "0.15"), between(chance, "0.02", "0.15")),
        max_sector_frac=between(chance, "0.10", "0.40"),
        max_correlated_frac=between(chance, "0.10", "0.40"),
        max_gross_frac=between(chance, "0.40", "1"),
        max_stock_frac=between(chance, "0.10", "0.50"),
        max_option_frac=between(chance, "0.05", "0.30"),
        max_option_risk_frac=between(chance, "0.01", "0.10"),
        cash_floor_frac=between(chance, "0.05", "0.30"),
        max_positions=chance.randint(4, 25),
    )


def accounts(chance: Random, known: Bars) -> tuple[Snapshot, Ledger]:
    """An account with some of everything, and the ledger of what that puts to work."""
    ledger = Ledger()
    held, trades, orders, unsettled = [], [], [], []
    for symbol in (each for each in (*SYMBOLS[COIN], *SYMBOLS[SHARE]) if chance.random() < 0.3):
        of = COIN if "/" in symbol else SHARE
        value = between(chance, 0, 12_000)
        held.append(position(symbol, str(value / 100), asset_class=of))
        ledger.add(of, symbol, value)
    for name in (name for name in SYMBOLS[OPTION] if chance.random() < 0.3):
        value, loss = between(chance, 0, 3_000), between(chance, 0, 3_000)
        held.append(position(contract_of(name), "1", asset_class=OPTION, market_value_usd=value))
        trades.append(trade(contract_of(name), "1", asset_class=OPTION, underlying=name, max_loss_usd=loss))
        ledger.add(OPTION, name, max(value, loss))
        ledger.option_risk += loss
    for number in range(chance.randint(0, 3)):
        symbol = chance.choice((*SYMBOLS[COIN], *SYMBOLS[SHARE]))
        of = COIN if "/" in symbol else SHARE
        price, whole = between(chance, 1, 200), chance.randint(1, 20)
        buy = intent(symbol, client_order_id=f"open-{number}", asset_class=of, quantity=usd(whole), limit_price=price)
        is_ours, is_listed = chance.choice([(True, True), (True, False), (False, True)])
        done = chance.randrange(whole) if is_listed else 0
        if is_ours:
            unsettled.append(record(buy))
        if is_listed:
            orders.append(order(buy, filled=str(done), submitted_at=AS_OF - timedelta(hours=3)))
        else:
            ledger.unlisted += price * whole
        ledger.add(of, symbol, price * (whole - done))
    equity = between(chance, 40_000, 300_000)
    closed = chance.randint(0, 100)
    powers = [between(chance, 0, 300_000) for _ in range(3)]
    moment = snapshot(
        bars=known,
        assets={
            symbol: asset(symbol, asset_class=of, quantity_increment=STEPS[of], min_order_quantity=STEPS[of])
            for of in (COIN, SHARE)
            for symbol in SYMBOLS[of]
        },
        account=account(
            equity_usd=equity,
            last_equity_usd=equity,
            non_marginable_buying_power_usd=powers[0],
            buying_power_usd=powers[1],
            options_buying_power_usd=powers[2],
        ),
        positions=tuple(held),
        orders=tuple(orders),
        books=books(
            trades=tuple(trades),
            unsettled=tuple(unsettled),
            record=TrackRecord(closed, chance.randint(0, closed), usd(0), usd(0)),
            marks=marks(
                peak_usd=equity * between(chance, "0.90", "1.14"),
                month_start_usd=equity * between(chance, "0.90", "1.10"),
            ),
        ),
        limits=limits(risk=risk_limits(chance), safety=FREE),
    )
    return moment, ledger


def ideas(chance: Random, of: AssetClass) -> tuple[Opportunity, ...]:
    """Entries of one class, each symbol once, the best first."""
    return tuple(idea_of(chance, of, symbol) for symbol in chance.sample(SYMBOLS[of], len(SYMBOLS[of])))


def idea_of(chance: Random, of: AssetClass, symbol: str) -> Opportunity:
    price = between(chance, 1, 300)
    plain = Opportunity(
        symbol=symbol,
        purpose=Purpose.ENTRY,
        strategy="momentum",
        confidence=0.8,
        reason="drawn",
        reference_price=price,
        limit_price=price,
        stop_price=price * between(chance, "0.50", "0.99"),
        size_factor=between(chance, 0, 2),
        daily_volume_usd=chance.choice((None, chance.uniform(0, 1e7))),
    )
    if of is not OPTION:
        return plain
    cost, risk = between(chance, 0, 1_500), between(chance, 1, 900)
    legs = (Leg(contract_of(symbol), 1, PositionIntent.BUY_TO_OPEN),)
    return replace(plain, legs=legs, underlying=symbol, unit_cost_usd=cost, unit_risk_usd=risk, stop_price=None)
