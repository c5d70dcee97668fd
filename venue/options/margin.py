"""What option positions hold back: the largest loss at expiry that the account itself must cover.

Per underlying and expiry the payoff of all contracts together is a line with corners at the strikes, so its
lowest point lies at a strike or at a price of zero (Alpaca calls this the universal spread rule). A short call
needs shares or a long call; without either its loss has no end, and it is uncovered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from venue.options.chains import MULTIPLIER, Contract
from venue.orders import ZERO


@dataclass(frozen=True, slots=True)
class Holding:
    """Contracts of one kind; negative when short."""

    contract: Contract
    qty: Decimal


@dataclass(frozen=True, slots=True)
class Requirement:
    """Dollars held back, shares pledged to covered calls, and short calls that nothing covers."""

    cash_usd: Decimal
    pledged_shares: Decimal
    uncovered_calls: Decimal


def requirement(holdings: Iterable[Holding], shares: Decimal, *, counts_long_options: bool = True) -> Requirement:
    """What one underlying's options hold back beside this many shares.

    counts_long_options: from level 3 on a long option covers a short one; below, only shares and cash do.
    A long option covers only shorts that expire with it or earlier.
    """
    merged = _merged(holdings)
    shorts = [holding for holding in merged if holding.qty < ZERO]
    expiries = sorted({holding.contract.expiry for holding in shorts})
    coverable = max(int(shares // MULTIPLIER), 0)
    cash_usd, pledged, uncovered = ZERO, ZERO, ZERO
    for expiry in expiries:
        longs = [held for held in merged if held.qty > ZERO and _last_short(held, expiries) == expiry]
        legs = [held for held in shorts if held.contract.expiry == expiry] + (longs if counts_long_options else [])
        bare = max(-sum((held.qty for held in legs if held.contract.is_call), ZERO), ZERO)
        covered = min(bare, Decimal(coverable))
        coverable -= int(covered)
        pledged += covered * MULTIPLIER
        uncovered += bare - covered
        cash_usd += _worst_loss_usd(_without_calls(legs, bare))
    return Requirement(cash_usd, pledged, uncovered)


def by_underlying(holdings: Iterable[Holding]) -> Mapping[str, list[Holding]]:
    """The holdings of each underlying."""
    grouped: dict[str, list[Holding]] = {}
    for holding in holdings:
        grouped.setdefault(holding.contract.underlying, []).append(holding)
    return grouped


def _merged(holdings: Iterable[Holding]) -> list[Holding]:
    totals: dict[Contract, Decimal] = {}
    for holding in holdings:
        totals[holding.contract] = totals.get(holding.contract, ZERO) + holding.qty
    return [Holding(contract, qty) for contract, qty in totals.items() if qty]


def _last_short(held: Holding, short_expiries: list[date]) -> date | None:
    """The expiry of the shorts that this long stands beside: the latest that it outlives."""
    return max((expiry for expiry in short_expiries if expiry <= held.contract.expiry), default=None)


def _without_calls(legs: list[Holding], count: Decimal) -> list[Holding]:
    """The legs less this many short calls, those with the lowest strikes first: shares stand in for them."""
    rest: list[Holding] = []
    for held in sorted(legs, key=lambda held: held.contract.strike):
        qty = held.qty
        if held.contract.is_call and qty < ZERO:
            taken = min(-qty, count)
            count -= taken
            qty += taken
        if qty:
            rest.append(Holding(held.contract, qty))
    return rest


def _worst_loss_usd(legs: list[Holding]) -> Decimal:
    prices = [ZERO, *(held.contract.strike for held in legs)]
    worst = min(
        sum((held.qty * max(held.contract.intrinsic_usd(price), ZERO) for held in legs), ZERO) for price in prices
    )
    return max(-worst, ZERO) * MULTIPLIER
