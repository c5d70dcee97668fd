"""`cronfolio report --week`: a weekly report as it was stored, its sentences shown, its page and its trades written."""

from __future__ import annotations

from pathlib import Path

import click

from core.errors import CronfolioError
from core.ports import Blobs, Store

SUGGESTED = 5


def show_week(store: Store, blobs: Blobs, week: str, folder: Path) -> None:
    """Print the summary, and write `WEEK.html` and `WEEK.csv` into the folder, as they were when the week was over."""
    try:
        (stored,) = store.read([f"reports/{week}"])
        if stored is None:
            newest = store.recent("reports", order_by="week", limit=SUGGESTED)
            known = ", ".join(str(each.data["week"]) for each in newest)
            raise click.ClickException(f"there is no report of week {week}; the newest are {known or 'none'}")
        click.echo(stored.data["summary"])
        for kind in ("page_blob", "trades_blob"):
            name = str(stored.data.get(kind, ""))
            content = blobs.get(name) if name else None
            if content is None:
                where = f"{name} is not in these blobs; name others with --blobs" if name else "none was stored with it"
                raise click.ClickException(f"the {kind} of week {week}: {where}")
            path = folder / f"{week}{Path(name).suffix}"
            path.write_bytes(content)
            click.echo(str(path))
    except (CronfolioError, ValueError) as error:
        raise click.ClickException(str(error)) from error
