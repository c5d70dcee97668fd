"""What option positions hold back: the largest loss at expiry that the account itself must cover.

Per underlying and expiry the payoff of all contracts together is a line with corners at the strikes, so its lowest
point lies at a strike or at a price of zero (Alpaca's universal spread rule). A short call needs shares or a long call;
without either its loss has no end, and it is uncovered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from core.backtest.quotes import ZERO
from core.model.options import MULTIPLIER, Contract, Right


@dataclass(frozen=True, slots=True)
class Holding:
    """Contracts of one kind; negative when short."""

    contract: Contract
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Requirement:
    """Dollars held back, shares pledged to covered calls, and short calls that nothing covers."""

    cash_usd: Decimal = ZERO
    pledged_shares: Decimal = ZERO
    uncovered_calls: Decimal = ZERO


def by_underlying(holdings: Iterable[Holding]) -> dict[str, list[Holding]]:
    """The holdings of each underlying."""
    grouped: dict[str, list[Holding]] = {}
    for holding in holdings:
        grouped.setdefault(holding.contract.underlying, []).append(holding)
    return grouped


def intrinsic_usd(contract: Contract, spot: Decimal) -> Decimal:
    """What exercising at this spot is worth, per share; negative when out of the money."""
    return spot - contract.strike if contract.right is Right.CALL else contract.strike - spot


def requirement(holdings: Iterable[Holding], shares: Decimal) -> Requirement:
    """What one underlying's options hold back beside this many shares; a long option covers only shorts that expire
    with it or earlier."""
    totals: dict[Contract, Decimal] = {}
    for held in holdings:
        totals[held.contract] = totals.get(held.contract, ZERO) + held.quantity
    merged = [Holding(contract, quantity) for contract, quantity in totals.items() if quantity]
    expiries = sorted({held.contract.expiry for held in merged if held.quantity < ZERO})
    coverable = Decimal(max(int(shares // MULTIPLIER), 0))
    cash_usd, pledged, uncovered = ZERO, ZERO, ZERO
    for expiry in expiries:
        legs = [held for held in merged if _stands_at(held, expiries) == expiry]
        bare = max(-sum((held.quantity for held in legs if held.contract.right is Right.CALL), ZERO), ZERO)
        covered = min(bare, coverable)
        coverable -= covered
        pledged += covered * MULTIPLIER
        uncovered += bare - covered
        cash_usd += _worst_loss_usd(_without_calls(legs, bare))
    return Requirement(cash_usd, pledged, uncovered)


def _stands_at(held: Holding, short_expiries: list[date]) -> date | None:
    """The expiry of the shorts that this one stands beside: a short's own, of a long the latest that it outlives."""
    if held.quantity < ZERO:
        return held.contract.expiry
    return max((expiry for expiry in short_expiries if expiry <= held.contract.expiry), default=None)


def _without_calls(legs: list[Holding], count: Decimal) -> list[Holding]:
    """The legs less this many short calls, those with the lowest strikes first: shares stand in for them."""
    rest: list[Holding] = []
    for held in sorted(legs, key=lambda held: held.contract.strike):
        quantity = held.quantity
        if held.contract.right is Right.CALL and quantity < ZERO:
            taken = min(-quantity, count)
            count -= taken
            quantity += taken
        if quantity:
            rest.append(Holding(held.contract, quantity))
    return rest


def _worst_loss_usd(legs: list[Holding]) -> Decimal:
    prices = [ZERO, *(held.contract.strike for held in legs)]
    worst = min(
        sum((held.quantity * max(intrinsic_usd(held.contract, price), ZERO) for held in legs), ZERO) for price in prices
    )
    return max(-worst, ZERO) * MULTIPLIER
