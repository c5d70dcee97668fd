"""What every asset class answers. All of it is pure: a snapshot in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.model.judgement import Opportunity, Refusal, Snapshot, SymbolView, Target
from core.model.market import AssetClass, Timeframe
from core.model.orders import OrderIntent
from core.settings import Settings


@dataclass(frozen=True, slots=True)
class Universe:
    """What a module looks at: names, what they are at the broker, their bar length, and whether a calendar rules them.

    `has_chains`: the symbols are underlyings, and what is traded are options on them.
    """

    symbols: tuple[str, ...]
    asset_class: AssetClass
    timeframe: Timeframe
    follows_sessions: bool = True
    has_chains: bool = False


class AssetModule(Protocol):
    """One asset class. A `Refusal` in an answer is the recorded reason why a symbol offers nothing."""

    asset_class: AssetClass
    strategy_names: tuple[str, ...]

    def universe(self, settings: Settings) -> Universe:
        """What to look at, by configuration; the broker's own list then says what of it may be traded."""
        ...

    def analyze_opportunities(self, snapshot: Snapshot) -> tuple[Opportunity | Refusal, ...]:
        """Possible entries, best first."""
        ...

    def monitor_positions(self, snapshot: Snapshot) -> tuple[Opportunity | Refusal, ...]:
        """Exits and trims that the held positions need now."""
        ...

    def plan_trades(self, targets: Sequence[Target], snapshot: Snapshot) -> tuple[OrderIntent, ...]:
        """How this asset is ordered: type, price, time in force."""
        ...

    def day_ends_at(self, snapshot: Snapshot) -> datetime:
        """When the trading day that daily losses are measured over ends."""
        ...

    def views(self, snapshot: Snapshot) -> tuple[SymbolView, ...]:
        """What was seen of each symbol, for the receipt."""
        ...
