"""A week of an account in plain fields and sentences, as its report stores them. Pure; what is null has its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from core.model.orders import Account, Position
from core.model.trades import ZERO, Books, TrackRecord
from core.ports import Document
from core.reporting.cycles import alarm_figures, exposure_figures, mode_changes, refusal_figures
from core.reporting.history import CycleFacts
from core.reporting.round_trips import RoundTrip, TradeFigures, grouped, round_trips, trade_figures
from core.reporting.statistics import max_drawdown, wilson_interval
from core.reporting.week_fills import sided_fills, told_of_activities
from core.schedules import NEW_YORK
from core.units import CENT, cents, dollars, text

Missing = dict[str, str]
"""Why a field is null, by its name."""

DEPOSITS = "Deposits and withdrawals are not told apart from profit and loss."
SMALLEST_UNIT = Decimal("1e-9")


@dataclass(frozen=True, slots=True)
class Week:
    """The time after `since` up to `until`. `cycles`: oldest first, with the last one before the week if there is one;
    `closed`: the trades whose last part closed in the week."""

    name: str
    since: datetime
    until: datetime
    cycles: tuple[CycleFacts, ...]
    closed: tuple[RoundTrip, ...]

    @property
    def best_and_worst(self) -> tuple[RoundTrip, ...]:
        ranked = sorted(self.closed, key=lambda trip: trip.realised_usd)
        return (ranked[-1], ranked[0]) if ranked else ()


def bill_part_usd(usd_per_month: Decimal, length: timedelta) -> Decimal:
    """What a monthly bill comes to in so long a time, to the cent; a month is a twelfth of 365 days."""
    return cents(usd_per_month * 12 * (length // timedelta(seconds=1)) / (365 * 86_400))


def infrastructure_figures(usd_per_month: Decimal | None, length: timedelta, missing: Missing) -> dict[str, Any]:
    """The part of what the owner says that the cloud costs in a month."""
    if usd_per_month is not None:
        return {"infrastructure_cost_usd": dollars(bill_part_usd(usd_per_month, length))}
    missing["infrastructure_cost_usd"] = (
        "a running system does not see its bill; set INFRASTRUCTURE_USD_PER_MONTH to the last one, or to what "
        "`make cost` estimates"
    )
    return {"infrastructure_cost_usd": None}


def week_figures(week: Week, entry_reasons: Mapping[str, str], missing: Missing) -> dict[str, Any]:
    """The week from its cycles and closed trades. `entry_reasons`: by client order id."""
    if not week.closed:
        missing |= dict.fromkeys(("win_rate_pct", "best_trade", "worst_trade"), "no trade closed")
    best, worst = (_trip(each, entry_reasons) for each in week.best_and_worst) if week.closed else (None, None)
    return {
        "week": week.name,
        "period_begins_at": week.since,
        "period_ends_at": week.until,
        **_equity(week, missing),
        **_record(trade_figures(week.name, week.closed)),
        "by_module": {each.name: _record(each) for each in grouped(week.closed, lambda trip: trip.module)},
        "by_strategy": {
            each.name: _record(each) for each in grouped(week.closed, lambda trip: f"{trip.strategy} ({trip.module})")
        },
        "best_trade": best,
        "worst_trade": worst,
    }


def _equity(week: Week, missing: Missing) -> dict[str, Any]:
    """What the cycles saw. The equity at the begin is that of the last cycle before the week, else its first."""
    within = [cycle for cycle in week.cycles if cycle.as_of > week.since]
    names = ("equity_begin_usd", "equity_end_usd", "return_pct", "max_drawdown_pct", "exposure_mean_pct")
    if not within:
        reason = "no cycle with any equity finished in this week"
        missing |= dict.fromkeys((*names, "exposure_max_pct"), reason)
        nothing = dict.fromkeys((*names, "exposure_max_pct"))
        return {"cycles": 0, **nothing, "refusals": {}, "alarms": 0, "mode_changes": []}
    first, last = week.cycles[0], within[-1]
    fall = max_drawdown([(cycle.as_of.date(), cycle.equity_usd) for cycle in week.cycles])
    exposure, alarms = exposure_figures(within), alarm_figures(within)
    changes = mode_changes(week.cycles)
    return {
        "cycles": len(within),
        "equity_begin_usd": dollars(first.equity_usd),
        "equity_begin_at": first.as_of,
        "equity_end_usd": dollars(last.equity_usd),
        "equity_end_at": last.as_of,
        "return_pct": _pct(last.equity_usd / first.equity_usd - 1),
        "max_drawdown_pct": _pct(fall.frac if fall else ZERO),
        "exposure_mean_pct": _pct(exposure.mean_frac),
        "exposure_max_pct": _pct(exposure.max_frac),
        "refusals": {
            rule.rule: rule.count
            for rule in refusal_figures((each.as_of, one) for each in within for one in each.refusals)
        },
        "alarms": alarms.alarms if alarms else 0,
        "first_alarm": alarms.first if alarms else "",
        "mode_changes": changes if first.mode_at > week.since else changes[1:],
    }


def _record(closed: TradeFigures | TrackRecord) -> dict[str, Any]:
    """Closed trades in figures; the win rate with its 95 % score interval, null without a trade."""
    if isinstance(closed, TradeFigures):
        n, wins = closed.trades, closed.wins
    else:
        n, wins = closed.closed_trades, closed.winning_trades
    low, high = wilson_interval(wins, n) if n else (None, None)
    return {
        "closed_trades": n,
        "winning_trades": wins,
        "win_rate_pct": _pct(wins / n) if n else None,
        "win_rate_low_pct": None if low is None else _pct(low),
        "win_rate_high_pct": None if high is None else _pct(high),
        "net_profit_usd": dollars(closed.realised_usd),
        "fees_usd": dollars(closed.fees_usd),
    }


def _trip(trip: RoundTrip, entry_reasons: Mapping[str, str]) -> dict[str, Any]:
    return {
        "trade_id": trip.trade_id,
        "symbol": trip.symbol,
        "strategy": trip.strategy,
        "opened_at": trip.opened_at,
        "closed_at": trip.closed_at,
        "net_profit_usd": dollars(trip.realised_usd),
        "entry_reason": entry_reasons.get(entry_order(trip), "not an order of ours"),
        "exit_reason": trip.exit_reason,
        "fills": [
            {
                "at": fill.at,
                "side": side,
                "quantity": fill.quantity,
                "symbol": part.symbol,
                "price": fill.price,
                "fee_usd": dollars(fill.fee_value_usd),
            }
            for part in trip.parts
            for side, fill in sided_fills(part)
        ],
    }


def entry_order(trip: RoundTrip) -> str:
    """The client order id of the trade's first entry."""
    return trip.parts[0].entries[0].client_order_id


