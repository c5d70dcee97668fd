"""What the demo's watch brought: each exit that it fired, and the same window traded by the cycles alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from cli.figures.performance import Performance
from cli.figures.stops import STOP
from cli.reconcile import Proof
from cli.scheduler import Delivery
from cli.sections import WORDS, Section, plain_words
from cli.watch_act import HOUR
from cli.words import count, money, period, share, signed_money, signed_share
from core.model.trades import Trade

WATCHED = (
    "Stops of coins, options and fractions of shares are judged by the position monitor at each quote that it hears, "
    "here one an hour, and by the cycles."
)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs: its figures, and the proof of its own books."""

    run: Performance
    proof: Proof


def watch_sections(
    watches: Sequence[Delivery], trades: Iterable[Trade], watched: Side, alone: Side
) -> tuple[Section, ...]:
    """The comparison, then the exits. `trades`: of the watched run; `alone`: the same window without the monitor."""
    exits = [(act, at) for delivery in watches for act, at in _exits(delivery)]
    return _comparison(watches, exits, watched, alone), _fired(exits, trades, watched.run)


def _exits(delivery: Delivery) -> list[tuple[Mapping[str, Any], datetime]]:
    """The acts of one watch that sold something, each with the venue's time of it."""
    return [
        (act, delivery.scheduled_at + (HOUR if act["by"] == "quote" else 0 * HOUR))
        for act in delivery.receipt["fired"]
        if any(wish.startswith("exit ") for wish in act["for"])
    ]


def _comparison(
    watches: Sequence[Delivery], exits: Sequence[tuple[Mapping[str, Any], datetime]], watched: Side, alone: Side
) -> Section:
    quotes = sum(delivery.receipt.get("quotes", 0) for delivery in watches)
    by_quote = sum(act["by"] == "quote" for act, _ in exits)
    rows = (
        ("Quotes heard by the position monitor", f"{quotes:,}", "none"),
        ("Exits fired by a quote", f"{by_quote}", "none"),
        *((name, ours, theirs) for (name, ours), (_, theirs) in zip(_figures(watched), _figures(alone), strict=True)),
    )
    notes = (
        "Both accounts began with the same cash and were delivered the same cycles. After the first exit at another "
        "time they hold other trades: a coin that was sold early may be bought again, and be stopped again.",
    )
    n = f"{count(watched.run.closed.trades, 'closed trade')} and {alone.run.closed.trades}"
    return Section(
        "What the watch brought, beside the same cycles alone",
        f"n = {n}, {_dates(watched.run)}",
        ("", "watched", "cycles alone"),
        rows,
        notes,
    )


def _figures(side: Side) -> tuple[tuple[str, str], ...]:
    run = side.run
    stopped = run.stops.by_module
    beyond = f"{share(stopped[0].mean_beyond_frac)}, {share(stopped[0].worst_beyond_frac)}" if stopped else "none"
    return (
        ("Closed trades", f"{run.closed.trades}"),
        ("Their result, after fees", signed_money(run.closed.realised_usd)),
        ("Return, with what is still open", signed_share(run.return_frac)),
        ("Deepest fall of daily equity", share(run.drawdown.frac) if run.drawdown else "none"),
        ("Exits by stop", f"{sum(module.trades for module in stopped)}"),
        ("Sold so far below their stops: mean, worst", beyond),
        ("Books beside the venue's ledger", side.proof.verdict),
    )


def _fired(
    exits: Sequence[tuple[Mapping[str, Any], datetime]], trades: Iterable[Trade], watched: Performance
) -> Section:
    sold = {fill.at: (trade, fill.price) for trade in trades for fill in trade.exits}
    rows = tuple(_row(act, at, sold.get(at)) for act, at in exits)
    columns = ("at the venue, UTC", "fired by", "reaction", "filled at", "below its stop", f"why, {WORDS}")
    note = (
        "The reaction is from the quote's arrival to the stored receipt, the broker's answer and the booking included."
    )
    return Section(
        "Exits that the watch fired", f"n = {count(len(rows), 'exit')}, {_dates(watched)}", columns, rows, (note,)
    )


def _row(act: Mapping[str, Any], at: datetime, sold: tuple[Trade, Decimal] | None) -> tuple[str, ...]:
    first = (f"{at:%Y-%m-%d %H:%M}", str(act["by"]), f"{act['reaction_ms']:.0f} ms")
    if sold is None:
        return (*first, "not yet", "", plain_words("; ".join(act["done"])))
    trade, price = sold
    kind, _, why = trade.exit_reason.partition(":")
    is_stop = kind == STOP and trade.stop_price is not None
    below = share(1 - price / trade.stop_price) if is_stop and trade.stop_price else ""
    return (*first, money(price), below, plain_words(f"{kind}:{why}"))


def _dates(run: Performance) -> str:
    return period(run.first_at, run.last_at)
