"""`cronfolio status`: the mode in force, the last finished cycle, and what is open, from the store alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import click
from rich.console import RenderableType
from rich.text import Text

from cli.state import existing_store, state_option
from cli.tables import PlainTable
from cli.words import count, mode_words, moment, money, wide_console
from core.errors import CronfolioError
from core.model.trades import OrderRecord, Trade
from core.reporting.standing import Standing, read_standing
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
    if standing.unfinished:
        began = f"{count(len(standing.unfinished), 'newer cycle')} began and did not finish"
        yield Text(f"{began}: {', '.join(standing.unfinished)}.")
    yield Text(f"Open trades: {_number(len(standing.open_trades))}")
    if standing.open_trades:
        columns = ("symbol", "quantity", "open since, UTC", "stop", "target")
        rows = [_trade(trade) for trade in standing.open_trades]
        yield PlainTable(columns, rows, numbers=(False, True, False, True, True))
    yield Text(f"Unsettled orders: {_number(len(standing.unsettled))}")
    if standing.unsettled:
        columns = ("order", "side", "quantity", "filled", "status")
        rows = [_order(record) for record in standing.unsettled]
        yield PlainTable(columns, rows, numbers=(False, False, True, True, False))


def _trade(trade: Trade) -> tuple[str, ...]:
    prices = ("none" if price is None else text(price) for price in (trade.stop_price, trade.target_price))
    return trade.symbol, text(trade.open_quantity), f"{trade.opened_at:%Y-%m-%d %H:%M}", *prices


def _order(record: OrderRecord) -> tuple[str, ...]:
    return (
        record.client_order_id,
        record.intent.side.value,
        text(record.intent.quantity),
        text(record.filled_quantity),
        record.status.value,
    )


def _number(n: int) -> str:
    return f"{n}" if n else "none."
