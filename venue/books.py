"""The venue's own books: cash, first-in-first-out lots, fees and realised profit, from fills alone."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from venue.matching import MAKER, MAKER_FEE_FRAC, TAKER_FEE_FRAC
from venue.options.chains import MULTIPLIER, US_OPTION
from venue.options.events import OptionEvent
from venue.orders import QTY_INCREMENT, ZERO, Fill, Side, venue_id
from venue.series import CRYPTO
from venue.wire import to_us

USD = "USD"


@dataclass(slots=True)
class Lot:
    """Coins or shares bought together; the unit cost is cost over acquired, so it carries the coin fee."""

    opened_at: datetime
    acquired: Decimal
    cost_usd: Decimal
    remaining: Decimal

    @property
    def remaining_cost_usd(self) -> Decimal:
        return self.remaining * self.cost_usd / self.acquired


@dataclass(frozen=True, slots=True)
class Fee:
    """What one fill cost; the balance changed at once, the activity is posted when the UTC day is over."""

    fee_id: str
    fill_id: str
    symbol: str
    asset: str
    qty: Decimal
    usd: Decimal
    price: Decimal
    charged_at: datetime
    posted_at: datetime


@dataclass(frozen=True, slots=True)
class CashMovement:
    """A change of the cash balance and why."""

    at: datetime
    kind: str
    amount_usd: Decimal
    fill_id: str | None


@dataclass(frozen=True, slots=True)
class Balance:
    """Cash and holdings after a fill."""

    cash_usd: Decimal
    holdings: dict[str, Decimal]


@dataclass(frozen=True, slots=True)
class Charge:
    """A fee in the asset received, and its value in dollars."""

    asset: str
    qty: Decimal
    usd: Decimal


def charge(symbol: str, asset_class: str, side: Side, qty: Decimal, price: Decimal, liquidity: str) -> Charge:
    """Alpaca's lowest crypto tier: 15 bp maker, 25 bp taker, from what is received; stocks are free."""
    if asset_class != CRYPTO:
        return Charge(USD, ZERO, ZERO)
    rate = MAKER_FEE_FRAC if liquidity == MAKER else TAKER_FEE_FRAC
    if side is Side.SELL:
        usd = qty * price * rate
        return Charge(USD, usd, usd)
    coins = (qty * rate).quantize(QTY_INCREMENT, ROUND_HALF_UP)
    return Charge(symbol.partition("/")[0], coins, coins * price)


