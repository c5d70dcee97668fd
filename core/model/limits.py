"""Every number that limits risk, with safe defaults; `core.settings` holds the hard bounds of what may be changed."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """How large a position may be. All caps hold at once; the tightest decides."""

    risk_per_trade_frac: Decimal = Decimal("0.01")
    max_entry_frac: Decimal = Decimal("0.05")
    max_symbol_frac: Decimal = Decimal("0.15")
    max_gross_frac: Decimal = Decimal("1.00")
    cash_floor_frac: Decimal = Decimal("0.10")
    max_daily_volume_frac: Decimal = Decimal("0.01")
    max_order_usd: Decimal = Decimal("180000")
    min_order_usd: Decimal = Decimal("10")
    max_positions: int = 25
    max_stock_frac: Decimal = Decimal("0.50")
    max_option_frac: Decimal = Decimal("0.30")
    max_option_risk_frac: Decimal = Decimal("0.10")
    max_sector_frac: Decimal = Decimal("0.40")
    max_correlated_frac: Decimal = Decimal("0.40")


@dataclass(frozen=True, slots=True)
class SafetyLimits:
    """When no new risk may be opened. None of these ever stops an exit."""

    are_entries_enabled: bool = True
    symbol_cooldown_minutes: int = 5
    max_symbol_trades_per_hour: int = 2
    max_symbol_trades_per_10_minutes: int = 3
    max_alternating_sides_per_hour: int = 4
    max_entries_per_5_minutes: int = 2
    max_entries_per_cycle: int = 1
    max_entries_per_day: int = 10
    max_rejections_per_day: int = 3
    daily_loss_reducing_frac: Decimal = Decimal("0.02")
    daily_loss_halt_frac: Decimal = Decimal("0.05")
    peak_drawdown_halt_frac: Decimal = Decimal("0.15")
    max_position_drift_frac: Decimal = Decimal("0.005")
    ignore_daily_loss: bool = False


@dataclass(frozen=True, slots=True)
class ExitRules:
    """When a position in a coin or a stock is closed. Stops are prices; the tighter of ATR stop and floor holds."""

    stop_atr_multiple: float = 2.5
    stop_floor_frac: float = 0.10
    target_frac: float = 0.20
    trail_start_frac: float = 0.08
    trail_frac: float = 0.06
    max_hold_days: float = 21.0
    min_hold_hours: float = 4.0


@dataclass(frozen=True, slots=True)
class Costs:
    """What trading costs before the spread, and how much skill we dare assume.

    `skill` is Grinold's information coefficient: expected return = skill * score * volatility over the horizon
    (Grinold 1994, "Alpha is volatility times IC times score"). It is a modest prior until realised trades say more.
    """

    taker_fee_frac: Decimal = Decimal("0.0025")
    entry_collar_frac: Decimal = Decimal("0.005")
    skill: float = 0.10
    horizon_days: float = 20.0


@dataclass(frozen=True, slots=True)
class SignalRules:
    """Long or flat with hysteresis: confidence = (1 + score) / 2 opens above `enter`, closes below `leave`."""

    enter_confidence: float = 0.65
    leave_confidence: float = 0.45
    max_quote_age_s: float = 300.0
    max_spread_frac: float = 0.02
    lookback_bars: int = 120
    min_bars: int = 60


@dataclass(frozen=True, slots=True)
class Session:
    """A part of the day in UTC with its strategies, in order of preference, and a size factor of at most one."""

    name: str
    start_hour: int
    end_hour: int
    strategies: tuple[str, ...]
    size_factor: Decimal


@dataclass(frozen=True, slots=True)
class StockRules:
    """How stocks are traded: their exits, their costs (no commission), and the minutes of a session without entries."""

    exits: ExitRules = ExitRules(stop_floor_frac=0.08, target_frac=0.15, max_hold_days=30.0, min_hold_hours=20.0)
    costs: Costs = Costs(taker_fee_frac=Decimal(0))
    no_entry_minutes: int = 15
    max_market_tier: int = 2


@dataclass(frozen=True, slots=True)
class OptionRules:
    """How options are chosen, sized and closed. Days are calendar days to expiry; spreads are of the mid price."""

    min_days: int = 21
    target_days: tuple[int, int] = (30, 45)
    min_open_interest: int = 100
    max_spread_frac: float = 0.10
    max_quote_age_s: float = 1200.0
    risk_per_trade_frac: Decimal = Decimal("0.01")
    profit_frac: float = 1.00
    loss_frac: float = 0.50
    close_days: int = 5
    max_hold_days: int = 30
    max_portfolio_delta_usd_frac: float = 0.50
    max_daily_theta_frac: float = 0.001
    underlyings_per_cycle: int = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """Everything configurable that the judgement uses; its hash is the config version on every report."""

    risk: RiskLimits
    safety: SafetyLimits
    exits: ExitRules
    costs: Costs
    signals: SignalRules
    sessions: tuple[Session, ...]
    stocks: StockRules = StockRules()
    options: OptionRules = OptionRules()
