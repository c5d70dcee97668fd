"""How much of the account each asset class may hold; together never more than all of it."""

from __future__ import annotations

from decimal import Decimal

from core.model.judgement import Snapshot
from core.model.limits import RiskLimits
from core.model.market import AssetClass
from core.model.trades import TrackRecord

MIN_CLOSED_TRADES = 30
MONTH_LOSS_EMERGENCY_FRAC = Decimal("-0.05")

EMERGENCY_FRAC = Decimal("0.20")
LEARNING_FRAC = Decimal("0.25")
STABLE_FRAC = Decimal("0.40")
PROFITABLE_FRAC = Decimal("0.60")


def class_share(snapshot: Snapshot, asset_class: AssetClass) -> tuple[Decimal, str]:
    """The largest share of equity this class may hold now, and why."""
    month_start_usd = snapshot.books.marks.month_start_usd
    month_change_frac = None if month_start_usd <= 0 else snapshot.account.equity_usd / month_start_usd - 1
    return class_shares(snapshot.books.record, month_change_frac, snapshot.limits.risk)[asset_class]


def class_shares(
    record: TrackRecord, month_change_frac: Decimal | None, limits: RiskLimits
) -> dict[AssetClass, tuple[Decimal, str]]:
    """Each class's share and its reason; the shares never sum above one.

    Crypto has the share that the record has earned, and in a bad month the emergency's. Stocks and options have their
    own caps, shrunk alike to what the record leaves; what crypto loses in a bad month is not given to them.
    """
    earned, shown = _earned_frac(record)
    crypto = earned, shown
    if month_change_frac is None:
        crypto = EMERGENCY_FRAC, "the equity at the month's start is not known"
    elif month_change_frac < MONTH_LOSS_EMERGENCY_FRAC:
        crypto = EMERGENCY_FRAC, f"the month is down {-month_change_frac:.1%}"
    caps = limits.max_stock_frac, limits.max_option_frac
    factor = min(Decimal(1), (1 - earned) / sum(caps))
    reason = "its own cap" if factor == 1 else f"its own cap times {factor:.2f}, as crypto may hold {earned:.0%}"
    return {
        AssetClass.CRYPTO: crypto,
        AssetClass.STOCK: (limits.max_stock_frac * factor, reason),
        AssetClass.OPTION: (limits.max_option_frac * factor, reason),
    }


def _earned_frac(record: TrackRecord) -> tuple[Decimal, str]:
    """By the win rate of all closed trades: fewer than 30 or below 45 %, a quarter; up to 60 %, 40 %; above, 60 %."""
    if record.closed_trades < MIN_CLOSED_TRADES:
        reason = f"{record.closed_trades} closed trades, {MIN_CLOSED_TRADES} are needed to trust a win rate"
        return LEARNING_FRAC, reason
    win_rate = Decimal(record.winning_trades) / record.closed_trades
    shown = f"win rate {win_rate:.0%} of {record.closed_trades}"
    if win_rate < Decimal("0.45"):
        return LEARNING_FRAC, shown
    return (STABLE_FRAC if win_rate <= Decimal("0.60") else PROFITABLE_FRAC), shown