class Books:
    """Balances and their history; `settle` is the only way anything changes."""

    def __init__(self, cash_usd: Decimal, opened_at: datetime) -> None:
        self.starting_cash_usd = cash_usd
        self.cash_usd = cash_usd
        self.opened_at = opened_at
        self.lots: dict[str, deque[Lot]] = {}
        self.fills: list[Fill] = []
        self.fees: list[Fee] = []
        self.cash_movements = [CashMovement(opened_at, "deposit", cash_usd, None)]
        self.realised_usd: dict[str, Decimal] = {}
        self.option_events: list[OptionEvent] = []
        self._moments: list[tuple[int, bool]] = [(to_us(opened_at), False)]
        self._balances = [Balance(cash_usd, {})]

    def held_qty(self, symbol: str) -> Decimal:
        """Units held now."""
        return sum((lot.remaining for lot in self.lots.get(symbol, ())), ZERO)

    def cost_usd(self, symbol: str) -> Decimal:
        """What the units held now cost."""
        return sum((lot.remaining_cost_usd for lot in self.lots.get(symbol, ())), ZERO)

    def held_symbols(self) -> list[str]:
        """Symbols with a position, in order."""
        return sorted(symbol for symbol, lots in self.lots.items() if lots)

    def balance_at(self, at_us: int) -> Balance:
        """The balance once this moment's bar ends were settled and before its bar opens were."""
        return self._balances[max(bisect_right(self._moments, (at_us, False)) - 1, 0)]

    def realise(self, symbol: str, side: Side, qty: Decimal, price: Decimal, fee: Charge, at: datetime) -> Decimal:
        """Moves lots and cash for one execution and answers the profit it realised (zero for a buy)."""
        held = self.held_qty(symbol)
        if fee.asset == USD and (held < ZERO or (side is Side.SELL and qty > held)):
            return self.trade_lots(symbol, qty if side is Side.BUY else -qty, price, at)
        if side is Side.BUY:
            self.cash_usd -= qty * price
            acquired = qty - (fee.qty if fee.asset != USD else ZERO)
            self.lots.setdefault(symbol, deque()).append(Lot(at, acquired, qty * price, acquired))
            return ZERO
        self.cash_usd += qty * price - fee.usd
        realised = qty * price - fee.usd - self._cost_taken(symbol, qty)
        self.realised_usd[symbol] = self.realised_usd.get(symbol, ZERO) + realised
        return realised

    def trade_contracts(self, symbol: str, signed_qty: Decimal, price: Decimal, at: datetime) -> Decimal:
        """As `trade_lots`, at a price per share."""
        return self.trade_lots(symbol, signed_qty, price * MULTIPLIER, at)

    def trade_lots(self, symbol: str, signed_qty: Decimal, price: Decimal, at: datetime) -> Decimal:
        """Closes opposite lots first, then opens; answers the realised profit. Short lots are negative."""
        self.cash_usd -= signed_qty * price
        lots = self.lots.setdefault(symbol, deque())
        realised, left = ZERO, signed_qty
        while left and lots and (lots[0].remaining > ZERO) != (left > ZERO):
            lot = lots[0]
            closed = min(abs(left), abs(lot.remaining)).copy_sign(lot.remaining)
            realised += closed * price - closed * lot.cost_usd / lot.acquired
            lot.remaining -= closed
            left += closed
            if lot.remaining == ZERO:
                lots.popleft()
        if left:
            lots.append(Lot(at, left, left * price, left))
        if left != signed_qty:
            self.realised_usd[symbol] = self.realised_usd.get(symbol, ZERO) + realised
        return realised

    def move_shares(self, symbol: str, signed_qty: Decimal, price: Decimal, at: datetime) -> Decimal:
        """Shares that come (positive) or go free of fees at a price; answers the realised profit."""
        side = Side.BUY if signed_qty > ZERO else Side.SELL
        return self.realise(symbol, side, abs(signed_qty), price, Charge(USD, ZERO, ZERO), at)

    def record(self, event: OptionEvent) -> None:
        """Records an exercise, assignment or expiry, or the shares that it moved, after lots and cash have moved."""
        self.option_events.append(event)
        if event.net_amount_usd:
            self.cash_movements.append(CashMovement(event.at, event.kind, event.net_amount_usd, event.event_id))
        self._balance(event.at, is_at_open=False)

    def settle(self, fill: Fill) -> None:
        """Records a realised execution: the fill, its fee and its cash movement."""
        self.fills.append(fill)
        amount_usd = fill.qty * fill.price * (MULTIPLIER if fill.asset_class == US_OPTION else 1)
        signed_usd = -amount_usd if fill.side is Side.BUY else amount_usd
        self.cash_movements.append(CashMovement(fill.at, "fill", signed_usd, fill.fill_id))
        if fill.fee_qty:
            self.fees.append(
                Fee(
                    venue_id(f"fee of {fill.fill_id}"),
                    fill.fill_id,
                    fill.symbol,
                    fill.fee_asset,
                    fill.fee_qty,
                    fill.fee_usd,
                    fill.price,
                    fill.at,
                    next_utc_midnight(fill.at),
                )
            )
            if fill.fee_asset == USD:
                self.cash_movements.append(CashMovement(fill.at, "fee", -fill.fee_usd, fill.fill_id))
        self._balance(fill.at, is_at_open=fill.is_at_open)

    def _balance(self, at: datetime, *, is_at_open: bool) -> None:
        self._moments.append((to_us(at), is_at_open))
        self._balances.append(Balance(self.cash_usd, {symbol: self.held_qty(symbol) for symbol in self.held_symbols()}))

    def _cost_taken(self, symbol: str, qty: Decimal) -> Decimal:
        cost_usd = ZERO
        lots = self.lots[symbol]
        while qty > ZERO:
            lot = lots[0]
            taken = min(qty, lot.remaining)
            cost_usd += taken * lot.cost_usd / lot.acquired
            lot.remaining -= taken
            qty -= taken
            if lot.remaining == ZERO:
                lots.popleft()
        return cost_usd


def next_utc_midnight(at: datetime) -> datetime:
    """When the UTC day of this moment is over."""
    return datetime(at.year, at.month, at.day, tzinfo=UTC) + timedelta(days=1)
