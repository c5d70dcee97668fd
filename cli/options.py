"""Values that several commands read from the command line: moments, spacings and dollars."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import click

UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


class Moment(click.ParamType[datetime]):
    """A UTC time on the command line."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no ISO date or time such as 2018-06-01", param, ctx)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


class Spacing(click.ParamType[timedelta]):
    """A time between ticks such as 5m, 4h or 1d."""

    name = "spacing"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        number, unit = value[:-1], value[-1:]
        if not number.isdigit() or int(number) == 0 or unit not in UNITS:
            self.fail(f"{value!r} is no time between ticks; write 5m, 4h or 1d", param, ctx)
        return int(number) * UNITS[unit]


class Dollars(click.ParamType[Decimal]):
    """An amount of money above zero."""

    name = "dollars"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        try:
            amount = Decimal(value)
        except InvalidOperation:
            amount = Decimal("NaN")
        if not amount.is_finite() or amount <= 0:
            self.fail(f"{value!r} is no amount of dollars above zero", param, ctx)
        return amount


data_option: Callable[[Any], Any] = click.option(
    "--data", default="crypto-daily", show_default=True, help="A recorded slice, or a folder of recordings."
)
cash_option: Callable[[Any], Any] = click.option(
    "--cash", type=Dollars(), default="100000", show_default=True, help="Starting dollars."
)
