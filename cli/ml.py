"""`cronfolio ml`: samples, training, evaluation, promotion and rollback of the models that advise on entries."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.text import Text

from cli.charts import DARK, LIGHT
from cli.ml_card import card, reliability_chart
from cli.ml_samples import SOURCES, recorded_samples, write_samples
from cli.report import html
from cli.state import absolute_state, store_named, writable_folder
from cli.tables import PlainTable
from cli.words import count, wide_console
from core.app import open_blobs
from core.errors import CronfolioError
from core.ml.gate import Evaluation
from core.ml.models import FAMILIES, SEED
from core.ml.optimiser import changes, revert
from core.ml.pointer import path_of, pointer_of
from core.ml.registry import Candidate, candidate_of, promote, rollback, train
from core.ml.samples import Samples, of_trades
from core.ports import Store
from core.reporting.history import stored_trades

STATE = "sqlite:///var/ml/state.db"
NAMES = tuple(SOURCES)

T = TypeVar("T")

state_option: Callable[[Any], Any] = click.option(
    "--state",
    envvar="CRONFOLIO_STATE",
    default=STATE,
    show_default=True,
    help="The store that keeps candidates and models: sqlite:///PATH or firestore.",
)
name_argument: Callable[[Any], Any] = click.argument("names", nargs=-1, type=click.Choice(NAMES))


@click.group()
def ml() -> None:
    """Models that may object to an entry: trained on recorded and own trades, promoted only when they earn it."""


@ml.command()
@name_argument
@state_option
@click.option("--traded", is_flag=True, help="The closed trades of the store instead of recorded bars.")
@click.option("--out", "file", type=click.Path(path_type=Path, dir_okay=False), required=True, help="A Parquet file.")
def samples(names: Sequence[str], state: str, traded: bool, file: Path) -> None:
    """Write what models of NAMES learn from, one row a trade; of all modules unless named."""
    console = wide_console()
    for name in names or NAMES:
        place = file if len(names) == 1 or traded else file.with_stem(f"{file.stem}-{name}")
        found = _traded(_store(state), console) if traded else recorded_samples(name, console)
        write_samples(found, place)
        console.print(f"{count(len(found), 'sample')} in {place}")
        if traded:
            return


@ml.command("train")
@name_argument
@state_option
@click.option(
    "--family",
    "families",
    multiple=True,
    type=click.Choice([each.name for each in FAMILIES]),
    help="Train these alone.  [default: all four]",
)
def train_command(names: Sequence[str], state: str, families: Sequence[str]) -> None:
    """Train walk-forward on recorded bars and keep the result as a candidate; nothing is put in force.

    LSTM and Transformer need PyTorch: pip install -r requirements-torch.txt
    """
    console = wide_console()
    chosen = [each for each in FAMILIES if not families or each.name in families]
    for name in names or NAMES:
        learned_from = recorded_samples(name, console)
        with console.status(name) as status:

            def told(step: str, name: str = name) -> None:
                status.update(f"{name}: {step}")

            candidate = _answered(
                lambda learned_from=learned_from, name=name, told=told: train(  # type: ignore[misc]
                    _store(state),
                    open_blobs(os.environ.get("CRONFOLIO_BLOBS", ""), beside=absolute_state(state)),
                    name,
                    learned_from,
                    chosen,
                    at=datetime.now(UTC),
                    revision=os.environ.get("K_REVISION", "local"),
                    seed=SEED,
                    told=told,
                )
            )
        console.print(_conclusion(candidate))


@ml.command()
@name_argument
@state_option
def evaluate(names: Sequence[str], state: str) -> None:
    """The last training's out-of-sample figures beside the base rate and always flat, and the gate's verdict."""
    console = wide_console()
    for name in names or NAMES:
        candidate = _answered(lambda name=name: candidate_of(_store(state), name))  # type: ignore[misc]
        _show(candidate, console)


@ml.command("promote")
@click.argument("name", type=click.Choice(NAMES))
@click.option("--family", help="Which of those that the gate lets through.  [default: the one that earned most]")
@click.option("--over-champion", is_flag=True, help="Even if it did not beat the model in force on the same samples.")
@state_option
def promote_command(name: str, family: str | None, over_champion: bool, state: str) -> None:
    """Put the candidate of NAME in force, if the gate lets it through and it beats the model in force."""
    store = _store(state)
    candidate = _answered(lambda: candidate_of(store, name))
    best = candidate.best
    if family is None and best is None:
        raise click.ClickException(f"the gate lets no model of {name} through; `cronfolio ml evaluate {name}` says why")
    chosen = family or (best.family if best is not None else "")
    pointer = _answered(
        lambda: promote(store, name, chosen, at=datetime.now(UTC), by=_person(), over_champion=over_champion)
    )
    click.echo(f"{pointer.family} of {name} is in force, trained on {pointer.samples:,} samples")


@ml.command("rollback")
@click.argument("name", type=click.Choice(NAMES))
@state_option
def rollback_command(name: str, state: str) -> None:
    """Put the model that was in force before in force again; where there was none, none."""
    pointer = _answered(lambda: rollback(_store(state), name, at=datetime.now(UTC), by=_person()))
    told = "no model is" if pointer is None else f"{pointer.family} of {pointer.promoted_at:%Y-%m-%d %H:%M} UTC is"
    click.echo(f"{told} in force for {name}")


@ml.command()
@state_option
def status(state: str) -> None:
    """Which model is in force for each module."""
    documents = _store(state).read([path_of(name) for name in NAMES])
    for name, stored in zip(NAMES, documents, strict=True):
        pointer = _answered(lambda stored=stored: pointer_of(stored))  # type: ignore[misc]
        if pointer is None:
            click.echo(f"{name}: no model is in force; entries are decided without one")
        else:
            click.echo(f"{name}: {pointer.family}, promoted {pointer.promoted_at:%Y-%m-%d %H:%M} UTC by {pointer.by}")


@ml.command()
@name_argument
@state_option
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default="var/ml",
    show_default=True,
    help="Where the page goes.",
)
def explain(names: Sequence[str], state: str, folder: Path) -> None:
    """Write the card of the last training as an HTML page: folds, calibration, what the models look at."""
    place = writable_folder(folder)
    for name in names or NAMES:
        candidate = _answered(lambda name=name: candidate_of(_store(state), name))  # type: ignore[misc]
        light, dark = (reliability_chart(candidate, paper) for paper in (LIGHT, DARK))
        file = place / f"{name}.html"
        file.write_text(html(card(candidate), light, dark))
        click.echo(file)


@ml.group()
def parameters() -> None:
    """Parameters that the nightly run set by what our own trades came to; each can only hold entries back."""


@parameters.command("list")
@state_option
def list_command(state: str) -> None:
    """Every change, the newest first: what it was, what it is, why, and until when."""
    now, found = datetime.now(UTC), _answered(lambda: changes(_store(state)))
    for change in found:
        over = "lapsed" if change.until <= now else f"in force until {change.until:%Y-%m-%d %H:%M} UTC"
        if change.reverted_at is not None:
            over = f"reverted by {change.reverted_by} at {change.reverted_at:%Y-%m-%d %H:%M} UTC"
        before = "as configured" if change.before is None else f"{change.before:g}"
        click.echo(f"{change.change_id}: {before} -> {change.after:g}, {over}; {change.why}")
    if not found:
        click.echo("no parameter was ever changed; all are as configured")


@parameters.command("revert")
@click.argument("change_id")
@state_option
def revert_command(change_id: str, state: str) -> None:
    """Take the change CHANGE_ID back; from the next cycle on the parameter is as configured."""
    change = _answered(lambda: revert(_store(state), change_id, at=datetime.now(UTC), by=_person()))
    click.echo(f"{change.name} of {change.module} is as configured again")


def _show(candidate: Candidate, console: Console) -> None:
    first, last = candidate.data_from, candidate.data_to
    console.print(
        Text(f"{candidate.name}: {count(candidate.samples, 'sample')}, {first:%Y-%m-%d} to {last:%Y-%m-%d}"),
        style="bold",
    )
    console.print(
        PlainTable(
            ("model", "n", "AUC", "p", "Brier", "base rate's", "kept", "net return of kept", "of all", "flat", "gate"),
            [_row(each) for each in candidate.evaluations],
            (False, *(True,) * 9, False),
        )
    )
    for each in candidate.evaluations:
        if each.refused:
            console.print(Text(f"{each.family} is refused: {'; '.join(each.refused)}"))
        elif each.duel is not None:
            console.print(
                Text(
                    f"{each.family} {'beats' if each.duel.is_won else 'does not beat'} the model in force: "
                    f"{each.duel.words}"
                )
            )
    console.print(_conclusion(candidate), "")


def _row(found: Evaluation) -> tuple[str, ...]:
    kept = "none" if found.return_kept is None else f"{found.return_kept:+.2%}"
    if found.interval_kept is not None:
        kept += f" ({found.interval_kept[0]:+.2%} to {found.interval_kept[1]:+.2%})"
    return (
        found.family,
        f"{found.n:,}",
        f"{found.auc:.3f}",
        f"{found.p_value:.3f}",
        f"{found.brier:.4f}",
        f"{found.base_brier:.4f}",
        f"{found.n_kept:,}",
        kept,
        f"{found.return_all:+.2%}",
        "0.00%",
        "open" if found.is_promoted else "shut",
    )


def _conclusion(candidate: Candidate) -> str:
    best = candidate.best
    if best is None:
        return f"{candidate.name}: nothing was learned that beats the base rate and always flat; no model is promoted"
    return f"{candidate.name}: {best.family} passes the gate; `cronfolio ml promote {candidate.name}` puts it in force"


def _traded(store: Store, console: Console) -> Samples:
    found, refused = of_trades(stored_trades(store))
    for reason in refused:
        console.print(Text(f"left out: {reason}"))
    return found


def _store(state: str) -> Store:
    return store_named(absolute_state(state))


def _person() -> str:
    return getpass.getuser()


def _answered(work: Callable[[], T]) -> T:
    """The answer, or the core's refusal as the command's."""
    try:
        return work()
    except CronfolioError as error:
        raise click.ClickException(str(error)) from error
