"""The recorded data that the local venue plays: found or fetched, and what it holds."""

from __future__ import annotations

import os
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from cli.recordings.barfiles import read_description
from cli.recordings.fetch import SliceState, data_dir, fetch, list_slices
from cli.recordings.slices import DataUnavailable
from cli.scheduler import local_session

REQUEST_TIMEOUT_S = 30
BAR_LENGTHS = {"1d": "one day", "1h": "one hour", "1m": "one minute"}


def recorded_data(name: str, console: Console) -> str:
    """The folder of the recording, fetched first if it is a slice of the catalogue that is not there yet."""
    slices = {status.slice.name: status for status in list_slices(data_dir(os.environ))}
    if name not in slices:
        return str(Path(name).expanduser().resolve()) if Path(name).expanduser().is_dir() else name
    if slices[name].state is SliceState.READY:
        return str(slices[name].folder)
    try:
        return str(fetch(name, data_dir=data_dir(os.environ), report=lambda text: console.print(Text(text))))
    except DataUnavailable as error:
        raise click.ClickException(str(error)) from error


def recorded_pairs(venue_url: str) -> dict[str, str]:
    """The crypto pairs that the venue trades, each with the length of its bars in words."""
    recording = local_session().get(f"{venue_url}/venue/clock", timeout=REQUEST_TIMEOUT_S).json()["recording"]
    pairs = {
        symbol: BAR_LENGTHS.get(about["timeframe"], about["timeframe"])
        for symbol, about in recording["symbols"].items()
        if about["asset_class"] == "crypto"
    }
    if not pairs:
        raise click.ClickException("the recording holds no crypto pair, and only crypto is traded here")
    return pairs


def about_recording(folder: str) -> tuple[str, tuple[str, ...]]:
    """The recording's name, and what its maker says about gaps and oddities in it."""
    described = read_description(Path(folder)) or {}
    return str(described.get("name", Path(folder).name)), tuple(described.get("notes", ()))
