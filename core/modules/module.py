"""What every asset class answers. All of it is pure: a snapshot in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from core.model.judgement import Opportunity, Refusal, Snapshot, SymbolView, Target
from core.model.market import AssetClass
from core.model.orders import OrderIntent


class AssetModule(Protocol):
    """One asset class. A `Refusal` in an answer is the recorded reason why a symbol offers nothing."""

    asset_class: AssetClass

    def analyze_opportunities(self, snapshot: Snapshot) -> tuple[Opportunity | Refusal, ...]:
        """Possible entries, best first."""
        ...

    def monitor_positions(self, snapshot: Snapshot) -> tuple[Opportunity | Refusal, ...]:
        """Exits and trims that the held positions need now."""
        ...

    def plan_trades(self, targets: Sequence[Target], snapshot: Snapshot) -> tuple[OrderIntent, ...]:
        """How this asset is ordered: type, price, time in force."""
        ...

    def class_share_frac(self, snapshot: Snapshot) -> tuple[Decimal, str]:
        """The largest share of equity this class may hold now, and why."""
        ...

    def day_ends_at(self, snapshot: Snapshot) -> datetime:
        """When the trading day that daily losses are measured over ends."""
        ...

    def views(self, snapshot: Snapshot) -> tuple[SymbolView, ...]:
        """What was seen of each symbol, for the receipt."""
        ...
