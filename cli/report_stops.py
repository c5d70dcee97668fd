"""What stops came to, who watched them, and the positions that nobody watched."""

from __future__ import annotations

from cli.figures.performance import Performance
from cli.figures.stops import Stops
from cli.sections import FACTS, Section, plain_words
from cli.words import count, lasting, moment, money, period, share, signed_money, signed_share
from core.reporting.round_trips import RoundTrip
from core.risk.coverage import PATIENCE

RESTING = "Whole shares have their stop at the broker, which sells when the price reaches it or opens beyond it."


def stops_section(run: Performance, watched: str = "") -> Section:
    """`watched`: who judged stops between the cycles, where anyone did."""
    stops, title = run.stops, "Stops: planned against realised"
    trades = sum(module.trades for module in stops.by_module)
    basis = f"n = {count(trades, 'exit')} by stop, {_dates(run)}, from the entry price, before fees"
    told = f"{watched} {RESTING}" if watched else _watched(run)
    notes = (*_apart(stops), *_not_counted(stops), *map(_option_stop, stops.options), told)
    if not stops.by_module:
        nothing = "No coin or share was sold at a stop that lay below its entry."
        return Section(title, basis, FACTS, (), (nothing, *notes))
    columns = (
        "module",
        "n",
        "planned move",
        "realised move",
        "planned result",
        "realised result",
        "beyond, mean",
        "beyond, worst",
    )
    rows = tuple(
        (
            module.module,
            f"{module.trades}",
            signed_share(module.planned_move_frac),
            signed_share(module.realised_move_frac),
            signed_money(module.planned_usd),
            signed_money(module.realised_usd),
            share(module.mean_beyond_frac),
            share(module.worst_beyond_frac),
        )
        for module in stops.by_module
    )
    return Section(title, basis, columns, rows, notes)


def _apart(stops: Stops) -> tuple[str, ...]:
    if not stops.by_module:
        return ()
    kind = "cost" if stops.beyond_usd > 0 else "brought"
    return (
        "Planned is a sale at the stop price, realised the sale at the exit price; beyond is how far below the stop "
        f"price that was. In all it {kind} {money(abs(stops.beyond_usd))}.",
    )


def _not_counted(stops: Stops) -> tuple[str, ...]:
    if not stops.entered_beyond:
        return ()
    names = ", ".join(f"{trade.symbol} of {trade.opened_at:%Y-%m-%d}" for trade in stops.entered_beyond)
    return (
        f"Not counted: {count(len(stops.entered_beyond), 'trade')} bought at or below its own stop after a gap, so "
        f"never with the risk that was planned ({names}).",
    )


def _option_stop(trip: RoundTrip) -> str:
    """What the plan was is in the reason; a structure has no stop price of its own."""
    told = plain_words(trip.exit_reason).partition(": ")[2]
    return (
        f"Option sold at its stop: {plain_words(trip.strategy)} on {trip.symbol}, opened {trip.opened_at:%Y-%m-%d}: "
        f"{signed_money(trip.realised_usd)}, where the cycle that judged it saw {told}."
    )


def _watched(run: Performance) -> str:
    """Who looks at a stop, and how often; nothing is known of the pace of a single cycle."""
    pace = f" ({_pace(run)})" if run.cadence else ""
    return (
        f"Stops of coins, options and fractions of shares are judged by cycles alone{pace}: what the price passed in "
        f"between is sold at the next cycle, at the price of that moment. {RESTING}"
    )


def stop_limit(run: Performance) -> tuple[str, ...]:
    if not run.cadence:
        return ()
    return (f"Stops of coins, options and fractions of shares are judged only when a cycle runs: {_pace(run)}.",)


def _pace(run: Performance) -> str:
    words = []
    for module, each in run.cadence.items():
        pause = f", at most {lasting(each.longest)} apart" if each.longest > each.usual else ""
        words.append(f"{module} every {lasting(each.usual)}{pause}")
    return "; ".join(words)


def alarms_section(run: Performance, watched: str = "") -> Section:
    """`watched`: who judged stops between the cycles. Where nobody did, and no module's cycles came within the time
    after which nobody counts as looking, such alarms tell of the schedule alone and are left out."""
    slow = [f"{module} every {lasting(each.usual)}" for module, each in run.cadence.items() if each.usual > PATIENCE]
    is_slow = bool(slow) and len(slow) == len(run.cadence) and not watched
    alarms, title = run.alarms_at_any_pace if is_slow else run.alarms, "Positions without a live exit"
    basis = f"n = {count(run.cycles, 'cycle')}, {_dates(run)}"
    if alarms is None and is_slow and run.alarms is not None:
        why = (
            f"Not counted: cycles ran less often ({', '.join(slow)}) than the {lasting(PATIENCE)} after which a "
            "position that nobody looked at is an alarm, so that positions without a stop at the broker were alarms by "
            "the schedule alone. No other alarm was raised."
        )
        return Section(title, basis, FACTS, (), (why,))
    if alarms is None:
        return Section(title, basis, FACTS, (), ("No cycle found a position without a live exit.",))
    rows = (
        ("Alarms", f"{alarms.alarms:,}"),
        ("Cycles that raised any", f"{alarms.cycles:,} of {run.cycles:,}"),
        ("First", moment(alarms.first_at)),
        ("Last", moment(alarms.last_at)),
    )
    left = "and alarms of that kind are not counted" if is_slow else "which leaves such gaps"
    pace = f" Here cycles ran less often than that ({', '.join(slow)}), {left}." if slow else ""
    why = (
        "An alarm is one position, seen by one cycle, that no stop at the broker protects and that its own module has "
        f"not looked at for {lasting(PATIENCE)}, or any position while the mode is HALTED.{pace}"
    )
    return Section(title, basis, FACTS, rows, (why, f"The first in its own words: {plain_words(alarms.first)}."))


def _dates(run: Performance) -> str:
    return period(run.first_at, run.last_at)
