"""`cronfolio drift`: what the broker answers beyond what it has published."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import click

from cli.tables import PlainTable
from cli.words import wide_console
from core import logs
from core.api_drift import Found, api_drift
from core.settings import InvalidSettings, load


@click.command()
def drift() -> None:
    """Compare the broker's answers with what it has published: fields and values that nobody knows yet.

    It needs the functions' settings and keys, asks thirteen small questions and prints names only.
    """
    try:
        settings = load(os.environ)
    except InvalidSettings as error:
        raise click.ClickException(str(error)) from error
    # The table tells what the log would.
    logs.configure("CRITICAL")
    found = api_drift(settings, datetime.now(UTC).date())
    console = wide_console()
    console.print(PlainTable(("path", "found"), [(one.path, _words(one)) for one in found], numbers=(False, False)))
    if all(one.unread for one in found):
        raise click.ClickException("nothing could be read; check the keys and ALPACA_BASE_URL")


def _words(one: Found) -> str:
    parts = (
        f"not read: {one.unread}" if one.unread else "",
        f"unknown fields {', '.join(one.fields)}" if one.fields else "",
        f"unknown values {', '.join(one.values)}" if one.values else "",
    )
    return "; ".join(filter(None, parts)) or "as published"
