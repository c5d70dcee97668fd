"""The simulated account's books: cash, first-in-first-out lots, fills, posted fees and the ends of options."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from operator import itemgetter

from core.backtest.orders import Placed, exchange_id
from core.backtest.quotes import DAY_US, UNIT, ZERO, from_us, to_us
from core.model.market import AssetClass, joined
from core.model.options import MULTIPLIER, Contract
from core.model.orders import Activities, Delivery, FeePosting, Fill, OptionEvent, OptionEventKind, Side

MAKER_FEE_FRAC = Decimal("0.0015")
TAKER_FEE_FRAC = Decimal("0.0025")
"""Alpaca's lowest tier for crypto, taken from what is received: https://docs.alpaca.markets/docs/crypto-fees"""

ONE_SECOND = timedelta(seconds=1)


@dataclass(slots=True)
class Lot:
    """Units bought together, or written where negative; the unit cost is cost over acquired, so it carries the fee."""

    acquired: Decimal
    cost_usd: Decimal
    remaining: Decimal


@dataclass(slots=True)
class AccountBooks:
    """Balances and their history. Every change of cash or holdings ends with `_mark`, so the past stays known."""

    cash_usd: Decimal
    opened_us: int
    lots: dict[str, deque[Lot]] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    version: int = 0
    fees: dict[str, FeePosting] = field(default_factory=dict)
    _fees: list[tuple[int, FeePosting]] = field(default_factory=list)
    _events: list[tuple[datetime, OptionEvent | Delivery]] = field(default_factory=list)
    _moments: list[tuple[int, bool]] = field(default_factory=list)
    _balances: list[tuple[Decimal, Mapping[str, Decimal]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._mark(self.opened_us, is_at_open=False)

    def held(self, symbol: str) -> Decimal:
        """Units held now; negative for written contracts."""
        lots = self.lots.get(symbol)
        return sum((lot.remaining for lot in lots), ZERO) if lots else ZERO

    def cost_usd(self, symbol: str) -> Decimal:
        """What the units held now cost."""
        return sum((lot.remaining * lot.cost_usd / lot.acquired for lot in self.lots[symbol]), ZERO)

    def holdings(self) -> Mapping[str, Decimal]:
        """Units of everything held, by symbol in order."""
        return self._balances[-1][1]

    def balance_at(self, at_us: int) -> tuple[Decimal, Mapping[str, Decimal]]:
        """Cash and holdings once this moment's bar ends were settled, and before its bar opens were."""
        return self._balances[max(bisect_right(self._moments, (at_us, False)) - 1, 0)]

    def fill(
        self, order: Placed, quantity: Decimal, price: Decimal, at_us: int, *, is_maker: bool, is_at_open: bool
    ) -> None:
        """Book one execution: lots, cash, the fill and, of coins, its fee, which is posted when the UTC day is over."""
        coins, dollars = ZERO, ZERO
        if order.asset_class is AssetClass.CRYPTO:
            rate = MAKER_FEE_FRAC if is_maker else TAKER_FEE_FRAC
            if order.is_buy:
                coins = (quantity * rate).quantize(UNIT, ROUND_HALF_UP)
            else:
                dollars = quantity * price * rate
        unit_usd = price * MULTIPLIER if order.asset_class is AssetClass.OPTION else price
        self._move(order.symbol, quantity if order.is_buy else -quantity, unit_usd, coins)
        self.cash_usd -= dollars
        at, symbol = from_us(at_us), joined(order.symbol)
        fill_id = exchange_id(f"fill {len(self.fills) + 1}")
        self.fills.append(Fill(_stamped(at, fill_id), order.order_id, symbol, order.side, quantity, price, at))
        if coins or dollars:
            fee_id = f"{at:%Y%m%d}000000000::{exchange_id(f'fee of {fill_id}')}"
            posting = FeePosting(fee_id, symbol, order.side, at.date(), coins, dollars)
            self.fees[self.fills[-1].fill_id] = posting
            self._fees.append(((at_us // DAY_US + 1) * DAY_US, posting))
        self._mark(at_us, is_at_open=is_at_open)

    def end_option(
        self, kind: OptionEventKind, contract: Contract, quantity: Decimal, shares: Decimal, at_us: int
    ) -> None:
        """Book contracts (signed, as held) that end without a trade, and the shares (signed) that come for them."""
        self._move(contract.symbol, -quantity, ZERO)
        at = from_us(at_us)
        self._events.append((at, OptionEvent(self._event_id(at), kind, contract.symbol, abs(quantity), at.date())))
        if shares:
            self._move(contract.underlying, shares, contract.strike)
            side = Side.BUY if shares > ZERO else Side.SELL
            delivery_id = self._event_id(at)
            moved = Delivery(delivery_id, contract.underlying, side, abs(shares), contract.strike, at.date())
            self._events.append((at, moved))
        self._mark(at_us, is_at_open=False)

    def activities(self, since: datetime, now_us: int) -> Activities:
        """What was posted from a second before `since` on, oldest first, as the broker port asks Alpaca for it."""
        first = since - ONE_SECOND
        fills = self.fills[bisect_left(self.fills, first, key=lambda fill: fill.at) :]
        unread = self._fees[bisect_left(self._fees, to_us(first), key=itemgetter(0)) :]
        posted = [fee for posted_us, fee in unread if posted_us <= now_us]
        events = [event for at, event in self._events if at >= first]
        return Activities(
            fills=tuple(fills),
            fees=(*(fee for fee in posted if fee.quantity), *(fee for fee in posted if not fee.quantity)),
            option_events=tuple(event for event in events if isinstance(event, OptionEvent)),
            deliveries=tuple(event for event in events if isinstance(event, Delivery)),
        )

    def _move(self, symbol: str, signed: Decimal, price: Decimal, coin_fee: Decimal = ZERO) -> None:
        """Close opposite lots first, oldest first, then open; a coin fee comes off what is received."""
        self.cash_usd -= signed * price
        lots = self.lots.setdefault(symbol, deque())
        left = signed
        while left and lots and (lots[0].remaining > ZERO) != (left > ZERO):
            lot = lots[0]
            closed = min(abs(left), abs(lot.remaining)).copy_sign(lot.remaining)
            lot.remaining -= closed
            left += closed
            if not lot.remaining:
                lots.popleft()
        if left:
            acquired = left - coin_fee
            lots.append(Lot(acquired, left * price, acquired))

    def _mark(self, at_us: int, *, is_at_open: bool) -> None:
        held = {symbol: self.held(symbol) for symbol in sorted(self.lots) if self.lots[symbol]}
        self._moments.append((at_us, is_at_open))
        self._balances.append((self.cash_usd, held))
        self.version += 1

    def _event_id(self, at: datetime) -> str:
        return _stamped(at, exchange_id(f"option event {len(self._events) + 1}"))


def _stamped(at: datetime, name: str) -> str:
    """An activity's id: its time to the millisecond, and a name that never repeats."""
    return f"{at:%Y%m%d%H%M%S}{at.microsecond // 1000:03d}::{name}"
