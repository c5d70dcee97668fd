"""What closed trades came to, by strategy and by hour of the day: sums that grow with each trade and fade with time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from core.model.market import AssetClass
from core.model.trades import ZERO, Edge, Trade

HALF_LIFE_DAYS = 180.0
"""After so long a trade weighs half, so that what was refused for its losses is tried again."""


def faded(edge: Edge, at: datetime) -> Edge:
    """The same trades as they weigh at this later moment (a discount factor: West and Harrison 1997, section 2.4)."""
    kept = 0.5 ** (max(0.0, (at - edge.at).total_seconds()) / 86_400 / HALF_LIFE_DAYS)
    return Edge(edge.n, edge.weight * kept, edge.total * kept, edge.squares * kept, edge.since, max(at, edge.at))


def strategy_key(asset_class: AssetClass, strategy: str) -> str:
    return f"{asset_class.value} {strategy}"


def hour_key(asset_class: AssetClass, hour: int) -> str:
    """Of the hours (UTC) that trades were opened in; a session is the sum of its hours, however it is set."""
    return f"{asset_class.value} {hour:02d}h"


def with_closed(edges: Mapping[str, Edge], trades: Iterable[Trade]) -> Mapping[str, Edge]:
    """The edges after these trades, all of them closed for good; contracts of a structure count once, together.

    Only trades that a decision of ours opened count. A structure's return is of what it could lose.
    """
    groups: dict[str, list[Trade]] = {}
    for trade in trades:
        if trade.cycle_id and trade.closed_at is not None:
            groups.setdefault(trade.group_id, []).append(trade)
    if not groups:
        return edges
    found = dict(edges)
    for group in sorted(groups.values(), key=lambda each: (_closed_at(each), each[0].group_id)):
        at_stake = _at_stake_usd(group)
        if at_stake <= 0:
            continue
        net_return = float(sum((trade.realised_usd for trade in group), ZERO) / at_stake)
        first, at = group[0], _closed_at(group)
        keys = [strategy_key(first.asset_class, first.strategy)]
        if first.asset_class is AssetClass.CRYPTO:
            keys.append(hour_key(first.asset_class, first.opened_at.hour))
        for key in keys:
            before = faded(found.get(key) or Edge(0, 0.0, 0.0, 0.0, at, at), at)
            found[key] = Edge(
                before.n + 1,
                before.weight + 1,
                before.total + net_return,
                before.squares + net_return**2,
                before.since,
                before.at,
            )
    return found


def _closed_at(group: list[Trade]) -> datetime:
    return max(trade.closed_at for trade in group if trade.closed_at is not None)


def _at_stake_usd(group: list[Trade]) -> Decimal:
    """What the entries cost, of an option order what it could lose."""
    if not group[0].structure_id:
        return group[0].cost_usd
    return sum((trade.max_loss_usd or ZERO for trade in group), ZERO)
