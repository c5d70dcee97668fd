"""Trades that are still open, as a person asks for them: what is held, what it cost, and what it may lose."""

from __future__ import annotations

from decimal import Decimal

from cli.figures.performance import Performance
from cli.sections import Section, plain_words
from cli.words import count, money
from core.model.trades import ZERO
from core.reporting.round_trips import RoundTrip
from core.units import text

A_DOLLAR, COIN_PRICE_STEP = Decimal(1), Decimal("0.000000001")


def open_trades_section(run: Performance) -> Section:
    """One row a trade, a structure being one, and what all of them may lose together."""
    trips = run.open_trades
    title, basis = "Open trades", f"n = {count(len(trips), 'open trade')}, {run.last_at:%Y-%m-%d}"
    columns = ("trade", "opened", "cost", "may lose", "stop")
    if not trips:
        return Section(title, basis, columns, (), ("Nothing is open.",))
    rows = [
        (
            trade_words(trip),
            f"{trip.opened_at:%Y-%m-%d}",
            money(trip.open_cost_usd),
            most_to_lose(trip),
            price(trip.parts[0].stop_price),
        )
        for trip in trips
    ]
    known = [loss for trip in trips if (loss := trip.most_to_lose_usd) is not None]
    least = "at least " if len(known) < len(trips) else ""
    cost_usd = sum((trip.open_cost_usd for trip in trips), ZERO)
    rows.append(("all", "", money(cost_usd), f"{least}{money(sum(known, ZERO))}", ""))
    options = [trip.most_to_lose_usd for trip in trips if trip.parts[0].underlying]
    options_usd = sum((loss for loss in options if loss is not None), ZERO)
    notes = ["A coin or a share may lose its cost."]
    if options:
        notes = [f"Options may lose {least}{money(options_usd)} in all, as computed before their entries. {notes[0]}"]
    at_stops = [loss for trip in trips if (loss := trip.loss_at_stop_usd) is not None]
    if at_stops:
        notes.append(
            f"Sold at their stops, the coins and shares that have one ({len(at_stops)}) would come to "
            f"{money(-sum(at_stops, ZERO))}, before fees; a gap can make it worse."
        )
    return Section(title, basis, columns, tuple(rows), tuple(notes))


def trade_words(trip: RoundTrip) -> str:
    """Symbol, strategy and what is held; each contract of a structure by itself, below zero where it was written."""
    held = [
        f"{text(part.position_quantity)} {part.symbol}" if part.underlying else text(part.position_quantity)
        for part in sorted(trip.parts, key=lambda part: part.position_quantity, reverse=True)
        if part.is_open
    ]
    return f"{trip.symbol} {plain_words(trip.strategy)}: {', '.join(held)}"


def most_to_lose(trip: RoundTrip) -> str:
    return "unknown" if trip.most_to_lose_usd is None else money(trip.most_to_lose_usd)


def price(value: Decimal | None) -> str:
    """To the cent from a dollar on, below it as finely as coins are priced."""
    if value is None:
        return "none"
    return f"{value:,.2f}" if value >= A_DOLLAR else text(value.quantize(COIN_PRICE_STEP))