def lifetime(
    books: Books | None, days: Sequence[Document], equity_usd: Decimal, missing: Missing
) -> dict[str, Any] | None:
    """The account since its books began: its record, and the equity of each day up to now; None without books."""
    if books is None:
        missing["since_the_beginning"] = "no cycle has run yet"
        return None
    ended = trade_figures("since", [trip for trip in round_trips(books.trades) if not trip.is_open])
    record = TrackRecord(
        books.record.closed_trades + ended.trades,
        books.record.winning_trades + ended.wins,
        books.record.realised_usd + ended.realised_usd,
        books.record.fees_usd + ended.fees_usd,
    )
    known = [(day.data["at"].date(), Decimal(day.data["equity_usd"])) for day in reversed(days)]
    values = [(on, usd) for on, usd in known if usd > 0]
    fall = max_drawdown(values)
    if not values:
        missing["since_the_beginning.return_pct"] = "no day's equity is on record"
    return {
        "begins_on": values[0][0] if values else None,
        "equity_begin_usd": dollars(values[0][1]) if values else None,
        "equity_now_usd": dollars(equity_usd),
        "return_pct": _pct(equity_usd / values[0][1] - 1) if values else None,
        "max_drawdown_pct": _pct(fall.frac if fall else ZERO) if values else None,
        **_record(record),
    }


def agreement(books: Books | None, account: Account, positions: Sequence[Position], missing: Missing) -> dict[str, Any]:
    """What the broker holds now less what the books explain: cash to the cent, quantities to a billionth."""
    if books is None:
        missing["books_agree_with_broker"] = "no cycle has run yet"
        return {"books_agree_with_broker": None, "cash_difference_usd": None, "position_differences": {}}
    apart = {position.symbol: position.quantity for position in positions}
    for trade in books.open_trades:
        apart[trade.symbol] = apart.get(trade.symbol, ZERO) - trade.position_quantity
    differences = {symbol: text(apart[symbol]) for symbol in sorted(apart) if abs(apart[symbol]) >= SMALLEST_UNIT}
    # Of a difference below half a cent no sign is left.
    cash_usd = cents(account.cash_usd - books.cash_usd) + ZERO
    return {
        "books_agree_with_broker": not differences and abs(cash_usd) < CENT,
        "cash_difference_usd": dollars(cash_usd),
        "position_differences": differences,
        "orders_not_settled": len(books.unsettled),
    }


def summary(told: Mapping[str, Any]) -> str:
    """The report in sentences."""
    ends = told["period_ends_at"].astimezone(ZoneInfo(NEW_YORK))
    parts = [f"The week to {ends:%A %Y-%m-%d %H:%M} in New York."]
    if told["cycles"]:
        parts.append(
            f"Equity: {told['equity_begin_usd']} to {told['equity_end_usd']} dollars ({told['return_pct']} %), "
            f"at most {told['max_drawdown_pct']} % below a high, {told['exposure_mean_pct']} % invested on average."
        )
    else:
        parts.append("No cycle finished.")
    if told["closed_trades"]:
        parts.append(
            f"Trades closed: {told['closed_trades']}, with a profit: {told['winning_trades']}; they came to "
            f"{told['net_profit_usd']} dollars after {told['fees_usd']} of fees."
        )
    else:
        parts.append("No trade closed.")
    if told["books_agree_with_broker"] is None:
        parts.append("There are no books to compare with the broker.")
    elif told["books_agree_with_broker"]:
        parts.append("Books and broker agree to the cent.")
    else:
        held = (
            ", ".join(f"{symbol} by {apart}" for symbol, apart in told["position_differences"].items()) or "no position"
        )
        parts.append(
            f"The broker differs from the books: cash by {told['cash_difference_usd']} dollars, {held}; orders that no "
            f"cycle has settled yet: {told['orders_not_settled']}."
        )
    parts.append(told_of_activities(told["broker_activities"]))
    cost_usd = told["intelligence_cost_usd"]
    parts.append("Market intelligence did not run." if cost_usd is None else f"Opinions cost {cost_usd} dollars.")
    if (bill_usd := told["infrastructure_cost_usd"]) is not None:
        parts.append(f"The cloud cost {bill_usd} dollars, by the month's bill that was set.")
    parts.append(f"The mode is {told['mode']}; changes of it: {len(told['mode_changes'])}, alarms: {told['alarms']}.")
    return " ".join([*parts, DEPOSITS])


def _pct(frac: Decimal | float) -> str:
    """A fraction as a percentage with two decimals."""
    return f"{Decimal(str(frac)) * 100:z.2f}"
