"""`cronfolio monitor`: the account as store and broker have it, drawn anew every few seconds until Ctrl-C."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Event
from time import monotonic

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from cli.broker_now import BrokerNow, ask_broker
from cli.monitor_broker import broker_told
from cli.sections import plain_words
from cli.standing import LOOK_BACK_CYCLES, read_standing
from cli.state import absolute_state, existing_store, state_option
from cli.status import told
from cli.tables import PlainTable
from cli.words import moment, money, signed_money, wide_console
from core.documents import parsed
from core.errors import CronfolioError, Unsure
from core.model.trades import Trade
from core.ports import Store
from core.reporting.history import CycleFacts, cycle_facts

NEWEST_TRADES = 5
LONGEST_WAIT_S = 0.2


@click.command()
@state_option
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(min=1),
    default=5,
    show_default=True,
    metavar="SECONDS",
    help="Time between two looks.",
)
@click.option("--once", is_flag=True, help="Show it once and end.")
def monitor(state: str, every_s: float, once: bool) -> None:
    """Watch mode, equity, open trades with their exits, orders, alarms, the last cycles and the newest trades.

    With the broker's keys in the environment its positions and open orders are shown, too, each position with the exit
    that protects it. Nothing is changed anywhere.
    """
    store, console, never = existing_store(state), wide_console(), Event()
    try:
        if once:
            console.print(view(store, ask_broker(os.environ, absolute_state(state)), datetime.now(UTC)))
            return
        with Live(console=console, auto_refresh=False, screen=True) as live:
            while True:
                live.update(_page(store, absolute_state(state)), refresh=True)
                next_s = monotonic() + every_s
                # A signal that meets another thread ends no wait; it is seen between two short ones.
                while (left_s := next_s - monotonic()) > 0:
                    never.wait(min(left_s, LONGEST_WAIT_S))
    except CronfolioError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("ended")


def _page(store: Store, state: str) -> RenderableType:
    """The page as it is now; a store that does not answer is asked again for the next."""
    try:
        return view(store, ask_broker(os.environ, state), datetime.now(UTC))
    except Unsure as error:
        return Text(f"The store did not answer: {error}", style="bold")


def view(store: Store, broker: BrokerNow | str, at: datetime) -> RenderableType:
    """Everything on one page, as of `at`."""
    standing = read_standing(store, at)
    return Group(
        Text(f"Cronfolio at {moment(at)}", style="bold"),
        *told(standing),
        *broker_told(broker, standing, store),
        *_last_cycles(store),
        *_newest_trades(store),
    )


def _last_cycles(store: Store) -> Iterator[RenderableType]:
    """The newest finished cycle of each module, among the newest hundred."""
    newest: dict[str, CycleFacts] = {}
    for stored in store.recent("cycles", order_by="started_at", limit=LOOK_BACK_CYCLES):
        facts = cycle_facts(stored)
        if facts is not None:
            newest.setdefault(facts.module, facts)
    rows = [
        (
            module,
            moment(facts.as_of),
            money(facts.equity_usd),
            f"{len(facts.refusals)}",
            f"{len(facts.alarms)}",
            "" if facts.duration_ms is None else f"{facts.duration_ms:,.0f} ms",
        )
        for module, facts in sorted(newest.items())
    ]
    if rows:
        columns = ("last cycle", "at", "equity", "refusals", "alarms", "took")
        yield PlainTable(columns, rows, numbers=(False, False, True, True, True, True))


def _newest_trades(store: Store) -> Iterator[RenderableType]:
    found = store.recent("trades", order_by="closed_at", limit=NEWEST_TRADES)
    closed = [trade for stored in found if (trade := parsed(Trade, stored)).closed_at is not None]
    rows = [
        (
            f"{trade.symbol} {plain_words(trade.strategy)}",
            moment(trade.exits[-1].at),
            signed_money(trade.realised_usd),
            plain_words(trade.exit_reason),
        )
        for trade in closed
    ]
    if rows:
        yield PlainTable(("newest trades", "closed", "result", "why"), rows, numbers=(False, False, True, False))
