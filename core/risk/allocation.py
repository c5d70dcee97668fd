"""How much of the account one asset class may hold."""

from __future__ import annotations

from decimal import Decimal

from core.model.trades import TrackRecord

MIN_CLOSED_TRADES = 30
MONTH_LOSS_EMERGENCY_FRAC = Decimal("-0.05")

EMERGENCY_FRAC = Decimal("0.20")
LEARNING_FRAC = Decimal("0.25")
STABLE_FRAC = Decimal("0.40")
PROFITABLE_FRAC = Decimal("0.60")


def crypto_share_frac(record: TrackRecord, month_change_frac: Decimal) -> tuple[Decimal, str]:
    """The largest share of equity in crypto, and why; the first rule that matches, from safest to boldest.

    A month down more than 5 %: 20 %. Fewer than 30 closed trades or a win rate under 45 %: 25 %. Up to 60 %: 40 %.
    Above: 60 %. A worse month or a worse record never gives a larger share.
    """
    if month_change_frac < MONTH_LOSS_EMERGENCY_FRAC:
        return EMERGENCY_FRAC, f"the month is down {-month_change_frac:.1%}"
    if record.closed_trades < MIN_CLOSED_TRADES:
        return (
            LEARNING_FRAC,
            f"{record.closed_trades} closed trades, {MIN_CLOSED_TRADES} are needed to trust a win rate",
        )
    win_rate = Decimal(record.winning_trades) / record.closed_trades
    shown = f"win rate {win_rate:.0%} of {record.closed_trades}"
    if win_rate < Decimal("0.45"):
        return LEARNING_FRAC, shown
    if win_rate <= Decimal("0.60"):
        return STABLE_FRAC, shown
    return PROFITABLE_FRAC, shown
