"""`cronfolio emergency cancel` and `emergency flatten`: everything out, in any mode, on a person's word."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from cli.control import name_option, reason_option, yes_option
from cli.state import absolute_state, state_option
from cli.words import count
from core.app import Instance
from core.cycle.emergency import Exposed, Instruction, Outcome, carry_out, exposed
from core.errors import CronfolioError
from core.model.orders import Order
from core.model.trades import OrderRecord
from core.settings import load
from core.units import text


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--wait", "patience_s", type=click.FloatRange(0, 60), default=20.0, show_default=True,
                     help="Seconds that cancels, fills and a run that holds the account may take."),
        click.option("--force", is_flag=True, help="Take the account over from a run that holds it."),
        click.option("--dry-run", is_flag=True, help="Only show what would be canceled and closed."),
        yes_option, name_option, reason_option, state_option,
    ):  # fmt: skip
        command = option(command)
    return command


@click.group()
def emergency() -> None:
    """Cancel every order, or close every position: in every mode, and without the store if need be."""


@emergency.command()
@_options
def cancel(**given: Any) -> None:
    """Cancel every open order, resting stops and targets included, and see that none is left."""
    _run(closes=False, **given)


@emergency.command()
@_options
def flatten(**given: Any) -> None:
    """Halt entries, cancel every open order and close every position at market.

    May be repeated: it sells no more than the broker says is held. Exit status 1 while anything is left.
    """
    _run(closes=True, **given)


def _run(
    *, closes: bool, state: str, reason: str, name: str, yes: bool, dry_run: bool, force: bool, patience_s: float
) -> None:
    path = state.removeprefix("sqlite:///")
    if path != state and not Path(path).exists():
        click.echo(f"There is no store at {path}: a new one begins there. Name the functions' own with --state.")
    try:
        world = Instance(load({**os.environ, "CRONFOLIO_STATE": absolute_state(state)})).world()
        found = exposed(world)
        click.echo("\n".join(_shown(found, closes)))
        if dry_run:
            return
        if not yes:
            click.confirm("Do this now?", abort=True)
        outcome = carry_out(world, Instruction(closes, reason, name, force, patience_s))
    except CronfolioError as error:
        raise click.ClickException(str(error)) from error
    click.echo("\n".join(_told(outcome, closes)))
    if outcome.open_orders or outcome.left:
        raise SystemExit(1)


def _shown(found: Exposed, closes: bool) -> Iterator[str]:
    """What there is to cancel and to sell, for a person to confirm."""
    yield f"To cancel: {count(len(found.orders), 'open order')}."
    yield from (f"  {_named(order)}" for order in found.orders)
    if not closes:
        return
    yield f"To close at market: {count(len(found.positions), 'position')}."
    for each in found.positions:
        verb = "sell" if each.quantity > 0 else "buy back"
        yield f"  {verb} {text(abs(each.quantity))} {each.symbol}, worth ${each.market_value_usd:,.2f}"
    yield from (f"  cannot be read, and stays: {each}" for each in found.unread)
    if not found.clock.is_open:
        yield "The stock and option markets are closed."


def _told(outcome: Outcome, closes: bool) -> Iterator[str]:
    still = count(len(outcome.open_orders), "open order")
    yield f"{count(outcome.canceled, 'order')} canceled; the broker lists {still}."
    yield from (f"  {_named(order)}" for order in outcome.open_orders)
    if closes:
        yield f"{count(len(outcome.sent), 'order')} sent; {count(len(outcome.left), 'position')} left."
        yield from (f"  {_became(record)}" for record in outcome.sent)
        yield "Left:" if outcome.left else "Nothing is left."
        yield from (f"  {sentence}" for sentence in outcome.left)
        if not outcome.notes:
            yield "Entries are halted until `cronfolio resume`."
    else:
        yield "The mode is as it was: the next cycle may order again. `cronfolio halt` stops entries."
    yield from (f"Note: {note}." for note in outcome.notes)


def _became(record: OrderRecord) -> str:
    intent = record.intent
    several = f"close {text(intent.quantity)} times {len(intent.legs)} contracts of"
    what = several if len(intent.legs) > 1 else f"{intent.side} {text(intent.quantity)}"
    return f"{what} {intent.symbol}: {record.status.replace('_', ' ')}"


def _named(order: Order) -> str:
    quantity = "" if order.quantity is None else f"{text(order.quantity)} "
    return f"{order.side} {quantity}{order.symbol} ({order.client_order_id})"
