"""Breakers that change the trading mode. They only ever reduce; a person resets what does not lapse by itself."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from core.model.judgement import Mode, ModeState
from core.model.limits import SafetyLimits


def tripped(
    current: ModeState,
    *,
    daily_change_frac: Decimal | None,
    drawdown_frac: Decimal,
    as_of: datetime,
    day_ends_at: datetime,
    limits: SafetyLimits,
) -> ModeState | None:
    """The mode to set now, or None. 5 % down in a day or 15 % below the peak: REDUCING until a person resets it.
    2 % down in a day: REDUCING until the day ends. A mode that is already as strict stays as it is.
    """
    if current.mode is Mode.HALTED or (current.mode is Mode.REDUCING and current.until is None):
        return None
    if drawdown_frac >= limits.peak_drawdown_halt_frac:
        reason = f"drawdown {drawdown_frac:.1%} from the peak; a person must reset"
        return ModeState(Mode.REDUCING, reason, "breaker:peak_drawdown", as_of, None)
    if limits.ignore_daily_loss or daily_change_frac is None:
        return None
    loss = -daily_change_frac
    if loss >= limits.daily_loss_halt_frac:
        reason = f"down {loss:.2%} since the last close; a person must reset"
        return ModeState(Mode.REDUCING, reason, "breaker:daily_loss_halt", as_of, None)
    if loss >= limits.daily_loss_reducing_frac and current.mode is Mode.ACTIVE:
        reason = f"down {loss:.2%} since the last close"
        return ModeState(Mode.REDUCING, reason, "breaker:daily_loss", as_of, day_ends_at)
    return None
