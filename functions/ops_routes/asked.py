"""One request to `ops`, with what it needs of this instance."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property

from pydantic import BaseModel, ConfigDict

from core import logs
from core.app import Instance, instance
from core.errors import CronfolioError


class NotThere(CronfolioError):
    """What the path names does not exist."""


class Nothing(BaseModel):
    """No query parameter is known here."""

    model_config = ConfigDict(extra="forbid")


class Asked:
    """One request: its path's names, its checked query and body, who asks, and this instance once it is needed."""

    def __init__(self, path: Mapping[str, str], query: BaseModel | None, body: BaseModel | None, caller: str) -> None:
        self.path, self.query, self.body, self.caller = path, query, body, caller

    @cached_property
    def instance(self) -> Instance:
        here = instance()
        logs.configure_for(here.settings)
        return here

    @cached_property
    def now(self) -> datetime:
        """The account's time: today's, or a venue's of our own, whose clock is its own."""
        here = self.instance
        return datetime.now(UTC) if here.settings.origin == "paper" else here.broker.clock().at
