"""The recorded data that the local venue plays: found or fetched, and what it holds."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from cli.acts import Traded
from cli.recordings.barfiles import read_description
from cli.recordings.fetch import SliceState, data_dir, fetch, list_slices
from cli.recordings.slices import SLICES, DataUnavailable
from cli.scheduler import local_session
from core.model.universe import UNDERLYINGS

REQUEST_TIMEOUT_S = 30
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
CRYPTO_SLICES = ("crypto-daily", "crypto-hourly")
BAR_LENGTHS = {"1d": "one day", "1h": "one hour", "1m": "one minute"}


def recorded_data(name: str, console: Console) -> str:
    """The folder of the recording, fetched first if it is a slice of the catalogue that is not there yet.

    Several, separated by commas, are played together.
    """
    if "," in name:
        return ",".join(recorded_data(part.strip(), console) for part in name.split(","))
    slices = {status.slice.name: status for status in list_slices(data_dir(os.environ))}
    if name not in slices:
        if Path(name).expanduser().is_dir():
            return str(Path(name).expanduser().resolve())
        raise click.ClickException(
            f"no recording is named {name!r} and no folder either; use {' or '.join(CRYPTO_SLICES)}, or a folder of "
            "recordings (`cronfolio data list` shows them all)"
        )
    if slices[name].state is SliceState.READY:
        return str(slices[name].folder)
    try:
        return str(fetch(name, data_dir=data_dir(os.environ), report=lambda text: console.print(Text(text))))
    except DataUnavailable as error:
        raise click.ClickException(str(error)) from error


def described_range(folder: str) -> tuple[datetime, datetime] | None:
    """The first and the last bar's open as the recording's own description has them; None without one."""
    described = read_description(Path(folder)) or {}
    first, last = described.get("first"), described.get("last")
    return (_utc(first), _utc(last)) if first and last else None


def played_range(venue_url: str) -> tuple[datetime, datetime]:
    """The first bar's open and the last bar's end, as the venue has loaded them."""
    recording = _recording(venue_url)
    return _utc(recording["first"]), _utc(recording["last"])


def refuse_outside(recorded: tuple[datetime, datetime], start: datetime, end: datetime) -> None:
    """There is nothing to trade before a recording or after it, and what was held could not be sold."""
    first, last = recorded
    span = f"the recording runs from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
    if not first <= start <= last:
        raise click.UsageError(f"{span}, and --start {start:%Y-%m-%d %H:%M} lies outside it")
    if end > last:
        raise click.UsageError(f"{span}, and --end {end:%Y-%m-%d %H:%M} lies after it")


def recorded_assets(venue_url: str) -> tuple[Traded, tuple[str, ...]]:
    """What the venue trades, and the lengths of its bars in words."""
    recording = _recording(venue_url)
    by_class: dict[str, list[str]] = {}
    for symbol, about in recording["symbols"].items():
        by_class.setdefault(about["asset_class"], []).append(symbol)
    lengths = {BAR_LENGTHS.get(about["timeframe"], about["timeframe"]) for about in recording["symbols"].values()}
    traded = Traded(
        pairs=tuple(sorted(by_class.get("crypto", ()))),
        stocks=tuple(sorted(by_class.get("us_equity", ()))),
        underlyings=tuple(name for name in UNDERLYINGS if name in recording.get("chains", ())),
    )
    return traded, tuple(sorted(lengths))


def about_recordings(folders: str, start: datetime, end: datetime) -> tuple[str, tuple[str, ...]]:
    """The recordings' names, and what is known of gaps and oddities in them between these times."""
    catalogue = {item.name: item.notes for item in SLICES}
    names: list[str] = []
    notes: list[str] = []
    for folder in folders.split(","):
        described = read_description(Path(folder)) or {}
        name = str(described.get("name", Path(folder).name))
        names.append(name)
        notes += catalogue.get(name, tuple(described.get("notes", ())))
    return " and ".join(names), tuple(note for note in notes if _touches(note, start, end))


def _touches(note: str, start: datetime, end: datetime) -> bool:
    """Whether the dates that a note names reach into the window; a note without a date is about all of it."""
    dates = sorted(DATE.findall(note))
    return not dates or (dates[0] <= f"{end:%Y-%m-%d}" and dates[-1] >= f"{start:%Y-%m-%d}")


def _recording(venue_url: str) -> dict[str, Any]:
    answer = local_session().get(f"{venue_url}/venue/clock", timeout=REQUEST_TIMEOUT_S)
    return dict(answer.json()["recording"])


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
