"""What option positions and open option orders hold back of the account, and what is free to be spent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from core.backtest.account_margin import Holding, Requirement, by_underlying, requirement
from core.backtest.chains import parsed
from core.backtest.exchange_floor import Floor
from core.backtest.orders import Placed
from core.backtest.quotes import ZERO
from core.model.market import AssetClass
from core.model.orders import OrderClass


def requirements(
    floor: Floor, *, without: Placed | None = None, extra: Iterable[Holding] = (), counts_orders: bool = True
) -> Mapping[str, Requirement]:
    """What each underlying's positions hold back, as if `extra` were held too; with them what open orders would.

    What an order opens or closes together covers itself. What is on its way out, shares too, covers nothing else, and
    neither does what has not come yet. Orders never lower what positions hold back without them.
    """
    settled = [*floor.option_holdings(), *extra]
    found = _requirements(floor, settled, {}, counts_orders=False)
    if not counts_orders or not floor.open:
        return found
    loose, bundles_usd = list(settled), dict[str, Decimal]()
    for opening, closing in _bundles(floor, without):
        loose += [Holding(held.contract, -held.quantity) for held in closing]
        for bundle in (opening, closing):
            own = requirement(bundle, ZERO)
            if own.uncovered_calls:
                loose += [held for held in bundle if held.quantity < ZERO]
            elif bundle:
                underlying = bundle[0].contract.underlying
                bundles_usd[underlying] = bundles_usd.get(underlying, ZERO) + own.cash_usd
    none = Requirement()
    return {
        underlying: Requirement(
            max(one.cash_usd, found.get(underlying, none).cash_usd),
            max(one.pledged_shares, found.get(underlying, none).pledged_shares),
            max(one.uncovered_calls, found.get(underlying, none).uncovered_calls),
        )
        for underlying, one in _requirements(floor, loose, bundles_usd, counts_orders=True).items()
    }


def _requirements(
    floor: Floor, holdings: list[Holding], bundles_usd: Mapping[str, Decimal], *, counts_orders: bool
) -> dict[str, Requirement]:
    grouped, found = by_underlying(holdings), dict[str, Requirement]()
    for underlying in grouped.keys() | bundles_usd.keys():
        on_hold = floor.held_for_orders(underlying) if counts_orders else ZERO
        alone = requirement(grouped.get(underlying, ()), floor.books.held(underlying) - on_hold)
        cash_usd = alone.cash_usd + bundles_usd.get(underlying, ZERO)
        found[underlying] = Requirement(cash_usd, alone.pledged_shares, alone.uncovered_calls)
    return found


def _bundles(floor: Floor, without: Placed | None) -> Iterator[tuple[list[Holding], list[Holding]]]:
    """What each open order would open, and which positions it would close; a short bought back alone stays."""
    for order in floor.open.values():
        if order.asset_class is not AssetClass.OPTION or order.parent is not None or order is without:
            continue
        opening: list[Holding] = []
        closing: list[Holding] = []
        for leg in contracts_of(order):
            if not leg.is_open or leg.position_intent is None:
                continue
            option = parsed(leg.symbol)
            if leg.position_intent.opens:
                opening.append(Holding(option, leg.left if leg.is_buy else -leg.left))
            elif order.order_class is OrderClass.MULTI_LEG or not leg.is_buy:
                closing.append(Holding(option, -leg.left if leg.is_buy else leg.left))
        yield opening, closing


def contracts_of(order: Placed) -> tuple[Placed, ...]:
    """The orders whose contracts trade: the legs of a multi-leg order, or the order itself."""
    return order.legs if order.order_class is OrderClass.MULTI_LEG else (order,)


def buying_power_usd(floor: Floor) -> Decimal:
    """Cash less what open buys and options hold back."""
    return floor.books.cash_usd - _held_back_usd(floor)


def _held_back_usd(floor: Floor, without: Placed | None = None, extra: Iterable[Holding] = ()) -> Decimal:
    reserved = sum((order.reserved_usd for order in floor.open.values() if order is not without), ZERO)
    if not floor.chains:
        return reserved
    needed = requirements(floor, without=without, extra=extra).values()
    return reserved + sum((one.cash_usd for one in needed), ZERO)


def pledged_shares(floor: Floor, symbol: str) -> Decimal:
    """Shares that covered calls hold back from sale."""
    found = requirements(floor).get(symbol) if floor.chains else None
    return found.pledged_shares if found else ZERO


def free_cash_usd(floor: Floor, order: Placed, change: Sequence[Holding], *, looks_past_orders: bool) -> Decimal:
    """Cash beyond what everything else holds back once these contracts have changed hands.

    looks_past_orders: as an exit does; open orders meet the cash that is left when they fill.
    """
    if looks_past_orders:
        return floor.books.cash_usd - floor.secured_usd(change)
    return floor.books.cash_usd - _held_back_usd(floor, order, change)
