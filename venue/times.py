"""When an order may be sent to an auction, and when an order that does not fill ends."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from venue.calendar import NEW_YORK
from venue.orders import TimeInForce
from venue.recording import Recording
from venue.rules import OrderRequest, forbidden
from venue.series import US_EQUITY
from venue.wire import from_us, to_us

# https://docs.alpaca.markets/docs/orders-at-alpaca, "Time in Force" and "Aged order policy"
_QUEUE_OPENS = time(19, 0)
_OPENING_CUTOFF = timedelta(minutes=2)
_CLOSING_CUTOFF = timedelta(minutes=10)
_GTC_DAYS = timedelta(days=90)
_GTC_ENDS = time(16, 15)


def check_auction(request: OrderRequest, recording: Recording, now: datetime) -> None:
    """Refuses an opg or cls order from shortly before its auction until 19:00 in New York."""
    local = now.astimezone(NEW_YORK)
    if request.time_in_force not in (TimeInForce.OPG, TimeInForce.CLS) or local.time() >= _QUEUE_OPENS:
        return
    sessions = recording.sessions
    index = sessions.index_of(local.date())
    opens, closes = time(9, 30), time(16, 0)
    if index is not None:
        opens, closes = (_wall_time(edge[index]) for edge in (sessions.opens_us, sessions.closes_us))
    if request.time_in_force is TimeInForce.OPG:
        cutoff = (datetime.combine(local.date(), opens) - _OPENING_CUTOFF).time()
    else:
        cutoff = (datetime.combine(local.date(), closes) - _CLOSING_CUTOFF).time()
    if local.time() >= cutoff:
        raise forbidden(
            f"{request.time_in_force} orders must be submitted after 7:00pm and before {cutoff:%H:%M}, "
            f"not at {local:%H:%M} New York time"
        )


def expires_at(request: OrderRequest, recording: Recording, now: datetime) -> datetime | None:
    """The end of an order: its session's close, 90 days for GTC; None for crypto's IOC."""
    if request.time_in_force is TimeInForce.GTC:
        last_day = now.astimezone(NEW_YORK).date() + _GTC_DAYS
        return from_us(to_us(datetime.combine(last_day, _GTC_ENDS, NEW_YORK)))
    if request.asset_class != US_EQUITY or request.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
        return None
    return from_us(recording.sessions.next_close_us(to_us(now)))


def _wall_time(at_us: int) -> time:
    return from_us(int(at_us)).astimezone(NEW_YORK).time()
