"""How an idea about a coin or a stock becomes an order; type, time and side are the asset class's own choice."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.execution.ids import client_order_id
from core.model.judgement import Snapshot, Target
from core.model.market import AssetClass
from core.model.orders import OrderClass, OrderIntent, OrderType, Side, TimeInForce
from core.modules.entries import ENTRY_LIFETIME
from core.units import floor_to

SMALLEST_STEP = Decimal("0.000000001")
"""Alpaca's finest quantity, for what is held but no longer listed."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How an order is sent."""

    order_type: OrderType
    time_in_force: TimeInForce
    order_class: OrderClass = OrderClass.SIMPLE


def stepped(target: Target, snapshot: Snapshot) -> Decimal:
    """The target's quantity, floored to the steps that its asset trades in."""
    asset = snapshot.assets.get(target.opportunity.symbol)
    return floor_to(target.quantity, SMALLEST_STEP if asset is None else asset.quantity_increment)


def intent_of(
    target: Target,
    snapshot: Snapshot,
    kind: Kind,
    *,
    asset_class: AssetClass,
    side: Side,
    quantity: Decimal,
    reason: str,
) -> OrderIntent:
    """The order exactly as it will be sent. An entry ends before the next cycle; what reduces risk does not."""
    idea = target.opportunity
    return OrderIntent(
        client_order_id=client_order_id(
            snapshot.account.account_id, snapshot.cycle_id, snapshot.as_of, idea.symbol, idea.purpose
        ),
        symbol=idea.symbol,
        asset_class=asset_class,
        side=side,
        purpose=idea.purpose,
        order_type=kind.order_type,
        time_in_force=kind.time_in_force,
        order_class=kind.order_class,
        quantity=quantity,
        limit_price=idea.limit_price,
        reference_price=idea.reference_price,
        strategy=idea.strategy,
        reason=reason,
        expires_at=snapshot.as_of + ENTRY_LIFETIME if idea.purpose.opens_risk else None,
        stop_price=idea.stop_price,
        target_price=idea.target_price,
        features=idea.features,
        after_cancel=idea.after_cancel,
    )
