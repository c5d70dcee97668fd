"""What is held of options, contract by contract, joined into the structures that were opened together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np

from core.model.bars import as_datetime64
from core.model.judgement import Refusal, Snapshot
from core.model.market import AssetClass
from core.model.options import Contract, Right, contract, underlying_of
from core.model.orders import Position
from core.model.trades import Trade
from core.units import decimal_from_float

ADOPTED = "adopted"
"""The strategy of trades that the books took over as they were."""

WIDEST_FRAC = Decimal("0.5")
"""Of the middle: in a wider book the far side is no price but the lack of one."""


@dataclass(frozen=True, slots=True)
class Held:
    """One contract held, its trade in the books, and its quote; None where there is none or only an old one.

    A bid of zero is a quote without a buyer.
    """

    position: Position
    contract: Contract
    trade: Trade | None
    bid: Decimal | None
    ask: Decimal | None

    @property
    def symbol(self) -> str:
        return self.position.symbol

    @property
    def quantity(self) -> Decimal:
        """Contracts; negative when written."""
        return self.position.quantity

    @property
    def way_out(self) -> Decimal:
        """The price on the side that must be crossed; the broker's own price of the position without a quote."""
        quoted = self.bid if self.quantity > 0 else self.ask
        return self.position.price if quoted is None else quoted

    @property
    def is_tight(self) -> bool:
        """Whether both sides are quoted, near enough to each other that crossing them is a fair price."""
        if self.bid is None or self.ask is None:
            return False
        return self.ask - self.bid <= WIDEST_FRAC * (self.ask + self.bid) / 2

    @property
    def worth(self) -> Decimal:
        """The price a loss is judged by: the side to cross of a tight book, else the broker's own price, kept within
        what is quoted."""
        if self.is_tight:
            return self.way_out
        price = self.position.price if self.bid is None else max(self.position.price, self.bid)
        return price if self.ask is None else min(price, self.ask)

    def days(self, today: date) -> int:
        return (self.contract.expiry - today).days

    def intrinsic(self, spot: Decimal) -> Decimal:
        """What exercise at this price is worth a share; below zero out of the money."""
        strike = self.contract.strike
        return spot - strike if self.contract.right is Right.CALL else strike - spot


def structures(snapshot: Snapshot) -> tuple[tuple[tuple[Held, ...], ...], tuple[Refusal, ...]]:
    """The structures held, and why any other contract cannot be sold.

    The books say what was opened together. What they do not know or only adopted may be one structure as well: of one
    underlying and one expiry it is judged together, so that no written contract loses what covers it.
    """
    groups: dict[str, list[Held]] = {}
    refusals = []
    for position in snapshot.positions:
        if position.asset_class is AssetClass.OPTION and position.quantity:
            held = _held(snapshot, position)
            if isinstance(held, Refusal):
                refusals.append(held)
            else:
                groups.setdefault(_group_of(held), []).append(held)
    return tuple(tuple(group) for group in groups.values()), tuple(refusals)


def calls_on(underlying: str, snapshot: Snapshot) -> Iterator[Position]:
    """Every call held or written on it, of whatever structure."""
    for position in snapshot.positions:
        is_option_on_it = underlying_of(position.symbol) == underlying != position.symbol
        if is_option_on_it and contract(position.symbol).right is Right.CALL:
            yield position


def _group_of(held: Held) -> str:
    if held.trade is None or held.trade.strategy == ADOPTED:
        return f"{held.contract.underlying} {held.contract.expiry}"
    return held.trade.group_id


def _held(snapshot: Snapshot, position: Position) -> Held | Refusal:
    symbol = position.symbol
    try:
        named = contract(symbol)
    except ValueError as error:
        return Refusal(symbol, "contract", f"{error}; an adjusted contract must be closed by a person")
    if named.expiry < snapshot.as_of.date():
        return Refusal(symbol, "expired", f"expired on {named.expiry}; the broker settles it and nothing is sold again")
    trade = next((trade for trade in snapshot.books.open_trades if trade.symbol == symbol), None)
    chain = snapshot.chains.get(named.underlying)
    if chain is None or symbol not in chain.symbols:
        return Held(position, named, trade, None, None)
    row = chain.symbols.index(symbol)
    age_s = (as_datetime64(snapshot.as_of) - chain.quoted_at[row]) / np.timedelta64(1, "s")
    if not age_s <= snapshot.limits.options.max_quote_age_s:  # so that no known time counts as old
        return Held(position, named, trade, None, None)
    return Held(position, named, trade, _price(chain.bid[row]), _price(chain.ask[row]) or None)


def _price(value: float) -> Decimal | None:
    return decimal_from_float(value) if math.isfinite(value) and value >= 0 else None
