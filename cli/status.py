"""`cronfolio status`: the mode in force, the last finished cycle, and what is open, from the store alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import click
from rich.console import RenderableType
from rich.text import Text

from cli.open_trades import most_to_lose, price, trade_words
from cli.standing import Standing, read_standing
from cli.state import existing_store, state_option
from cli.tables import PlainTable
from cli.words import count, mode_words, moment, money, wide_console
from core.cycle.records import filled_units
from core.errors import CronfolioError
from core.model.trades import OrderRecord
from core.reporting.round_trips import RoundTrip, round_trips
from core.units import text


@click.command()
@state_option
def status(state: str) -> None:
    """Show the trading mode, the last cycle, and open trades and orders."""
    try:
        standing = read_standing(existing_store(state), datetime.now(UTC))
    except CronfolioError as error:
        raise click.ClickException(str(error)) from error
    wide_console().print(*told(standing), sep="\n")


def told(standing: Standing) -> Iterator[RenderableType]:
    """The account in sentences, with a table where there is more than a sentence to say."""
    yield Text(f"Trading mode: {mode_words(standing.mode)}")
    last = standing.last
    if last is None:
        yield Text("Last finished cycle: none yet.")
    else:
        yield Text(
            f"Last finished cycle: {moment(last.as_of)}, done, equity {money(last.equity_usd)}, of it "
            f"{money(last.cash_usd)} in cash."
        )
    if last is not None:
        yield from (Text(f"ALARM: {alarm}", style="bold") for alarm in last.alarms)
    if standing.unfinished:
        began = f"{count(len(standing.unfinished), 'newer cycle')} began and did not finish"
        yield Text(f"{began}: {', '.join(standing.unfinished)}.")
    trips = round_trips(standing.open_trades)
    yield Text(f"Open trades: {_number(len(trips))}")
    if trips:
        columns = ("trade", "opened", "cost", "may lose", "stop", "target")
        yield PlainTable(columns, [_trade(trip) for trip in trips], numbers=(False, False, True, True, True, True))
    yield Text(f"Unsettled orders: {_number(len(standing.unsettled))}")
    if standing.unsettled:
        headings = ("order", "side", "quantity", "filled", "status")
        rows = [_order(record) for record in standing.unsettled]
        yield PlainTable(headings, rows, numbers=(False, False, True, True, False))


def _trade(trip: RoundTrip) -> tuple[str, ...]:
    first = trip.parts[0]
    return (
        trade_words(trip),
        f"{trip.opened_at:%Y-%m-%d}",
        money(trip.open_cost_usd),
        most_to_lose(trip),
        price(first.stop_price),
        price(first.target_price),
    )


def _order(record: OrderRecord) -> tuple[str, ...]:
    return (
        record.client_order_id,
        record.intent.side.value,
        text(record.intent.quantity),
        text(filled_units(record)),
        record.status.value,
    )


def _number(n: int) -> str:
    return f"{n}" if n else "none."
